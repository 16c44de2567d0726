"""Hours of the day by the wall clock, over daylight-saving changes of the whole world."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notifier.domain.home import Day, total
from services.notifier.domain.hours import DayHours, local_date, midnight, week_of
from services.notifier.domain.report_rules import span_of

zones = st.sampled_from(sorted(available_timezones())).map(ZoneInfo)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2032, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
clock_times = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))


@given(clock_times, clock_times, zones, moments)
@settings(deadline=None)
def test_a_moment_is_in_a_span_or_in_its_complement(start: time, end: time, zone: ZoneInfo, moment: datetime) -> None:
    """Whatever the zone and the season, exactly one of the two holds it."""
    if start == end:
        return
    assert DayHours(start, end).contain(moment, zone) != DayHours(end, start).contain(moment, zone)


@given(zones, moments)
@settings(deadline=None)
def test_quiet_hours_end_within_a_day(zone: ZoneInfo, moment: datetime) -> None:
    """No clock change keeps a message back for longer than a night and the hour that it adds."""
    quiet = DayHours.parse("22:00-07:00")
    waits = [step for step in range(26 * 4) if not quiet.contain(moment + step * timedelta(minutes=15), zone)]
    assert waits
    assert waits[0] <= 4 * 11


@pytest.mark.parametrize(
    ("at", "quiet"),
    [
        ("2025-03-30T00:59:00+00:00", True),  # 00:59, a minute before the clocks go forward
        ("2025-03-30T01:00:00+00:00", False),  # 02:00: the span ended in the hour that there never was
        ("2025-10-26T00:29:00+00:00", True),  # 01:29, the first time
        ("2025-10-26T00:45:00+00:00", False),  # 01:45
        ("2025-10-26T01:15:00+00:00", True),  # 01:15, the second time
        ("2025-10-26T01:30:00+00:00", False),
    ],
)
def test_the_nights_of_london_when_the_clocks_change(at: str, quiet: bool) -> None:
    """The clock on the wall decides, in the missing hour and in the doubled one."""
    assert DayHours.parse("22:00-01:30").contain(datetime.fromisoformat(at), ZoneInfo("Europe/London")) is quiet


@pytest.mark.parametrize("text", ["22:00", "22:00-22:00", "24:00-07:00", "22-7", "22:61-07:00", ""])
def test_what_is_no_span_is_refused(text: str) -> None:
    """With a sentence that shows how it is written."""
    with pytest.raises(ValueError, match=r"22:00-07:00|two different times"):
        DayHours.parse(text)


@given(zones, moments, st.sampled_from(["day", "week", "month"]))
@settings(deadline=None)
def test_every_moment_is_in_its_period(zone: ZoneInfo, moment: datetime, period: str) -> None:
    """Periods follow each other without a gap, whatever the length of their days."""
    first, after = span_of(period, local_date(moment, zone))  # type: ignore[arg-type]
    assert first <= local_date(moment, zone) < after
    assert midnight(first, zone) < midnight(after, zone)
    assert span_of(period, after)[0] == after  # type: ignore[arg-type]
    assert span_of(period, first) == (first, after)  # type: ignore[arg-type]


def test_a_week_sums_the_days_that_are_known() -> None:
    """Days without a meter count for nothing, and none at all is None."""
    monday = week_of(datetime(2025, 1, 9, tzinfo=UTC).date())
    assert total({}, monday, 7) is None
    days = {monday: Day(8.0, 2.0), monday + timedelta(days=3): Day(9.0, None), monday + timedelta(days=7): Day(99.0, 9.0)}
    summed = total(days, monday, 7)
    assert summed is not None
    assert (summed.energy_kwh, summed.cost) == (17.0, 2.0)
