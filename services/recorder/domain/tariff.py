"""What energy costs: rates by season, weekday and time of day, tiers, half-hourly prices, a standing charge.

Money is counted in billionths of a currency unit, in whole numbers, so that sums are exact.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.recorder.domain.calendar import Calendar
from services.recorder.domain.energy import MJ_PER_KWH

NANO = 1_000_000_000
EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True)
class Tier:
    """A price up to a use in the tier period; the last tier has no end."""

    per_kwh: float
    up_to_kwh: float | None = None


@dataclass(frozen=True)
class Rate:
    """Prices, and when they hold on the wall clock.

    Attributes:
        start_minute: of the local day; a span from late to early goes over midnight, and belongs to the day on which the clock stands.
        weekdays: 0 is Monday.
        season: first and last (month, day), both included; may go over the new year.
    """

    tiers: tuple[Tier, ...]
    start_minute: int = 0
    end_minute: int = 1_440
    weekdays: frozenset[int] = EVERY_DAY
    season: tuple[tuple[int, int], tuple[int, int]] = ((1, 1), (12, 31))

    def holds(self, local: datetime) -> bool:
        """Whether it holds at a local time."""
        return local.weekday() in self.weekdays and self._in_season(local) and self._in_hours(local.hour * 60 + local.minute)

    def _in_season(self, local: datetime) -> bool:
        first, last = self.season
        today = (local.month, local.day)
        return first <= today <= last if first <= last else today >= first or today <= last

    def _in_hours(self, minute: int) -> bool:
        start, end = self.start_minute, self.end_minute
        return start <= minute < end if start < end else minute >= start or minute < end


class PriceSeries:
    """Values that each hold for a span of time."""

    def __init__(self, values: Iterable[tuple[int, int, float]] = ()) -> None:
        self._values = sorted(values)
        self._starts = [start_s for start_s, _, _ in self._values]

    def at(self, at_s: int) -> float | None:
        """The value that holds, or None where none is known."""
        place = bisect_right(self._starts, at_s) - 1
        if place < 0 or at_s >= self._values[place][1]:
            return None
        return self._values[place][2]

    def from_now_on(self, at_s: int) -> list[tuple[int, int, float]]:
        """Those that have not ended."""
        return [value for value in self._values if value[1] > at_s]


@dataclass(frozen=True)
class Tariff:
    """A supplier's prices.

    Attributes:
        rates: the first that holds counts.
        by_series: prices come from a series; `rates` then only fill its holes.
        tier_period: in which the use is counted for the tiers.
    """

    rates: tuple[Rate, ...] = ()
    standing_charge_per_day: float = 0.0
    export_per_kwh: float = 0.0
    by_series: bool = False
    tier_period: Literal["day", "month"] = "month"

    @property
    def has_tiers(self) -> bool:
        """Whether the price depends on the use so far."""
        return any(len(rate.tiers) > 1 for rate in self.rates)

    def tiers(self, local: datetime, price: float | None) -> tuple[Tier, ...]:
        """The prices at a local time; none where nothing is known.

        Args:
            price: the series' value at that time.
        """
        if self.by_series and price is not None:
            return (Tier(price),)
        return next((rate.tiers for rate in self.rates if rate.holds(local)), ())


@dataclass(frozen=True)
class Version:
    """A tariff, and from when it counted."""

    since_s: int
    tariff: Tariff


@dataclass(frozen=True)
class Pricing:
    """All that a minute's cost depends on."""

    versions: Sequence[Version]
    calendar: Calendar
    prices: PriceSeries = field(default_factory=PriceSeries)

    def tariff(self, at_s: int) -> Tariff | None:
        """The tariff in force; before the first, the first."""
        if not self.versions:
            return None
        return next((version.tariff for version in reversed(self.versions) if version.since_s <= at_s), self.versions[0].tariff)

    def tier_period(self, at_s: int) -> tuple[int, int] | None:
        """Start and end of the period in which use is counted, or None where there are no tiers."""
        tariff = self.tariff(at_s)
        if tariff is None or not tariff.has_tiers:
            return None
        return self.calendar.month(at_s) if tariff.tier_period == "month" else self.calendar.day(at_s)

    def price(self, at_s: int, used_mj: int = 0) -> float | None:
        """What the next kWh costs."""
        tariff = self.tariff(at_s)
        tiers = tariff.tiers(self.calendar.local(at_s), self.prices.at(at_s)) if tariff else ()
        open_tiers = [tier for tier in tiers if tier.up_to_kwh is None or used_mj < tier.up_to_kwh * MJ_PER_KWH]
        return open_tiers[0].per_kwh if open_tiers else None

    def cost_nano(self, at_s: int, imported_mj: int, exported_mj: int = 0, used_mj: int = 0) -> int | None:
        """What a minute costs, or None where no price is known.

        Args:
            used_mj: in the tier period before this minute.
        """
        tariff = self.tariff(at_s)
        if tariff is None:
            return None
        tiers = tariff.tiers(self.calendar.local(at_s), self.prices.at(at_s))
        if not tiers:
            return None
        return tiered_nano(tiers, imported_mj, used_mj) - _nano(exported_mj, tariff.export_per_kwh)

    def standing_nano(self, at_s: int) -> int:
        """The standing charge of the local day."""
        tariff = self.tariff(at_s)
        return round(tariff.standing_charge_per_day * NANO) if tariff else 0


def tiered_nano(tiers: Sequence[Tier], energy_mj: int, used_mj: int) -> int:
    """The cost of some energy after some use, each part at its tier's price."""
    cost_nano, at_mj, end_mj = 0, used_mj, used_mj + energy_mj
    for tier in tiers:
        limit_mj = end_mj if tier.up_to_kwh is None else min(end_mj, round(tier.up_to_kwh * MJ_PER_KWH))
        if limit_mj > at_mj:
            cost_nano += _nano(limit_mj - at_mj, tier.per_kwh)
            at_mj = limit_mj
    return cost_nano


def _nano(energy_mj: int, per_kwh: float) -> int:
    # In whole numbers: a float would lose the last digits of a large sum.
    return (energy_mj * round(per_kwh * NANO) + MJ_PER_KWH // 2) // MJ_PER_KWH
