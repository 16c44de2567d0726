"""Rules about appliances: started, finished, left on, on at unusual hours."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from hems.contracts.appliances import ApplianceEvent, ApplianceState
from services.notifier.domain.home import NEWS_FOR, Home, is_news, stamp
from services.notifier.domain.hours import DayHours
from services.notifier.domain.rule import Candidate, Rule
from services.notifier.domain.wording import clock_time, energy, listed, money, name_of, span

_SAME_RUN = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Announced(Rule):
    """An appliance started, or finished, whichever `kind` says.

    Attributes:
        appliances: which; all where None.
        confidence: what is less sure is not told.
        at_least: shorter runs are not told, where their length is known.
    """

    fields: ClassVar[frozenset[str]] = frozenset({"time", "appliance", "details", "duration", "energy", "cost", "confidence"})

    kind: Literal["started", "finished"]
    appliances: frozenset[str] | None = None
    confidence: float = 0.6
    at_least: timedelta = timedelta(0)

    def on_event(self, home: Home, appliance: str, event: ApplianceEvent, now: datetime) -> Iterable[Candidate]:
        """Tell of a fresh event of this kind."""
        if event.kind != self.kind or not _chosen(self.appliances, appliance) or not is_news(event.announced_at, now):
            return
        if event.confidence < self.confidence or (event.duration_s is not None and event.duration_s < self.at_least.total_seconds()):
            return
        thing = f"appliance/{appliance}"
        yield self.found(event.id, thing, f"{thing}/{event.kind}/{event.id}", _values(home, appliance, event), now)


@dataclass(frozen=True, kw_only=True)
class UnusualHours(Rule):
    """An appliance starts when it usually rests."""

    fields: ClassVar[frozenset[str]] = frozenset({"time", "appliance", "confidence"})

    hours: DayHours
    appliances: frozenset[str] | None = None
    confidence: float = 0.6

    def on_event(self, home: Home, appliance: str, event: ApplianceEvent, now: datetime) -> Iterable[Candidate]:
        """Tell of a fresh start in these hours."""
        if event.kind != "started" or not _chosen(self.appliances, appliance) or not is_news(event.announced_at, now):
            return
        if event.confidence >= self.confidence and self.hours.contain(event.at, home.zone):
            thing = f"appliance/{appliance}"
            yield self.found(event.id, thing, f"{thing}/started/{event.id}", _values(home, appliance, event), now)


@dataclass(frozen=True, kw_only=True)
class LeftOn(Rule):
    """An appliance runs for longer than it usually does: told once a run."""

    fields: ClassVar[frozenset[str]] = frozenset({"time", "appliance", "duration"})

    longer_than: Mapping[str, timedelta]

    def on_state(self, home: Home, appliance: str, state: ApplianceState, now: datetime) -> Iterable[Candidate]:
        """Tell when the run that is going on has become too long."""
        limit = self.longer_than.get(appliance)
        if limit is None or not is_news(state.observed_at, now):
            return
        key = f"{self.name}/{appliance}"
        if not state.running:
            home.memory.told.pop(key, None)
            return
        since = home.running_since[appliance]
        if now - since >= limit and not _told_of(home.memory.told.get(key), since) and home.memory.tell(key, stamp(since)):
            thing = f"appliance/{appliance}"
            values = {"time": clock_time(since, home.zone), "appliance": name_of(appliance), "duration": span(now - since)}
            yield self.found(f"{appliance}/{stamp(since)}", thing, f"{thing}/left_on/{stamp(since)}", values, now)


def note_state(home: Home, appliance: str, state: ApplianceState, now: datetime) -> None:
    """Keep since when an appliance runs: what it says itself, or when it was first seen running."""
    if now - state.observed_at > NEWS_FOR:
        return
    if not state.running:
        home.running_since.pop(appliance, None)
    elif state.since is not None:
        home.running_since[appliance] = state.since
    else:
        home.running_since.setdefault(appliance, state.observed_at)


def _told_of(told: str | None, since: datetime) -> bool:
    """The beginning of a run may be corrected a little while it goes on."""
    return told is not None and abs(datetime.fromisoformat(told) - since) < _SAME_RUN


def _chosen(appliances: frozenset[str] | None, appliance: str) -> bool:
    return appliances is None or appliance in appliances


def _values(home: Home, appliance: str, event: ApplianceEvent) -> dict[str, str]:
    length = None if event.duration_s is None else timedelta(seconds=event.duration_s)
    spent = event.energy_kwh
    cost = home.cost(spent, event.at - (length or timedelta(0)), event.at) if spent is not None else None
    known = {
        "duration": span(length) if length is not None else "",
        "energy": energy(spent) if spent is not None else "",
        "cost": money(cost, home.currency) if cost is not None else "",
    }
    described = listed(known.values()) or f"at {clock_time(event.at, home.zone)}"
    return {
        **known,
        "time": clock_time(event.at, home.zone),
        "appliance": name_of(appliance),
        "details": described,
        "confidence": f"{event.confidence:.0%}",
    }
