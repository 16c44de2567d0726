"""Days, weeks, months and years of the home's calendar."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

PeriodName = Literal["day", "week", "month", "year"]
PERIODS: tuple[PeriodName, ...] = get_args(PeriodName)


@dataclass(frozen=True)
class Period:
    """A day, week (from Monday), month or year that begins on a date of the home's calendar."""

    name: PeriodName
    first: date
    zone: ZoneInfo

    @classmethod
    def holding(cls, name: PeriodName, moment: datetime, zone: ZoneInfo) -> "Period":
        """The period that an instant lies in."""
        day = moment.astimezone(zone).date()
        match name:
            case "day":
                return cls(name, day, zone)
            case "week":
                return cls(name, day - timedelta(days=day.weekday()), zone)
            case "month":
                return cls(name, day.replace(day=1), zone)
            case "year":
                return cls(name, day.replace(month=1, day=1), zone)

    @property
    def after(self) -> date:
        """The first date behind it."""
        match self.name:
            case "day":
                return self.first + timedelta(days=1)
            case "week":
                return self.first + timedelta(days=7)
            case "month":
                return _next_month(self.first)
            case "year":
                return self.first.replace(year=self.first.year + 1)

    @property
    def start(self) -> datetime:
        """When it begins, UTC."""
        return self._midnight(self.first)

    @property
    def end(self) -> datetime:
        """When it ends, UTC."""
        return self._midnight(self.after)

    def earlier(self) -> "Period":
        """The one before."""
        return Period.holding(self.name, self._midnight(self.first) - timedelta(hours=1), self.zone)

    def later(self) -> "Period":
        """The one behind."""
        return Period.holding(self.name, self.end + timedelta(hours=1), self.zone)

    def is_over(self, now: datetime) -> bool:
        """Whether all of it has passed."""
        return self.end <= now

    def slots(self) -> list[datetime]:
        """The starts of its bars: hours of a day, days of a week or month, months of a year."""
        if self.name == "day":
            hours = round((self.end - self.start).total_seconds() / 3_600)
            return [self.start + timedelta(hours=hour) for hour in range(hours)]
        dates, day = list[date](), self.first
        while day < self.after:
            dates.append(day)
            day = _next_month(day) if self.name == "year" else day + timedelta(days=1)
        return [self._midnight(day) for day in dates]

    def slot_labels(self) -> list[str]:
        """What stands below the bars."""
        forms = {"day": "%H", "week": "%a", "month": "%-d", "year": "%b"}
        return [slot.astimezone(self.zone).strftime(forms[self.name]) for slot in self.slots()]

    def title(self) -> str:
        """`Sunday 4 January 2015`, `29 December to 4 January 2015`, `January 2015`, `2015`."""
        match self.name:
            case "day":
                return f"{self.first:%A} {self.first.day} {self.first:%B %Y}"
            case "week":
                last = self.after - timedelta(days=1)
                return f"{self.first.day} {self.first:%B} \u2013 {last.day} {last:%B %Y}"
            case "month":
                return f"{self.first:%B %Y}"
            case "year":
                return f"{self.first:%Y}"

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
