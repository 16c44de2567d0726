"""A rule: it hears what happens in the home, and finds what may be worth a message."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Literal

from hems.contracts.alerts import Alert
from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.contracts.demand import DemandEvent
from hems.contracts.energy import Energy
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayResult
from services.notifier.domain.home import Home
from services.notifier.domain.hours import DayHours
from services.notifier.domain.wording import render, span


@dataclass(frozen=True)
class Candidate:
    """Something that may become a message.

    Attributes:
        id: the same news has the same id.
        thing: what it is about: within the gathering time only the newest about one thing is told.
        key: what exactly it says about the thing: two rules that find the same key tell it once.
        urgent: goes out in quiet hours too, and over the daily cap.
        not_to: the one recipient who is not told.
    """

    id: str
    rule: str
    thing: str
    key: str
    text: str
    at: datetime
    useful_until: datetime
    urgent: bool = False
    not_to: str | None = None


@dataclass(frozen=True)
class Limit:
    """At most so many messages of one rule to one recipient within any span of this length."""

    count: int = 5
    per: timedelta = timedelta(days=1)

    def __str__(self) -> str:
        return f"{self.count} in {span(self.per)}"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What all rules share; each kind hears what it is about.

    Attributes:
        template: how it is said; `fields` are known in it.
        recipients: to whom; to all where None.
        quiet: the recipient's quiet hours, none, or hours of the rule's own.
        useful_for: a message that could not go out by then is dropped.
    """

    fields: ClassVar[frozenset[str]] = frozenset({"time"})

    name: str
    template: str
    recipients: frozenset[str] | None = None
    quiet: DayHours | Literal["recipient", "none"] = "recipient"
    limit: Limit = Limit()
    useful_for: timedelta = timedelta(hours=2)

    def on_event(self, home: Home, appliance: str, event: ApplianceEvent, now: datetime) -> Iterable[Candidate]:
        """An appliance probably runs, has started or has finished."""
        return ()

    def on_state(self, home: Home, appliance: str, state: ApplianceState, now: datetime) -> Iterable[Candidate]:
        """An appliance runs, or not."""
        return ()

    def on_mains(self, home: Home, mains: Mains, now: datetime) -> Iterable[Candidate]:
        """A reading of the whole home."""
        return ()

    def on_energy(self, home: Home, energy: Energy, now: datetime) -> Iterable[Candidate]:
        """The counters of the whole home."""
        return ()

    def on_relay_result(self, home: Home, relay: str, result: RelayResult, now: datetime) -> Iterable[Candidate]:
        """A relay's answer to a command."""
        return ()

    def on_demand_event(self, home: Home, event: DemandEvent, now: datetime) -> Iterable[Candidate]:
        """Somebody asks for less for a while, or takes it back."""
        return ()

    def on_alert(self, home: Home, alert: Alert, now: datetime) -> Iterable[Candidate]:
        """A service tells of something that a person should know."""
        return ()

    def on_time(self, home: Home, now: datetime) -> Iterable[Candidate]:
        """Time has passed."""
        return ()

    def found(self, news: str, thing: str, key: str, values: Mapping[str, str], now: datetime, *, urgent: bool = False) -> Candidate:
        """A candidate of this rule; `news` tells it from others of the rule."""
        text = render(self.template, values)
        return Candidate(f"{self.name}:{news}", self.name, thing, key, text, now, now + self.useful_for, urgent)
