"""When a reading was taken, and when silence is told."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.sensor.domain.timing import ReadingTimes, Silence

AT = datetime(2025, 1, 6, 7, 0, tzinfo=UTC)


def test_two_lines_in_one_instant_have_two_times() -> None:
    """A reading's time is its identity."""
    times = ReadingTimes()
    assert [times.after(AT) for _ in range(3)] == [AT + timedelta(microseconds=step) for step in range(3)]


def test_a_clock_set_back_a_little_is_waited_for() -> None:
    """Time servers correct by fractions of a second: order is kept."""
    times = ReadingTimes()
    times.after(AT)
    assert times.after(AT - timedelta(seconds=1)) == AT + timedelta(microseconds=1)
    assert times.after(AT + timedelta(seconds=1)) == AT + timedelta(seconds=1)


def test_a_clock_set_back_far_is_followed() -> None:
    """It was wrong before; an hour of readings must not fall into one instant."""
    times = ReadingTimes()
    times.after(AT)
    assert times.after(AT - timedelta(hours=1)) == AT - timedelta(hours=1)


@given(st.lists(st.integers(-4_000_000, 4_000_000), max_size=60))
def test_times_strictly_increase_while_the_clock_is_corrected_by_little(steps_us: list[int]) -> None:
    """Whatever small steps it makes, back or forth."""
    times, now, last = ReadingTimes(), AT, None
    for step_us in steps_us:
        now += timedelta(microseconds=step_us)
        if last is not None and now <= last - timedelta(seconds=5):
            now = last
        at = times.after(now)
        assert last is None or at > last
        last = at


def test_silence_is_told_once_and_its_end_once() -> None:
    """One alert each, however long it lasts."""
    silence = Silence(silent_after_s=90, since_s=0)
    assert [silence.begins(at_s) for at_s in (89, 90, 91, 1_000)] == [False, True, False, False]
    assert [silence.line(at_s) for at_s in (1_001, 1_002)] == [True, False]
    assert not silence.begins(1_091)
    assert silence.begins(1_092)
