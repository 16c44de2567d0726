"""What the watch shows: the newest of everything, and the last events."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from hems.contracts.alerts import NotifyMessage
from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.contracts.health import ServiceHealth
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayState

_BARS = "▁▂▃▄▅▆▇█"
_POWERS_KEPT = 600
_EVENTS_KEPT = 8
_MESSAGES_KEPT = 5


@dataclass
class View:
    """The home as the messages so far tell it; `trouble` is why none come now."""

    page: str | None = None
    trouble: str | None = None
    mains: Mains | None = None
    powers_w: deque[float] = field(default_factory=lambda: deque[float](maxlen=_POWERS_KEPT))
    appliances: dict[str, ApplianceState] = field(default_factory=dict[str, ApplianceState])
    events: deque[tuple[str, ApplianceEvent]] = field(default_factory=lambda: deque[tuple[str, ApplianceEvent]](maxlen=_EVENTS_KEPT))
    relays: dict[str, RelayState] = field(default_factory=dict[str, RelayState])
    online: dict[str, bool] = field(default_factory=dict[str, bool])
    health: dict[str, ServiceHealth] = field(default_factory=dict[str, ServiceHealth])
    messages: dict[str, NotifyMessage] = field(default_factory=dict[str, NotifyMessage])

    def see_mains(self, reading: Mains) -> bool:
        """Take a reading; False where it is older than the newest: said again, not news."""
        if self.mains is not None and reading.measured_at <= self.mains.measured_at:
            return False
        self.mains = reading
        self.powers_w.append(reading.power_w)
        return True

    def see_event(self, appliance: str, event: ApplianceEvent) -> bool:
        """Take an event; False where it was told before."""
        if any(event.id == known.id for _, known in self.events):
            return False
        self.events.append((appliance, event))
        return True

    def see_message(self, message: NotifyMessage) -> bool:
        """Take a message to a person, or what has become of it; False where that was known."""
        known = self.messages.get(message.id)
        if known is not None and known.status == message.status:
            return False
        self.messages[message.id] = message
        for oldest in list(self.messages)[:-_MESSAGES_KEPT]:
            del self.messages[oldest]
        return True

    def running(self) -> list[tuple[str, ApplianceState]]:
        """The appliances, those that run first, then by name."""
        return sorted(self.appliances.items(), key=lambda entry: (not entry[1].running, entry[0]))


def sparkline(values: list[float], width: int) -> str:
    """The newest `width` values as bars between zero and the largest."""
    shown = values[-width:]
    top = max(shown, default=0.0)
    if top <= 0:
        return _BARS[0] * len(shown)
    return "".join(_BARS[min(int(max(value, 0.0) / top * len(_BARS)), len(_BARS) - 1)] for value in shown)


def readable(name: str) -> str:
    """An id as people read it: `washing_machine` is "washing machine"."""
    return name.replace("_", " ")


def duration(seconds: float) -> str:
    """`75` is "1 min 15 s"; `6720` is "1 h 52 min"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def age(since: datetime | None, now: datetime | None) -> str:
    """How long ago, in words; empty where either is unknown."""
    return "" if since is None or now is None else duration(max((now - since).total_seconds(), 0.0))


def sentence(appliance: str, event: ApplianceEvent) -> str:
    """An event as a person would say it."""
    name = readable(appliance)
    if event.kind == "finished":
        energy = f", {event.energy_kwh:.2f} kWh" if event.energy_kwh is not None else ""
        return f"{name} finished after {duration(event.duration_s or 0)}{energy}"
    verb = "probably runs" if event.kind == "probable" else "started"
    return f"{name} {verb} ({event.confidence:.0%} sure)"


def told(message: NotifyMessage) -> str:
    """A message to a person, and what has become of it."""
    text = message.text.replace("\n", " / ")
    why = f", {message.reason}" if message.reason else ""
    return f"{message.recipient} ({message.status.replace('_', ' ')}{why}): {text}"
