"""A month's report in the terminal."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.recorder.domain.month import Month
from services.recorder.report_page import change

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_ROWS = 4


def show(month: Month, home: str, console: Console) -> None:
    """Write it."""
    console.print(Group(Text(f"{home}, {month.first:%B %Y}", style="bold"), *_parts(month)))


def _parts(month: Month) -> list[RenderableType]:
    parts: list[RenderableType] = [Text("  ".join(_figures(month)))]
    if month.by_day:
        parts += [Text("\nBy day, kWh", style="bold"), _columns([kwh for _, kwh in month.by_day])]
        parts += [Text("\nBy hour of the day, mean kWh", style="bold"), _columns(month.by_hour), Text("0     6     12    18", style="dim")]
    if month.appliances:
        parts += [Text(""), _appliances(month)]
    if month.missed_kwh:
        parts.append(Text(f"About {month.missed_kwh:,.2f} kWh more while no reading came; in no figure above.", style="dim"))
    return parts


def _figures(month: Month) -> list[str]:
    figures = [f"{month.energy_kwh:,.1f} kWh"]
    if month.cost is not None:
        figures.append(f"{month.cost:,.2f} {month.currency}")
    if month.before_kwh:
        figures.append(f"{change(month.energy_kwh, month.before_kwh)} against last month")
    if month.standby_w is not None:
        figures.append(f"standby {month.standby_w:,.0f} W")
    return figures


def _columns(values: Sequence[float]) -> Text:
    """A picture of bars, in eighths of a character."""
    most = max(*values, 1e-9)
    heights = [round(max(0.0, value) / most * _ROWS * 8) for value in values]
    lines = ["".join(_EIGHTHS[min(8, max(0, height - 8 * row))] for height in heights) for row in reversed(range(_ROWS))]
    return Text("\n".join(f"{line}  {most:.2f}" if place == 0 else line for place, line in enumerate(lines)), style="green")


def _appliances(month: Month) -> Table:
    table = Table("Appliance (estimated)", box=None)
    for name in ("kWh", month.currency, "share"):
        table.add_column(name, justify="right")
    for use in month.appliances:
        cost = "" if use.cost is None else f"{use.cost:,.2f}"
        table.add_row(use.appliance.replace("_", " "), f"{use.energy_kwh:,.2f}", cost, f"{use.share:.0%}")
    table.add_row("everything else", f"{month.unnamed_kwh:,.2f}", "", "")
    return table
