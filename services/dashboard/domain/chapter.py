"""A chapter of the history: one period, as the page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.dashboard.domain.answers import Answer
from services.dashboard.domain.bars import Bars, Heat
from services.dashboard.domain.figures import Figures, change, percent
from services.dashboard.domain.periods import Period
from services.dashboard.domain.texts import Texts

_SMALL_CHANGE = 0.03
_HOURS_A_YEAR = 8_766

PowerRow = tuple[datetime, float, float, float]
"""Time, mean, lowest and highest power, W."""


@dataclass(frozen=True)
class Totals:
    """What the home used in a period; None where nothing is known."""

    energy_kwh: float | None = None
    cost: float | None = None


@dataclass(frozen=True)
class Chapter:
    """One period."""

    period: Period
    bars: Bars
    heat: Heat
    power: tuple[PowerRow, ...]
    standby_w: float | None
    before: Totals


@dataclass(frozen=True)
class Fact:
    """A figure and what there is to say of it."""

    label: str
    value: str
    note: str = ""
    better: bool | None = None


def totals(answer: Answer) -> Totals:
    """The home's own line of an answer about `appliances`."""
    for name, energy_kwh, cost in zip(answer.column("appliance"), answer.column("energy_kwh"), answer.column("cost"), strict=True):
        if name is None:
            return Totals(energy_kwh, cost)
    return Totals()


def named(answer: Answer, most: int) -> list[str]:
    """The appliances of an answer about `appliances`, the largest first."""
    found = zip(answer.column("appliance"), answer.column("energy_kwh"), strict=True)
    used = sorted(((energy_kwh, name) for name, energy_kwh in found if name is not None and energy_kwh > 0), reverse=True)
    return [name for _, name in used[:most]]


def power_rows(answer: Answer) -> tuple[PowerRow, ...]:
    """An answer about `mains`, without what it does not know."""
    found = zip(answer.moments(), answer.column("mean_w"), answer.column("min_w"), answer.column("max_w"), strict=True)
    return tuple((at, mean, low, high) for at, mean, low, high in found if None not in (mean, low, high))


def facts(chapter: Chapter, texts: Texts, figures: Figures) -> list[Fact]:
    """Used, spent, always on; the first two against the period before."""
    home, name = chapter.bars.home, texts(f"p_{chapter.period.name}")
    found = [Fact(texts("used"), figures.energy(home.total_kwh), *_compared(home.total_kwh, chapter.before.energy_kwh, name, texts))]
    cost = home.total_cost
    if cost is not None:
        found.append(Fact(texts("spent"), figures.money(cost), *_compared(cost, chapter.before.cost, name, texts)))
    if chapter.standby_w is not None:
        found.append(Fact(texts("standby"), figures.power(chapter.standby_w), _standby_note(chapter, texts, figures)))
    return found


def _compared(now: float, before: float | None, period: str, texts: Texts) -> tuple[str, bool | None]:
    relative = None if before is None else change(now, before)
    if relative is None:
        return texts("compared_none", period=period), None
    if abs(relative) < _SMALL_CHANGE:
        return texts("compared_same", period=period), None
    word = texts("more" if relative > 0 else "less")
    return texts("compared", percent=percent(abs(relative)), word=word, period=period), relative < 0


def _standby_note(chapter: Chapter, texts: Texts, figures: Figures) -> str:
    year_kwh = (chapter.standby_w or 0.0) * _HOURS_A_YEAR / 1_000
    home = chapter.bars.home
    if home.total_cost is None or home.total_kwh <= 0:
        return texts("standby_energy", energy=figures.energy(year_kwh))
    return texts("standby_said", energy=figures.energy(year_kwh), cost=figures.money(year_kwh * home.total_cost / home.total_kwh))


def power_table(rows: Sequence[PowerRow]) -> list[list[object]]:
    """The rows of the detail's file."""
    return [[at.isoformat(), mean, low, high] for at, mean, low, high in rows]
