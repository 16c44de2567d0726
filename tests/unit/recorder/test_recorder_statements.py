"""Prices and budgets as messages."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from services.recorder.domain.calendar import Calendar
from services.recorder.domain.statements import budget_alert, prices_ahead, series_message
from services.recorder.domain.tariff import Pricing, Rate, Tariff, Tier, Version

NOW = datetime(2025, 1, 6, 12, 10, tzinfo=UTC)
NOW_S = int(NOW.timestamp())


def _pricing(*rates: Rate) -> Pricing:
    return Pricing((Version(0, Tariff(rates)),), Calendar(ZoneInfo("Europe/London")))


def test_prices_ahead_are_few_spans() -> None:
    """Equal neighbours are one; a cheap hour from 16:01 makes its own span on each of the two days."""
    found = prices_ahead(_pricing(Rate((Tier(0.1),), 16 * 60 + 1, 17 * 60), Rate((Tier(0.3),))), NOW_S)
    assert [value for _, _, value in found] == [0.3, 0.1, 0.3, 0.1, 0.3]
    assert (found[1][0] - found[0][0]) == (4 * 60 + 1) * 60
    assert all(first[1] == second[0] for first, second in pairwise(found))


def test_a_message_of_prices_holds_what_is_known() -> None:
    """Starts, ends and values, with a unit."""
    said = series_message([(NOW_S, NOW_S + 1_800, 0.25)], "GBP/kWh", NOW)
    assert (said.unit, said.values[0].value, said.values[0].start) == ("GBP/kWh", 0.25, NOW)


def test_nothing_is_said_where_no_price_is_known() -> None:
    """A tariff without a rate for now says nothing."""
    assert prices_ahead(_pricing(), NOW_S) == []


def test_a_budget_is_told_twice_a_month() -> None:
    """At 80 % and at 100 %, each once; a month that leaps over both says the second."""
    assert budget_alert(70, 90, "GBP", "2025-01", NOW, 0) is None
    told = budget_alert(75, 90, "GBP", "2025-01", NOW, 0)
    assert told is not None
    assert (told[0], told[1].severity) == (80, "info")
    assert budget_alert(80, 90, "GBP", "2025-01", NOW, 80) is None
    told = budget_alert(91, 90, "GBP", "2025-01", NOW, 0)
    assert told is not None
    assert (told[0], told[1].severity, "91.00 GBP" in told[1].message) == (100, "warning", True)
