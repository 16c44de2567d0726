"""Schedules: from a time, or the sun's, for a while, on some days."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

from hems.contracts.relays import Level
from services.load_manager.domain.best_hours import Best
from services.load_manager.domain.comfort import Hours

SunEvent = Literal["sunrise", "sunset"]
SunAt = Callable[[SunEvent, date], datetime | None]
"""When the sun rises or sets on a local date; None where it does not."""


@dataclass(frozen=True)
class Beginning:
    """A local time of day, the sun's with an offset, or the best time of some hours."""

    at: time | None = None
    sun: SunEvent | None = None
    offset: timedelta = timedelta()
    best: Best | None = None


@dataclass(frozen=True)
class Schedule:
    """Holds a relay in a state, `lasts` long from `begins`, on `days` (0 is Monday) of the local calendar.

    Attributes:
        between: the hours in which the best time is looked for.
    """

    relay: str
    state: Level
    begins: Beginning
    lasts: timedelta
    days: frozenset[int]
    between: Hours | None = None

    @property
    def name(self) -> str:
        """What tells it from the relay's others, for one that looks for the best time."""
        return f"{self.relay} {self.begins.best} {self.between.starts:%H:%M}-{self.between.ends:%H:%M}" if self.between else self.relay

    def span_at(self, local: datetime, sun_at: SunAt) -> tuple[datetime, datetime] | None:
        """The span that a moment lies in, or None."""
        days_back = self.lasts.days + 1
        for back in range(days_back + 1):
            starts = self._start_on(local.date() - timedelta(days=back), local, sun_at)
            # Elapsed time, not the wall's: a night of four hours is four hours, summer time or not.
            if starts is not None and starts.timestamp() <= local.timestamp() < starts.timestamp() + self.lasts.total_seconds():
                ends = datetime.fromtimestamp(starts.timestamp() + self.lasts.total_seconds(), tz=local.tzinfo)
                return starts, ends
        return None

    def _start_on(self, day: date, local: datetime, sun_at: SunAt) -> datetime | None:
        if day.weekday() not in self.days:
            return None
        if self.begins.at is not None:
            return datetime.combine(day, self.begins.at, tzinfo=local.tzinfo)
        sun = sun_at(self.begins.sun or "sunset", day)
        return None if sun is None else sun.astimezone(local.tzinfo) + self.begins.offset
