"""Days, months and hours of any time zone."""

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.domain.calendar import RESOLUTIONS, Calendar

ZONES = [
    "UTC", "Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana", "Asia/Beirut",
    "Pacific/Chatham", "America/Sao_Paulo", "Pacific/Apia", "Africa/Casablanca", "Asia/Kolkata",
]  # fmt: skip
seconds = st.integers(int(datetime(2000, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2037, 1, 1, tzinfo=UTC).timestamp()))


@given(st.sampled_from(ZONES), seconds)
def test_a_day_holds_its_instants_and_no_others(zone: str, at_s: int) -> None:
    """An instant lies in its day; its last second has the same date, and the second after has not."""
    calendar = Calendar(ZoneInfo(zone))
    start_s, end_s = calendar.day(at_s)
    assert start_s <= at_s < end_s
    assert calendar.local(start_s).date() == calendar.local(at_s).date() == calendar.local(end_s - 1).date()
    assert calendar.local(start_s - 1).date() < calendar.local(start_s).date() < calendar.local(end_s).date()


@given(st.sampled_from(ZONES), seconds)
def test_buckets_nest(zone: str, at_s: int) -> None:
    """A minute lies within one quarter, a quarter within one hour, an hour within one day, a day within one month."""
    calendar = Calendar(ZoneInfo(zone))
    starts = [calendar.start(resolution, at_s) for resolution in RESOLUTIONS]
    assert starts == sorted(starts, reverse=True)
    for finer, coarser in pairwise(RESOLUTIONS):
        assert calendar.start(coarser, calendar.start(finer, at_s)) == calendar.start(coarser, at_s)
    assert calendar.month(calendar.day(at_s)[0]) == calendar.month(at_s)


@pytest.mark.parametrize(("day", "hours"), [(date(2025, 3, 30), 23), (date(2025, 10, 26), 25), (date(2025, 6, 1), 24)])
def test_daylight_saving_makes_short_and_long_days(day: date, hours: int) -> None:
    """In London the last Sundays of March and October last 23 and 25 hours."""
    calendar = Calendar(ZoneInfo("Europe/London"))
    start_s, end_s = calendar.day(calendar.midnight(day))
    assert end_s - start_s == hours * 3_600


def test_a_midnight_that_does_not_exist_is_when_the_clock_jumps() -> None:
    """Where daylight saving begins at midnight, the day begins at one o'clock."""
    calendar = Calendar(ZoneInfo("America/Havana"))
    start_s, end_s = calendar.day(calendar.midnight(date(2025, 3, 9)))
    assert calendar.local(start_s).hour == 1
    assert end_s - start_s == 23 * 3_600


def test_months_end_where_the_next_begins() -> None:
    """A year of months leaves nothing out."""
    calendar = Calendar(ZoneInfo("Europe/London"))
    at_s = calendar.midnight(date(2025, 1, 1))
    for _ in range(12):
        start_s, at_s = calendar.month(at_s)
        assert calendar.local(start_s).day == 1
    assert calendar.local(at_s).date() == date(2026, 1, 1)


def test_days_walk_over_a_change_of_the_clock() -> None:
    """Each day of a range once, whatever its length."""
    calendar = Calendar(ZoneInfo("Europe/London"))
    found = list(calendar.days(calendar.midnight(date(2025, 3, 29)), calendar.midnight(date(2025, 4, 1))))
    assert [calendar.local(start_s).day for start_s, _ in found] == [29, 30, 31]


def test_every_zone_is_known() -> None:
    """Every zone of the computer makes days of 22 to 26 hours."""
    at_s = int(datetime(2025, 7, 1, tzinfo=UTC).timestamp())
    for zone in sorted(available_timezones()):
        start_s, end_s = Calendar(ZoneInfo(zone)).day(at_s)
        assert 22 <= (end_s - start_s) / 3_600 <= 26, zone
