"""Rules about what the home uses over time: budgets and digests."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import ClassVar, Literal

from hems.contracts.energy import Energy
from services.notifier.domain.home import Day, Home, is_news, total
from services.notifier.domain.hours import midnight, week_of
from services.notifier.domain.rule import Candidate, Rule
from services.notifier.domain.wording import energy, listed, money, name_of

Period = Literal["day", "week", "month"]

_POSSESSIVE: dict[Period, str] = {"day": "Today's", "week": "This week's", "month": "This month's"}
_MOST_APPLIANCES = 4


@dataclass(frozen=True, kw_only=True)
class Budget(Rule):
    """Energy or cost nears a limit (`warn_at` of it), and goes over it: each is told once a period, with a forecast.

    The forecast carries the pace so far on to the period's end. A week sums the days that were heard of.
    """

    fields: ClassVar[frozenset[str]] = frozenset({"period", "used", "limit", "percent", "forecast"})

    period: Period
    energy_kwh: float | None = None
    cost: float | None = None
    warn_at: float = 0.8

    def on_energy(self, home: Home, energy: Energy, now: datetime) -> Iterable[Candidate]:
        """See how much of the budget is used."""
        if not is_news(energy.as_of, now):
            return
        for unit, limit, used in (("kWh", self.energy_kwh, self._used_kwh(home, energy)), ("cost", self.cost, self._cost(home, energy))):
            if limit is not None and used is not None and used >= self.warn_at * limit:
                yield from self._told_once(home, energy, unit, limit, used, now)

    def _told_once(self, home: Home, energy: Energy, unit: str, limit: float, used: float, now: datetime) -> Iterable[Candidate]:
        start, end = span_of(self.period, home.today(energy.as_of))
        stage = "over" if used >= limit else "near"
        told = home.memory.told.get(f"{self.name}/{unit}")
        if told in (f"{start}/{stage}", f"{start}/over"):
            return
        home.memory.tell(f"{self.name}/{unit}", f"{start}/{stage}")
        began = midnight(start, home.zone)
        passed = (energy.as_of - began) / (midnight(end, home.zone) - began)
        shown = _money(home, energy) if unit == "cost" else _kwh
        values = {
            "period": _POSSESSIVE[self.period],
            "used": shown(used),
            "limit": shown(limit),
            "percent": f"{used / limit:.0%}",
            "forecast": shown(used / max(passed, 0.01)),
        }
        thing = f"budget/{self.period}/{unit}"
        yield self.found(f"{unit}/{start}/{stage}", thing, f"{thing}/{start}/{stage}", values, now)

    def _used_kwh(self, home: Home, energy: Energy) -> float | None:
        if self.period == "week":
            week = self._week(home, energy)
            return week.energy_kwh if week else None
        return energy.today_kwh if self.period == "day" else energy.month_kwh

    def _cost(self, home: Home, energy: Energy) -> float | None:
        if self.period == "week":
            week = self._week(home, energy)
            return week.cost if week else None
        return energy.today_cost if self.period == "day" else energy.month_cost

    def _week(self, home: Home, energy: Energy) -> Day | None:
        return total(home.memory.days, week_of(home.today(energy.as_of)), 7)


@dataclass(frozen=True, kw_only=True)
class Digest(Rule):
    """What the last day, or the last week, has brought: at a time of day by the wall clock, once."""

    fields: ClassVar[frozenset[str]] = frozenset({"period", "totals", "before", "appliances"})

    period: Literal["day", "week"]
    at: time
    weekday: int = 0

    def on_time(self, home: Home, now: datetime) -> Iterable[Candidate]:
        """Tell once it is time; a digest that is later than it is useful waits for the next one."""
        local = now.astimezone(home.zone)
        if local.time() < self.at or (self.period == "week" and local.weekday() != self.weekday):
            return
        today = local.date()
        if not home.memory.tell(self.name, today.isoformat()):
            return
        due = datetime.combine(today, self.at, home.zone)
        if now - due <= self.useful_for:
            yield from self._digest(home, today, now)

    def _digest(self, home: Home, today: date, now: datetime) -> Iterable[Candidate]:
        length = 1 if self.period == "day" else 7
        first = today - timedelta(days=length)
        last, before = (total(home.memory.days, day, length) for day in (first, first - timedelta(days=length)))
        if last is None:
            return
        values = {
            "period": f"Yesterday ({first:%a})" if self.period == "day" else "The last 7 days",
            "totals": _totals(home, last),
            "before": f" (before: {_totals(home, before)})" if before else "",
            "appliances": _appliances(last),
        }
        yield self.found(today.isoformat(), f"digest/{self.period}", f"digest/{self.period}/{today}", values, now)


def span_of(period: Period, day: date) -> tuple[date, date]:
    """The first day of the period that a day is in, and the first day after it."""
    if period == "day":
        return day, day + timedelta(days=1)
    if period == "week":
        return week_of(day), week_of(day) + timedelta(days=7)
    first = day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1)


def _totals(home: Home, day: Day) -> str:
    spent = money(day.cost, home.currency) if day.cost is not None else ""
    return listed([energy(day.energy_kwh or 0.0), spent])


def _appliances(day: Day) -> str:
    """Those that ran, the hungriest first."""
    ranked = sorted(day.runs.items(), key=lambda entry: (-entry[1].energy_kwh, -entry[1].count, entry[0]))
    told = [f"{name_of(name)} {runs.count}x {energy(runs.energy_kwh)}" for name, runs in ranked[:_MOST_APPLIANCES]]
    return f" {listed(told)}." if told else ""


def _kwh(amount: float) -> str:
    return energy(amount)


def _money(home: Home, heard: Energy) -> Callable[[float], str]:
    return lambda amount: money(amount, heard.currency or home.currency)
