"""Counters, prices and budgets as messages."""

from collections.abc import Sequence
from datetime import UTC, datetime

from hems.contracts.alerts import Alert
from hems.contracts.energy import Energy, Series, SeriesValue
from services.recorder.domain.counters import Counter
from services.recorder.domain.energy import MJ_PER_KWH
from services.recorder.domain.tariff import NANO, Pricing

_HALF_HOUR_S = 1_800
_AHEAD_S = 48 * 3_600
_STEP_S = 60
_MOST_VALUES = 480

SeriesRow = tuple[int, int, float]


def prices_ahead(pricing: Pricing, now_s: int, used_mj: int = 0) -> list[SeriesRow]:
    """The price of each span from now on for two days, as far as it is known; equal neighbours are one."""
    spans: list[SeriesRow] = []
    start_s = now_s - now_s % _HALF_HOUR_S
    for at_s in range(start_s, start_s + _AHEAD_S, _STEP_S):
        price = pricing.price(at_s, used_mj)
        if price is None:
            continue
        if spans and spans[-1][1] == at_s and spans[-1][2] == price:
            spans[-1] = (spans[-1][0], at_s + _STEP_S, price)
        else:
            spans.append((at_s, at_s + _STEP_S, price))
    return spans[:_MOST_VALUES]


def series_message(rows: Sequence[SeriesRow], unit: str, at: datetime) -> Series:
    """A series as a message."""
    values = tuple(SeriesValue(start=_moment(start_s), end=_moment(end_s), value=value) for start_s, end_s, value in rows[:_MOST_VALUES])
    return Series(as_of=at, unit=unit, values=values)


def energy_message(counter: Counter, pricing: Pricing, currency: str, as_of: datetime, now_s: int) -> Energy:
    """A counter as a message; the home's also says what the next kWh costs, and what was missed."""
    home = counter.subject is None
    return Energy(
        as_of=as_of,
        total_kwh=_kwh(counter.total_mj),
        today_kwh=_kwh(counter.today_mj),
        month_kwh=_kwh(counter.month_mj),
        today_cost=money(counter.today_nano),
        month_cost=money(counter.month_nano),
        currency=currency if counter.month_nano is not None else None,
        rate=pricing.price(now_s, used_in_tier_period_mj(pricing, counter, now_s)) if home else None,
        estimated=not home,
        exported_kwh=_kwh(counter.exported_mj) if counter.exported_mj else None,
        missed_kwh=_kwh(counter.gap_mj) if home else None,
    )


def used_in_tier_period_mj(pricing: Pricing, counter: Counter, now_s: int) -> int:
    """What decides the tier that is reached."""
    tariff = pricing.tariff(now_s)
    return counter.today_mj if tariff and tariff.tier_period == "day" else counter.month_mj


def money(cost_nano: int | None) -> float | None:
    """In the currency."""
    return None if cost_nano is None else round(cost_nano / NANO, 6)


def budget_alert(spent: float, budget: float, currency: str, month: str, at: datetime, told_percent: int) -> tuple[int, Alert] | None:
    """The alert that is due at 80 % and at 100 % of the month's budget, with its percentage."""
    reached = max((percent for percent in (80, 100) if spent >= budget * percent / 100), default=0)
    if reached <= told_percent:
        return None
    title = "The month's energy budget is used up" if reached == 100 else "Most of the month's energy budget is used"
    message = f"Energy has cost {spent:.2f} {currency} this month; the budget is {budget:.2f} {currency}."
    severity = "warning" if reached == 100 else "info"
    identity = f"recorder-budget-{month}-{reached}"
    return reached, Alert(id=identity, rule="recorder.budget", severity=severity, title=title, message=message, at=at)


def _moment(at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


def _kwh(energy_mj: int) -> float:
    return round(energy_mj / MJ_PER_KWH, 6)
