"""Days, months and hours of a time zone, its daylight saving included. Times are seconds since 1970."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal, get_args
from zoneinfo import ZoneInfo

Resolution = Literal["1min", "15min", "1h", "1d"]
RESOLUTIONS: tuple[Resolution, ...] = get_args(Resolution)
LENGTH_S: dict[Resolution, int] = {"1min": 60, "15min": 900, "1h": 3_600, "1d": 86_400}


class Calendar:
    """A home's calendar. Minutes and quarters are those of UTC; hours are counted from local midnight, so that they make up a day."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._day_of_hour = lru_cache(maxsize=1_024)(self._day_at)

    def local(self, at_s: float) -> datetime:
        """The time on the wall."""
        return datetime.fromtimestamp(at_s, UTC).astimezone(self.zone)

    def day(self, at_s: int) -> tuple[int, int]:
        """Start and end of the local day; it lasts 23 to 25 hours."""
        start_s, end_s = self._day_of_hour(at_s // 900)
        return start_s, end_s

    def month(self, at_s: int) -> tuple[int, int]:
        """Start and end of the local month."""
        first = self.local(at_s).date().replace(day=1)
        return self.midnight(first), self.midnight((first + timedelta(days=32)).replace(day=1))

    def midnight(self, day: date) -> int:
        """When a day begins; where the clock jumps over midnight, when it jumps."""
        return int(datetime.combine(day, time(), self.zone).timestamp())

    def start(self, resolution: Resolution, at_s: int) -> int:
        """The start of the bucket that holds an instant."""
        if resolution == "1d":
            return self.day(at_s)[0]
        if resolution == "1h":
            day_s = self.day(at_s)[0]
            return at_s - (at_s - day_s) % 3_600
        return at_s - at_s % LENGTH_S[resolution]

    def days(self, start_s: int, end_s: int) -> Iterator[tuple[int, int]]:
        """Start and end of each local day that overlaps the range."""
        at_s = start_s
        while at_s < end_s:
            day = self.day(at_s)
            yield day
            at_s = day[1]

    def _day_at(self, quarter: int) -> tuple[int, int]:
        # Every offset in use today is a whole number of quarters: a quarter lies within one day.
        day = self.local(quarter * 900).date()
        return self.midnight(day), self.midnight(day + timedelta(days=1))
