"""The heat map as a table, which a screen reader can walk through."""

from html import escape

from services.dashboard.domain.bars import Heat


def heat_html(picture: Heat, caption: str) -> str:
    """A table: a row a day or month, a column an hour; darker is more."""
    hours = "".join(f'<th scope="col">{hour}</th>' for hour in range(24))
    rows = "".join(
        f'<tr><th scope="row">{escape(label)}</th>{"".join(_cell(cell, picture.largest_kwh) for cell in cells)}</tr>'
        for label, cells in zip(picture.rows, picture.cells, strict=True)
    )
    return (
        f'<table class="heat"><caption class="visually-hidden">{escape(caption)}</caption>'
        f'<thead><tr><td class="corner"></td>{hours}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _cell(energy_kwh: float | None, largest_kwh: float) -> str:
    if energy_kwh is None:
        return '<td class="none"></td>'
    share = energy_kwh / largest_kwh * 100 if largest_kwh > 0 else 0.0
    said = f"{energy_kwh:.2f} kWh"
    return f'<td style="--h:{max(share, 0):.0f}" title="{said}"><span class="visually-hidden">{said}</span></td>'
