"""Which events at home trigger which event at IFTTT."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from hems.contracts.alerts import Alert
from hems.contracts.appliances import ApplianceEvent
from hems.contracts.demand import DemandState
from services.bridge_adafruit.domain.feeds import readable

NEWS_FOR = timedelta(minutes=2)
_SEVERITIES = ("info", "warning", "critical")
_REMEMBERED = 500

When = Literal["started", "finished", "alert", "demand"]


class TriggerRefused(Exception):
    """It is not taken, however often it is said."""


class TriggerLater(Exception):
    """Nobody is there to take it, or asks to wait."""


@dataclass(frozen=True)
class Rule:
    """One event at IFTTT, and what triggers it.

    Attributes:
        event: its name at IFTTT.
        appliance: only this one; for `started` and `finished`.
        severity: this one and what is worse; for `alert`.
    """

    event: str
    when: When
    appliance: str | None = None
    severity: Literal["info", "warning", "critical"] = "warning"


@dataclass(frozen=True)
class Trigger:
    """What IFTTT is told: `value1` to `value3`."""

    event: str
    values: tuple[str, str, str]
    at: datetime


class Triggers:
    """Judges each event once."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._told: OrderedDict[str, None] = OrderedDict()
        self._level: str | None = None

    def on_event(self, appliance: str, event: ApplianceEvent, now: datetime) -> list[Trigger]:
        """An appliance has started or finished."""
        if not self._is_news(event.id, event.announced_at, now):
            return []
        duration = f"{round(event.duration_s / 60)} min" if event.duration_s is not None else ""
        energy = f"{event.energy_kwh:.2f} kWh" if event.energy_kwh is not None else ""
        matching = [rule for rule in self._rules if rule.when == event.kind and rule.appliance in (None, appliance)]
        return [Trigger(rule.event, (readable(appliance), duration, energy), now) for rule in matching]

    def on_alert(self, alert: Alert, now: datetime) -> list[Trigger]:
        """Somebody raised an alert."""
        if not self._is_news(alert.id, alert.at, now):
            return []
        rank = _SEVERITIES.index(alert.severity)
        matching = [rule for rule in self._rules if rule.when == "alert" and rank >= _SEVERITIES.index(rule.severity)]
        return [Trigger(rule.event, (alert.title, alert.message, alert.severity), now) for rule in matching]

    def on_demand(self, demand: DemandState, now: datetime, *, retained: bool) -> list[Trigger]:
        """The demand level may have changed."""
        before, self._level = self._level, demand.level
        if retained or before in (None, demand.level):
            return []
        until = demand.until.isoformat(timespec="minutes") if demand.until else ""
        return [Trigger(rule.event, (demand.level, until, demand.reason or ""), now) for rule in self._rules if rule.when == "demand"]

    def _is_news(self, identity: str, at: datetime, now: datetime) -> bool:
        if identity in self._told or now - at > NEWS_FOR:
            return False
        self._told[identity] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return True
