"""The watch's picture, drawn with rich."""

from datetime import datetime
from zoneinfo import ZoneInfo

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from services.watch.domain import View, age, readable, sentence, sparkline, told

_MARGIN = 6


def picture(view: View, *, width: int, zone: ZoneInfo) -> RenderableType:
    """The whole screen, `width` characters wide, in the home's local time."""
    parts: list[RenderableType] = [_power(view, width, zone), _appliances(view)]
    if view.trouble:
        parts.insert(0, Panel(Text(f"{view.trouble}; it is tried again. Does `hems up` run?", style="yellow"), title="look here"))
    if view.relays:
        parts.append(_relays(view, zone))
    parts.append(_events(view, zone))
    if view.messages:
        parts.append(_messages(view, zone))
    return Group(*parts, _services(view))


def _power(view: View, width: int, zone: ZoneInfo) -> RenderableType:
    if view.mains is None:
        return Panel(Text("waiting for the first reading …", style="dim"), title="home")
    figures = Text.assemble((f"{view.mains.power_w:,.0f} W", "bold"), (f"   {_details(view)}", "dim"))
    line = Text(sparkline(list(view.powers_w), width - _MARGIN), style="cyan")
    return Panel(Group(figures, line), title=f"home, {_local(view.mains.measured_at, zone):%a %d %b %Y %H:%M:%S}")


def _details(view: View) -> str:
    mains = view.mains
    if mains is None:
        return ""
    voltage = f"{mains.voltage_v:.1f} V   " if mains.voltage_v is not None else ""
    current = f"{mains.current_a:.1f} A   " if mains.current_a is not None else ""
    return f"{voltage}{current}{mains.quality}"


def _appliances(view: View) -> RenderableType:
    table = Table("appliance", "", "power", "sure", "since", expand=True, box=None, header_style="dim")
    now = view.mains.measured_at if view.mains else None
    for name, state in view.running():
        style = "bold green" if state.running else "dim"
        power = f"{state.power_w:,.0f} W" if state.running else ""
        table.add_row(
            readable(name), "on" if state.running else "off", power, f"{state.confidence:.0%}", age(state.since, now), style=style
        )
    return Panel(table, title="appliances")


def _relays(view: View, zone: ZoneInfo) -> RenderableType:
    table = Table("relay", "", "known by", "until", "by", expand=True, box=None, header_style="dim")
    for name, relay in sorted(view.relays.items()):
        until = f"{_local(relay.until, zone):%H:%M:%S}" if relay.until else ""
        table.add_row(readable(name), relay.state, readable(relay.how), until, readable(relay.source or ""))
    return Panel(table, title="relays")


def _events(view: View, zone: ZoneInfo) -> RenderableType:
    lines = [f"{_local(event.at, zone):%H:%M:%S}  {sentence(appliance, event)}" for appliance, event in reversed(view.events)]
    return Panel(Text("\n".join(lines) or "nothing yet"), title="what happened")


def _messages(view: View, zone: ZoneInfo) -> RenderableType:
    lines = [f"{_local(message.at, zone):%H:%M:%S}  {told(message)}" for message in reversed(view.messages.values())]
    return Panel(Text("\n".join(lines)), title="messages")


def _services(view: View) -> RenderableType:
    text = Text()
    for name, online in sorted(view.online.items()):
        health = view.health.get(name)
        trouble = (health.configuration_error or health.blind) if health else None
        style = "red" if not online else "yellow" if trouble else "green"
        text.append(f"● {readable(name)}  ", style=style)
        if trouble:
            text.append(f"({trouble})  ", style="yellow")
    return Panel(text, title="services", subtitle=view.page and f"the page: {view.page}")


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone)
