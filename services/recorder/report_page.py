"""A month's report as one HTML file, its pictures drawn in it."""

from collections.abc import Sequence
from html import escape

from services.recorder.domain.month import Month

_WIDTH = 720
_HEIGHT = 200
_MARGIN = 34
_STYLE = """
:root { color-scheme: light dark; --bar: #2f7d5b; --ink: #1b2420; --soft: #66736c; --line: #d8dfdb; --paper: #fbfcfb; }
@media (prefers-color-scheme: dark) { :root { --bar: #5fbf93; --ink: #e6ece9; --soft: #9aa8a1; --line: #33403a; --paper: #141a17; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem; }
dt { color: var(--soft); font-size: .85rem; } dd { margin: 0; font-size: 1.35rem; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: right; padding: .3rem .5rem; border-bottom: 1px solid var(--line); }
td:first-child, th:first-child { text-align: left; }
svg { width: 100%; height: auto; } svg rect { fill: var(--bar); } svg line { stroke: var(--line); }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
"""


def page(month: Month, home: str) -> str:
    """The whole file."""
    title = f"{home}: {month.first:%B %Y}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _figures(month),
        "<h2>By day</h2>",
        _bars(
            [f"{day.day}" for day, _ in month.by_day],
            [kwh for _, kwh in month.by_day],
            "kWh each day",
            [f"{day:%d %B}" for day, _ in month.by_day],
        ),
        "<h2>By hour of the day</h2>",
        _bars([f"{hour:02}" for hour in range(24)], list(month.by_hour), "mean kWh in each hour", [f"{hour:02}:00" for hour in range(24)]),
        "<h2>By appliance</h2>",
        _appliances(month),
        _notes(month),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _figures(month: Month) -> str:
    figures = [("Used", f"{month.energy_kwh:,.1f} kWh")]
    if month.cost is not None:
        figures.append(("Cost", f"{month.cost:,.2f} {month.currency}"))
    if month.before_kwh:
        figures.append(("Against last month", change(month.energy_kwh, month.before_kwh)))
    if month.standby_w is not None and month.standby_kwh is not None:
        figures.append(("Standby", f"{month.standby_w:,.0f} W, {month.standby_kwh:,.0f} kWh"))
    if month.exported_kwh:
        figures.append(("Sent out", f"{month.exported_kwh:,.1f} kWh"))
    return "<dl>" + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in figures) + "</dl>"


def change(now: float, before: float) -> str:
    """A change in words, such as `+12 %`."""
    return f"{100 * (now - before) / before:+.0f} %"


def _bars(labels: Sequence[str], values: Sequence[float], caption: str, titles: Sequence[str]) -> str:
    if not values:
        return "<p>Nothing was measured.</p>"
    most = max(*values, 1e-9)
    step = (_WIDTH - _MARGIN) / len(values)
    drawn = [_axis(most)]
    for place, (label, value, title) in enumerate(zip(labels, values, titles, strict=True)):
        height = max(0.0, value) / most * (_HEIGHT - 2 * _MARGIN)
        left = _MARGIN + place * step
        top, width = _HEIGHT - _MARGIN - height, step * 0.76
        shape = f'<rect x="{left + step * 0.12:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2">'
        drawn.append(f"{shape}<title>{escape(title)}: {value:.2f} kWh</title></rect>")
        if len(values) <= 24 or place % 5 == 0:
            drawn.append(f'<text x="{left + step / 2:.1f}" y="{_HEIGHT - _MARGIN + 16}" text-anchor="middle">{escape(label)}</text>')
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(caption)}">{"".join(drawn)}</svg>'


def _axis(most: float) -> str:
    top, bottom = _MARGIN, _HEIGHT - _MARGIN
    lines = "".join(f'<line x1="{_MARGIN}" x2="{_WIDTH}" y1="{y}" y2="{y}"/>' for y in (top, bottom))
    return f'{lines}<text x="0" y="{top + 4}">{most:.1f}</text><text x="0" y="{bottom + 4}">0 kWh</text>'


def _appliances(month: Month) -> str:
    if not month.appliances:
        return "<p>No appliance was named this month.</p>"
    rows = [(use.appliance.replace("_", " "), use.energy_kwh, use.cost, use.share) for use in month.appliances]
    unnamed = month.unnamed_kwh
    rows.append(("everything else", unnamed, None, unnamed / month.energy_kwh if month.energy_kwh else 0.0))
    cells = "".join(
        f"<tr><td>{escape(name)}</td><td>{kwh:,.2f}</td><td>{'' if cost is None else f'{cost:,.2f}'}</td><td>{share:.0%}</td></tr>"
        for name, kwh, cost, share in rows
    )
    return f"<table><tr><th>Estimated</th><th>kWh</th><th>{escape(month.currency)}</th><th>Share</th></tr>{cells}</table>"


def _notes(month: Month) -> str:
    notes: list[str] = []
    if month.standing:
        notes.append(f"The cost holds a standing charge of {month.standing:,.2f} {month.currency}.")
    if month.missed_kwh:
        notes.append(f"About {month.missed_kwh:,.2f} kWh more were used while no reading came; they are in no figure above.")
    return "".join(f"<p>{escape(note)}</p>" for note in notes)
