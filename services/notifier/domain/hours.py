"""Hours of the day by the wall clock of a place, over its daylight-saving changes."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

_PATTERN = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class DayHours:
    """From `start` up to, and without, `end`, by the clock on the wall; over midnight where `end` is the earlier one."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "DayHours":
        """Read `22:00-07:00`.

        Raises:
            ValueError: it is written another way, or holds no time.
        """
        found = _PATTERN.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} is not a span of the day; one is '22:00-07:00'")
        hours = [int(part) for part in found.groups()]
        start, end = time(hours[0], hours[1]), time(hours[2], hours[3])
        if start == end:
            raise ValueError(f"{text!r} begins when it ends; give two different times")
        return cls(start, end)

    def contain(self, moment: datetime, zone: tzinfo) -> bool:
        """Whether the wall clock of `zone` then shows a time in them."""
        shown = moment.astimezone(zone).time()
        if self.start < self.end:
            return self.start <= shown < self.end
        return shown >= self.start or shown < self.end

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


def local_date(moment: datetime, zone: tzinfo) -> date:
    """The calendar day of a place."""
    return moment.astimezone(zone).date()


def midnight(day: date, zone: tzinfo) -> datetime:
    """When a calendar day begins in a place."""
    return datetime.combine(day, time(), zone)


def week_of(day: date) -> date:
    """The Monday of its week."""
    return day - timedelta(days=day.weekday())
