"""The counters of one home or of many, out of the days' sums."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from services.recorder.domain.calendar import Calendar
from services.recorder.domain.counters import Counter
from services.recorder.domain.tariff import Pricing
from services.recorder.tables import EXPORT, HOME, counters, days, gaps

_Sums = Mapping[tuple[int, int], Sequence[Any]]


@dataclass(frozen=True)
class Counted:
    """One home whose counters are wanted: its appliances' numbers by name, and what energy costs it."""

    subjects: Mapping[str, int]
    pricing: Pricing


def read_counters(connection: Connection, homes: Mapping[int, Counted], now_s: int, calendar: Calendar) -> dict[int, list[Counter]]:
    """All counters of each home, the home's own first."""
    today_s, month_s = calendar.day(now_s)[0], calendar.month(now_s)[0]
    own = days.c.home.in_(homes)
    sums = (func.sum(days.c.imported_mj), func.sum(days.c.exported_mj), func.sum(days.c.cost_nano))
    grouped = select(days.c.home, days.c.subject, *sums).where(own).group_by(days.c.home, days.c.subject)
    total, month, today = (
        {(home, subject): values for home, subject, *values in connection.execute(statement)}
        for statement in (grouped, grouped.where(days.c.at_s >= month_s), grouped.where(days.c.at_s == today_s))
    )
    kept = {
        (row[0], row[1]): row[2:]
        for row in connection.execute(
            select(counters.c.home, counters.c.subject, counters.c.carried_mj, counters.c.floor_mj).where(counters.c.home.in_(homes))
        )
    }
    holes = select(gaps.c.home, func.sum(gaps.c.estimate_mj)).where(gaps.c.home.in_(homes)).group_by(gaps.c.home)
    missed = {home: int(estimate_mj) for home, estimate_mj in connection.execute(holes)}
    began = select(days.c.home, func.min(days.c.at_s)).where(own, days.c.subject == HOME).group_by(days.c.home)
    first = {home: int(at_s) for home, at_s in connection.execute(began)}
    return {
        home: [
            _counter(home, name, subject, total, month, today, kept, _standing(counted.pricing, calendar, first.get(home), now_s), missed)
            for name, subject in ((None, HOME), *counted.subjects.items())
        ]
        for home, counted in homes.items()
    }


def _counter(
    home: int,
    name: str | None,
    subject: int,
    total: _Sums,
    month: _Sums,
    today: _Sums,
    kept: _Sums,
    standing: tuple[int, int],
    missed: Mapping[int, int],
) -> Counter:
    own_today, own_month = standing if subject == HOME else (0, 0)
    return Counter(
        subject=name,
        total_mj=_never_less(kept, home, subject, _sum(total, home, subject, 0)),
        exported_mj=_never_less(kept, home, EXPORT, _sum(total, home, HOME, 1)) if subject == HOME else 0,
        today_mj=_sum(today, home, subject, 0),
        month_mj=_sum(month, home, subject, 0),
        today_nano=_cost(today, home, subject, own_today),
        month_nano=_cost(month, home, subject, own_month),
        gap_mj=missed.get(home, 0) if subject == HOME else 0,
    )


def _never_less(kept: _Sums, home: int, counter: int, counted_mj: int) -> int:
    carried_mj, floor_mj = kept.get((home, counter), (0, 0))
    return max(int(floor_mj), int(carried_mj) + counted_mj)


def _standing(pricing: Pricing, calendar: Calendar, first_s: int | None, now_s: int) -> tuple[int, int]:
    """The standing charge of today, and of the days of this month since the history begins."""
    if first_s is None:
        return 0, 0
    start_s = max(calendar.month(now_s)[0], first_s)
    charges = [pricing.standing_nano(day_s) for day_s, _ in calendar.days(start_s, now_s + 1)]
    return pricing.standing_nano(calendar.day(now_s)[0]), sum(charges)


def _sum(sums: _Sums, home: int, subject: int, column: int) -> int:
    return int((sums.get((home, subject)) or (0, 0, 0))[column] or 0)


def _cost(sums: _Sums, home: int, subject: int, standing_nano: int) -> int | None:
    cost_nano = (sums.get((home, subject)) or (0, 0, None))[2]
    return None if cost_nano is None else int(cost_nano) + standing_nano
