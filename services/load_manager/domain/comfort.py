"""What a household puts up with: how long a load may be held back, how long it rests between, and when never."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from hems.contracts.demand import DemandLevel

_PRIORITIES: dict[DemandLevel, float] = {"normal": 0, "moderate": 1, "high": 2, "special": float("inf")}


@dataclass(frozen=True)
class Hours:
    """A span of local time of day, `starts` to `ends`; it may pass midnight."""

    starts: time
    ends: time

    def hold(self, local: datetime) -> bool:
        """Whether a moment, in local time, lies in it."""
        now = local.time().replace(tzinfo=None)
        if self.starts <= self.ends:
            return self.starts <= now < self.ends
        return now >= self.starts or now < self.ends

    @property
    def length(self) -> timedelta:
        """By the clock on the wall, without its changes; nothing where they begin when they end."""
        starts, ends = (timedelta(hours=at.hour, minutes=at.minute, seconds=at.second) for at in (self.starts, self.ends))
        return (ends - starts) % timedelta(days=1)

    def around(self, local: datetime) -> tuple[datetime, datetime] | None:
        """Their beginning and end around a moment, in local time; None where it does not lie in them."""
        if not self.hold(local):
            return None
        over_midnight = timedelta(days=1) if self.starts > self.ends else timedelta(0)
        first = local.date() - (over_midnight if local.time().replace(tzinfo=None) < self.starts else timedelta(0))
        return datetime.combine(first, self.starts, local.tzinfo), datetime.combine(first + over_midnight, self.ends, local.tzinfo)


@dataclass(frozen=True)
class Sheddable:
    """One load that may be held back. What is not named so never is.

    Attributes:
        priority: 1 goes first; `moderate` takes 1, `high` 1 and 2, `special` all.
        longest_off_s: the longest time at a stretch.
        rest_s: how long it is left alone after that.
        never: hours in which it is left alone.
        power_w: what it draws; measured when it is shed, if absent.
    """

    relay: str
    priority: int
    longest_off_s: float
    rest_s: float = 0.0
    never: tuple[Hours, ...] = ()
    power_w: float | None = None

    def meets(self, level: DemandLevel) -> bool:
        """Whether an event of this level concerns it."""
        return self.priority <= _PRIORITIES[level]

    def tolerates(self, local: datetime) -> bool:
        """Whether this is an hour in which it may be held back."""
        return not any(hours.hold(local) for hours in self.never)

    def longest_until(self, since: datetime) -> datetime:
        """When it has been held back for long enough."""
        return since + timedelta(seconds=self.longest_off_s)

    def rested(self, last_end: datetime | None, now: datetime) -> bool:
        """Whether it has rested since it was held back last."""
        return last_end is None or now >= last_end + timedelta(seconds=self.rest_s)
