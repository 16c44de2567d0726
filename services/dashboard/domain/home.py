"""The home as the messages so far tell it."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hems.contracts.alerts import Alert, NotifyMessage
from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.contracts.demand import DemandState
from hems.contracts.energy import Energy, Series
from hems.contracts.health import ServiceHealth, ServiceStatus
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayState
from services.dashboard.domain.runs import Runs
from services.dashboard.domain.trace import SPANS_S, Trace

SILENT_AFTER = timedelta(seconds=120)
_MOST_NAMES = 64
_MOST_LOGGED = 200
_AHEAD = timedelta(seconds=120)


@dataclass(frozen=True)
class Logged:
    """A line of the log: an alert, or a switch."""

    id: str
    at: datetime
    alert: Alert | None = None
    relay: str | None = None
    state: RelayState | None = None


@dataclass(frozen=True)
class Today:
    """What the history adds to today's figures; None where it is not known. Costs are of energy, without standing charges."""

    yesterday_kwh: float | None = None
    yesterday_cost: float | None = None
    cost: float | None = None
    carbon_kg: float | None = None
    yesterday_carbon_kg: float | None = None


@dataclass
class Home:
    """The newest of everything. Names beyond a bound are not taken in: whoever may write topics could fill the memory."""

    mains: Mains | None = None
    energy: Energy | None = None
    price: Series | None = None
    carbon: Series | None = None
    demand: DemandState | None = None
    today: Today = field(default_factory=Today)
    appliances: dict[str, ApplianceState] = field(default_factory=dict[str, ApplianceState])
    energy_of: dict[str, Energy] = field(default_factory=dict[str, Energy])
    relays: dict[str, RelayState] = field(default_factory=dict[str, RelayState])
    online: dict[str, bool] = field(default_factory=dict[str, bool])
    health: dict[str, ServiceHealth] = field(default_factory=dict[str, ServiceHealth])
    messages: dict[str, NotifyMessage] = field(default_factory=dict[str, NotifyMessage])
    log: deque[Logged] = field(default_factory=lambda: deque[Logged](maxlen=_MOST_LOGGED))
    runs: Runs = field(default_factory=Runs)
    traces: dict[int, Trace] = field(default_factory=lambda: {span_s: Trace(span_s) for span_s in SPANS_S})
    connected: bool = False
    muted_until: datetime | None = None

    def see_mains(self, reading: Mains, now: datetime) -> bool:
        """Take a reading; False where it is not news: older than the newest, or from a clock that is ahead."""
        if reading.measured_at > now + _AHEAD or (self.mains is not None and reading.measured_at <= self.mains.measured_at):
            return False
        self.mains = reading
        for trace in self.traces.values():
            trace.add(reading.measured_at, reading.power_w)
        return True

    def see_appliance(self, appliance: str, state: ApplianceState) -> None:
        """Take an appliance's state."""
        if _room(self.appliances, appliance):
            self.appliances[appliance] = state
            self.runs.see_state(appliance, state)

    def see_event(self, appliance: str, event: ApplianceEvent) -> bool:
        """Take an event; False where it was told before."""
        return self.runs.see_event(appliance, event)

    def see_energy_of(self, appliance: str, energy: Energy) -> None:
        """Take an appliance's counters."""
        if _room(self.energy_of, appliance):
            self.energy_of[appliance] = energy

    def see_relay(self, relay: str, state: RelayState) -> None:
        """Take a relay's state; a change goes into the log."""
        if not _room(self.relays, relay):
            return
        before = self.relays.get(relay)
        self.relays[relay] = state
        if before is None or before.state != state.state or before.changed_at != state.changed_at:
            self.note(Logged(f"{relay}/{state.changed_at.isoformat()}/{state.state}", state.changed_at, relay=relay, state=state))

    def see_alert(self, alert: Alert) -> None:
        """Take an alert."""
        self.note(Logged(alert.id, alert.at, alert=alert))

    def see_message(self, message: NotifyMessage) -> None:
        """Take a message that was sent, or how it fared."""
        self.messages.pop(message.id, None)
        self.messages[message.id] = message
        while len(self.messages) > _MOST_LOGGED:
            del self.messages[next(iter(self.messages))]

    def see_status(self, service: str, status: ServiceStatus) -> None:
        """Take whether a service is there."""
        if _room(self.online, service):
            self.online[service] = status.online

    def see_health(self, service: str, health: ServiceHealth) -> None:
        """Take how a service is."""
        if _room(self.health, service):
            self.health[service] = health

    def note(self, line: Logged) -> None:
        """Put a line into the log, in order, once."""
        if all(line.id != known.id for known in self.log):
            lines = sorted([*self.log, line], key=lambda known: known.at)
            self.log.clear()
            self.log.extend(lines)

    def alerts(self, now: datetime) -> list[Alert]:
        """The alerts of the last day, the newest first."""
        recent = [line.alert for line in self.log if line.alert is not None and line.at > now - timedelta(days=1)]
        return recent[::-1]

    def running(self) -> list[tuple[str, ApplianceState]]:
        """The appliances that run, the largest first."""
        found = [(name, state) for name, state in self.appliances.items() if state.running]
        return sorted(found, key=lambda entry: (-entry[1].power_w, entry[0]))

    def silent_since(self, now: datetime) -> datetime | None:
        """When the last reading was, where that is too long ago."""
        if self.mains is None or now - self.mains.measured_at <= SILENT_AFTER:
            return None
        return self.mains.measured_at

    def names(self) -> list[str]:
        """Every appliance that is known by name, in order."""
        return sorted({*self.appliances, *self.energy_of})


def _room(known: Mapping[str, Any], name: str) -> bool:
    return name in known or len(known) < _MOST_NAMES
