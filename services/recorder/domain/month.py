"""The figures of a month's report."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from services.recorder.domain.calendar import Calendar
from services.recorder.domain.energy import MJ_PER_KWH
from services.recorder.domain.tariff import NANO


@dataclass(frozen=True)
class Bucket:
    """A roll-up's energy and cost. `subject` is None for the home."""

    at_s: int
    subject: str | None
    imported_mj: int
    exported_mj: int = 0
    cost_nano: int | None = None
    covered_ms: int = 0


@dataclass(frozen=True)
class Use:
    """An appliance's part."""

    appliance: str
    energy_kwh: float
    cost: float | None
    share: float


@dataclass(frozen=True)
class Month:
    """A month of a home, in local days and hours.

    Attributes:
        cost: with the standing charge; None without a tariff.
        standby_w: the median over the days of each day's lowest quarter of an hour.
        by_day: each day that has a figure, kWh.
        by_hour: mean use in each of the 24 hours of the clock, kWh.
        missed_kwh: estimated for the holes between readings; in no sum.
        before_kwh, before_cost: the month before, up to the same day of the month where this one has not ended.
    """

    first: date
    currency: str
    energy_kwh: float
    exported_kwh: float
    cost: float | None
    standing: float
    standby_w: float | None
    by_day: tuple[tuple[date, float], ...]
    by_hour: tuple[float, ...]
    appliances: tuple[Use, ...]
    missed_kwh: float
    before_kwh: float
    before_cost: float | None

    @property
    def unnamed_kwh(self) -> float:
        """What no appliance accounts for."""
        return max(0.0, self.energy_kwh - sum(use.energy_kwh for use in self.appliances))

    @property
    def standby_kwh(self) -> float | None:
        """What the standby power makes of the days that have figures."""
        return None if self.standby_w is None else self.standby_w * 24 * len(self.by_day) / 1_000


def month_report(
    first: date,
    currency: str,
    calendar: Calendar,
    *,
    days: Sequence[Bucket],
    hours: Sequence[Bucket],
    quarters: Sequence[Bucket],
    before: Sequence[Bucket],
    standing_nano: int,
    before_standing_nano: int,
    missed_mj: int = 0,
) -> Month:
    """Work the figures out.

    Args:
        first: the month's first day.
        days: of this month, for the home and each appliance.
        hours: of this month, for the home.
        quarters: of this month, for the home.
        before: days of the month before, for the home.
    """
    home = [day for day in days if day.subject is None]
    return Month(
        first=first,
        currency=currency,
        energy_kwh=_kwh(home),
        exported_kwh=sum(day.exported_mj for day in home) / MJ_PER_KWH,
        cost=_cost(home, standing_nano),
        standing=standing_nano / NANO,
        standby_w=_standby_w(quarters, calendar),
        by_day=tuple((calendar.local(day.at_s).date(), day.imported_mj / MJ_PER_KWH) for day in home),
        by_hour=_by_hour(hours, calendar),
        appliances=_uses([day for day in days if day.subject is not None], _kwh(home)),
        missed_kwh=missed_mj / MJ_PER_KWH,
        before_kwh=_kwh(before),
        before_cost=_cost(before, before_standing_nano),
    )


def _kwh(buckets: Sequence[Bucket]) -> float:
    return sum(bucket.imported_mj for bucket in buckets) / MJ_PER_KWH


def _cost(buckets: Sequence[Bucket], standing_nano: int = 0) -> float | None:
    known = [bucket.cost_nano for bucket in buckets if bucket.cost_nano is not None]
    return (sum(known) + standing_nano) / NANO if known else None


def _by_hour(hours: Sequence[Bucket], calendar: Calendar) -> tuple[float, ...]:
    found: list[list[float]] = [[] for _ in range(24)]
    for hour in hours:
        found[calendar.local(hour.at_s).hour].append(hour.imported_mj / MJ_PER_KWH)
    return tuple(sum(uses) / len(uses) if uses else 0.0 for uses in found)


def _standby_w(quarters: Sequence[Bucket], calendar: Calendar) -> float | None:
    lowest: dict[int, float] = {}
    for quarter in quarters:
        if quarter.covered_ms >= 600_000:
            mean_w = quarter.imported_mj / quarter.covered_ms
            day_s = calendar.day(quarter.at_s)[0]
            lowest[day_s] = min(lowest.get(day_s, mean_w), mean_w)
    return median(lowest.values()) if lowest else None


def _uses(days: Sequence[Bucket], home_kwh: float) -> tuple[Use, ...]:
    by_name: dict[str, list[Bucket]] = {}
    for day in days:
        by_name.setdefault(day.subject or "", []).append(day)
    uses = [
        Use(name, energy_kwh := _kwh(found), _cost(found), energy_kwh / home_kwh if home_kwh else 0.0) for name, found in by_name.items()
    ]
    return tuple(sorted(uses, key=lambda use: -use.energy_kwh))
