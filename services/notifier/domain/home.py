"""What the notifier knows of the home: what must survive it, and what it hears again anyway."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo

from hems.contracts.demand import DemandLevel, DemandState
from hems.contracts.energy import Energy, Series, SeriesValue
from services.notifier.domain.hours import local_date

NEWS_FOR = timedelta(minutes=2)
"""What is older when it arrives is history: counted, never announced."""

_DAYS_KEPT = 16
_MOST_TOLD = 400
_PRICES_KEPT = timedelta(days=2)


@dataclass
class Runs:
    """How often an appliance ran on a day, and what that took."""

    count: int = 0
    energy_kwh: float = 0.0


@dataclass
class Day:
    """One calendar day of the home."""

    energy_kwh: float | None = None
    cost: float | None = None
    runs: dict[str, Runs] = field(default_factory=dict[str, Runs])


@dataclass(frozen=True)
class OpenDemand:
    """A demand event that was announced and has not ended."""

    level: DemandLevel
    ends_at: datetime


@dataclass
class Memory:
    """What must survive a restart.

    Attributes:
        told: what has been told, by a key of the rule that told it; a key leaves when its story is over.
        days: the calendar days of the last fortnight.
        demands: open demand events by their id.
        online: whether each service was there when last heard of.
        counted: ids of events that are in `days` already.
        answered: ids of people's messages that were read.
    """

    told: dict[str, str] = field(default_factory=dict[str, str])
    days: dict[date, Day] = field(default_factory=dict[date, Day])
    demands: dict[str, OpenDemand] = field(default_factory=dict[str, OpenDemand])
    online: dict[str, bool] = field(default_factory=dict[str, bool])
    counted: list[str] = field(default_factory=list[str])
    answered: list[str] = field(default_factory=list[str])

    def tell(self, key: str, value: str = "") -> bool:
        """Note that this has been told; False where it had been, with the same value."""
        if self.told.get(key) == value:
            return False
        self.told.pop(key, None)
        self.told[key] = value
        for oldest in list(self.told)[:-_MOST_TOLD]:
            del self.told[oldest]
        return True

    def day(self, day: date) -> Day:
        """The record of a day; old ones go."""
        record = self.days.setdefault(day, Day())
        for old in sorted(self.days)[:-_DAYS_KEPT]:
            del self.days[old]
        return record

    def note_answered(self, message_id: str) -> None:
        """Note a person's message as read."""
        self.answered = [*self.answered[-_MOST_TOLD:], message_id]

    def count(self, event_id: str) -> bool:
        """Note an event as counted; False where it was."""
        if event_id in self.counted:
            return False
        self.counted = [*self.counted[-_MOST_TOLD:], event_id]
        return True


@dataclass
class Home:
    """The home as it is known now.

    Attributes:
        began: since when this notifier listens.
        since: silence is counted from here at the earliest.
        pulse: a service that lives is heard at least this often.
        mains_at: when the meter was last heard.
        heard_at: when each service was last heard.
        offline_since: services that said, or whose will said, that they are gone.
        above_since: since when the power is above a rule's limit, by the rule's name.
    """

    zone: tzinfo
    currency: str
    began: datetime
    since: datetime
    memory: Memory = field(default_factory=Memory)
    pulse: timedelta = NEWS_FOR
    energy: Energy | None = None
    demand: DemandState | None = None
    mains_at: datetime | None = None
    power_w: float | None = None
    heard_at: dict[str, datetime] = field(default_factory=dict[str, datetime])
    offline_since: dict[str, datetime] = field(default_factory=dict[str, datetime])
    running_since: dict[str, datetime] = field(default_factory=dict[str, datetime])
    above_since: dict[str, datetime] = field(default_factory=dict[str, datetime])
    prices: dict[datetime, SeriesValue] = field(default_factory=dict[datetime, SeriesValue])

    def today(self, now: datetime) -> date:
        """The calendar day here."""
        return local_date(now, self.zone)

    def note_energy(self, energy: Energy) -> None:
        """Take the counters of today."""
        if self.energy is not None and energy.as_of < self.energy.as_of:
            return
        self.energy = energy
        day = self.memory.day(self.today(energy.as_of))
        day.energy_kwh, day.cost = energy.today_kwh, energy.today_cost

    def note_run(self, appliance: str, event_id: str, at: datetime, energy_kwh: float | None) -> None:
        """Count a finished run into the day on which it ended, once, however late it is known."""
        if self.memory.count(event_id):
            runs = self.memory.day(self.today(at)).runs.setdefault(appliance, Runs())
            runs.count += 1
            runs.energy_kwh += energy_kwh or 0.0

    def note_prices(self, series: Series, now: datetime) -> None:
        """Keep the prices of the last two days, so that a run that is over can be priced."""
        kept = {start: price for start, price in self.prices.items() if price.end > now - _PRICES_KEPT}
        self.prices = kept | {price.start: price for price in series.values}

    def cost(self, energy_kwh: float, start: datetime, end: datetime) -> float | None:
        """What energy cost that was drawn evenly over a span; None while no price is known."""
        shares = [(_overlap_s(price, start, end), price.value) for price in self.prices.values()]
        priced_s = sum(share_s for share_s, _ in shares)
        if priced_s >= 0.9 * max((end - start).total_seconds(), 1.0):
            return energy_kwh * sum(share_s * value for share_s, value in shares) / priced_s
        rate = self.energy.rate if self.energy else None
        return None if rate is None else energy_kwh * rate


def is_news(at: datetime, now: datetime) -> bool:
    """Whether what happened, or was found out, at that time is still worth announcing."""
    return abs(now - at) <= NEWS_FOR


def total(days: Mapping[date, Day], first: date, count: int) -> Day | None:
    """The sum over `count` days from `first`; None where no day is known."""
    known = [days[day] for day in (first + timedelta(days=place) for place in range(count)) if day in days]
    metered = [day for day in known if day.energy_kwh is not None]
    if not metered:
        return None
    costs = [day.cost for day in metered if day.cost is not None]
    summed = Day(sum(day.energy_kwh or 0.0 for day in metered), sum(costs) if costs else None)
    for day in known:
        for appliance, runs in day.runs.items():
            into = summed.runs.setdefault(appliance, Runs())
            into.count, into.energy_kwh = into.count + runs.count, into.energy_kwh + runs.energy_kwh
    return summed


def stamp(moment: datetime) -> str:
    """A time as part of an id."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _overlap_s(price: SeriesValue, start: datetime, end: datetime) -> float:
    return max((min(price.end, end) - max(price.start, start)).total_seconds(), 0.0)
