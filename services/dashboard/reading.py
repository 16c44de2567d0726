"""What the pages History and Appliances ask the recorder, and what they make of it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.dashboard.desk import Desk, Resolution
from services.dashboard.domain.answers import Answer
from services.dashboard.domain.bars import heat, stack, standby_w
from services.dashboard.domain.chapter import Chapter, PowerRow, named, power_rows, totals
from services.dashboard.domain.periods import Period, PeriodName
from services.dashboard.domain.runs import Habit, Run, events_of, finished_runs, habit
from services.dashboard.domain.signature import shape

HABIT_DAYS = 30
_MOST_NAMED = 9
_DETAIL_POINTS = 1_200
_BAR: dict[PeriodName, Resolution] = {"day": "1h", "week": "1d", "month": "1d", "year": "1d"}


async def read_chapter(desk: Desk, period: Period) -> Chapter:
    """All of a period.

    Raises:
        Unanswered: the recorder does not answer.
    """
    start, end, before = period.start, period.end, period.earlier()
    used = await desk.ask("appliances", start, end, _BAR[period.name])
    names = named(used, _MOST_NAMED)
    home, hourly, power, previous, *parts = await asyncio.gather(
        desk.ask("energy", start, end, _BAR[period.name], points=400),
        desk.ask("energy", start, end, "1h", points=9_000),
        desk.ask("mains", start, end, points=_DETAIL_POINTS),
        desk.ask("appliances", before.start, _comparable_end(period, before, desk.now()), "1h"),
        *(desk.ask(f"energy/{name}", start, end, _BAR[period.name], points=400) for name in names),
    )
    return Chapter(
        period=period,
        bars=stack(period, home, dict(zip(names, parts, strict=True))),
        heat=heat(period, hourly),
        power=power_rows(power),
        standby_w=standby_w(power),
        before=totals(previous),
    )


def _comparable_end(period: Period, before: Period, now: datetime) -> datetime:
    """A period that is not over is compared with as much of the one before."""
    return before.end if period.is_over(now) else min(before.start + (now - period.start), before.end)


async def read_power(desk: Desk, start: datetime, end: datetime) -> tuple[PowerRow, ...]:
    """The power in a range, as closely as it is kept.

    Raises:
        Unanswered: the recorder does not answer.
    """
    return power_rows(await desk.ask("mains", start, end, points=_DETAIL_POINTS))


@dataclass(frozen=True)
class Portrait:
    """One appliance, as the past shows it."""

    habit: Habit | None
    month_kwh: float
    month_cost: float | None


async def read_portraits(desk: Desk) -> dict[str, Portrait]:
    """Every appliance that is known.

    Raises:
        Unanswered: the recorder does not answer.
    """
    now = desk.now()
    start = now - timedelta(days=HABIT_DAYS)
    runs = finished_runs(events_of((await desk.ask("events", start, now, points=20_000)).rows))
    used = await desk.ask("appliances", start, now, "1d")
    sums = _sums(used)
    days = _days_known(runs, start, now)
    return {
        name: Portrait(habit(runs.get(name, []), days), *sums.get(name, (0.0, None))) for name in sorted({*desk.home.names(), *runs, *sums})
    }


def _sums(used: Answer) -> dict[str, tuple[float, float | None]]:
    rows = zip(used.column("appliance"), used.column("energy_kwh"), used.column("cost"), strict=True)
    return {name: (energy_kwh, cost) for name, energy_kwh, cost in rows if name is not None}


def _days_known(runs: Mapping[str, list[Run]], start: datetime, now: datetime) -> float:
    """A home that was set up yesterday has not been idle for a month."""
    first = min((run.start for each in runs.values() for run in each), default=start)
    return max((now - max(first, start)).total_seconds() / 86_400, 1.0)


async def read_signature(desk: Desk, run: Run) -> list[tuple[datetime, float]]:
    """The shape of a run: the home's power above what it was just before.

    Raises:
        Unanswered: the recorder does not answer.
    """
    if run.end is None:
        return []
    margin = max((run.end - run.start) * 0.15, timedelta(minutes=2))
    rows = power_rows(await desk.ask("mains", run.start - margin, run.end + margin, points=240))
    return shape([(at, mean) for at, mean, _, _ in rows], run.start)
