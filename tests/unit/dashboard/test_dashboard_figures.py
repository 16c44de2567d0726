"""Figures, texts and colours."""

import string
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.dashboard.domain.colours import COLOURS, colour
from services.dashboard.domain.figures import Figures, change, duration, percent
from services.dashboard.domain.texts import ENGLISH, Texts

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2025, 7, 7, 13, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("unit", "power_w", "shown"),
    [("W", 1_250.4, "1,250 W"), ("kW", 1_250, "1.25 kW"), ("auto", 9_999, "9,999 W"), ("auto", 12_340, "12.34 kW"), ("W", -420, "-420 W")],
)
def test_power_is_written_in_the_unit_that_is_set(unit: str, power_w: float, shown: str) -> None:
    """W, kW, or W until it is a lot."""
    assert Figures(LONDON, power_unit=unit).power(power_w) == shown  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("currency", "amount", "shown"),
    [("GBP", 1.5, "£1.50"), ("EUR", -0.2, "\u2212€0.20"), ("JPY", 1_250, "¥1,250"), ("CHF", 3, "3.00 CHF"), ("GBP", -0.001, "£0.00")],
)
def test_money_is_written_in_the_homes_currency(currency: str, amount: float, shown: str) -> None:
    """A symbol where there is one, and no pence of a yen."""
    assert Figures(LONDON, currency).money(amount) == shown


def test_a_price_of_a_kwh_shows_fractions_of_a_penny_only_where_it_has_some() -> None:
    """27 pence is not 27.00 pence."""
    figures = Figures(LONDON)
    assert (figures.money(0.27, fine=True), figures.money(0.2718, fine=True)) == ("£0.27", "£0.2718")


def test_times_are_the_homes_and_name_another_day() -> None:
    """Summer time counts; today needs no name."""
    figures = Figures(LONDON)
    assert figures.time(NOW, NOW) == "14:05"
    assert figures.time(NOW - timedelta(days=1), NOW) == "Sun 14:05"
    assert figures.time(NOW - timedelta(days=60), NOW) == "8 May 14:05"
    assert Figures(LONDON, clock="12h").time(NOW) == "2:05 PM"


def test_the_charts_time_is_the_homes_in_any_browser() -> None:
    """The chart takes local milliseconds as UTC."""
    assert Figures(LONDON).local_ms(NOW) == round((NOW + timedelta(hours=1)).timestamp() * 1_000)


def test_small_units() -> None:
    """Energy by size, carbon and temperature by setting, spans in words, changes only against something."""
    figures = Figures(LONDON, carbon_unit="lb", temperature_unit="F")
    assert [figures.energy(value) for value in (0.423, 12.54, 1_250)] == ["0.42 kWh", "12.5 kWh", "1,250 kWh"]
    assert (figures.carbon(1), figures.temperature(20)) == ("2.20 lb", "68.0 °F")
    assert [duration(value) for value in (45, 75, 6_720, 200_000)] == ["45 s", "1 min", "1 h 52 min", "2 d 7 h"]
    assert (percent(0.126), percent(0.001), percent(0)) == ("13 %", "<1 %", "0 %")
    assert (change(12, 10), change(1, 0)) == (pytest.approx(0.2), None)


def test_names_are_readable() -> None:
    """Ids become words; a known one has its own."""
    texts = Texts()
    assert [texts.name(name) for name in ("washing_machine", "tv", "_", "<b>")] == ["Washing machine", "TV", "_", "<b>"]


def test_every_text_can_be_filled_in() -> None:
    """No text of the catalogue has a broken placeholder."""
    for key, text in ENGLISH.items():
        names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
        assert all(name.isidentifier() for name in names), key


def test_an_appliance_keeps_its_colour() -> None:
    """Any name has one of the palette's, the same each time."""
    assert colour("kettle") == colour("kettle")
    assert all(0 <= colour(name) < COLOURS for name in ("kettle", "x", "ü", ""))
