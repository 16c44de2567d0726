"""Readings onto a model's clock."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.disaggregator.domain.readings import Cadence
from services.disaggregator.domain.ticks import Tick, TickClock

powers = st.floats(-3000, 12_000, width=32)


def ticks_of(readings: list[tuple[float, float]], period_s: float, interval_s: float) -> list[Tick]:
    """All ticks of some readings."""
    clock = TickClock(period_s)
    found = clock.start(*readings[0], interval_s)
    for time_s, power_w in readings[1:]:
        found += clock.read(time_s, power_w, interval_s)
    return found


@st.composite
def irregular(draw: st.DrawFn, longest_s: float = 20) -> list[tuple[float, float]]:
    """Readings at a changing pace."""
    elapsed = draw(st.lists(st.floats(0.5, longest_s), min_size=2, max_size=60))
    times = [1.4e9 + draw(st.floats(0, 100))]
    for seconds in elapsed:
        times.append(times[-1] + seconds)
    return [(time_s, draw(powers)) for time_s in times]


@given(st.lists(powers, min_size=1, max_size=40), st.floats(0, 30), st.sampled_from([6.0, 30.0]))
def test_readings_on_the_period_are_ticks_as_they_are(values: list[float], phase_s: float, period_s: float) -> None:
    """What comes at the model's own period passes through, whatever its phase: same times, same powers."""
    readings = [(1.4e9 + phase_s + period_s * number, value) for number, value in enumerate(values)]
    found = ticks_of(readings, period_s, period_s)
    assert [tick.time_s for tick in found] == [time_s for time_s, _ in readings]
    assert [tick.power_w for tick in found] == pytest.approx([power_w for _, power_w in readings], rel=1e-12)


@given(irregular(), st.sampled_from([6.0, 30.0]), st.floats(0.5, 20))
def test_ticks_use_nothing_later_than_themselves(readings: list[tuple[float, float]], period_s: float, interval_s: float) -> None:
    """Other readings after a moment leave every tick up to it as it was."""
    middle = len(readings) // 2
    others = [*readings[:middle], *((time_s, power_w + 5000) for time_s, power_w in readings[middle:])]
    until_s = readings[middle][0]
    before = [[tick for tick in ticks_of(each, period_s, interval_s) if tick.time_s < until_s] for each in (readings, others)]
    assert before[0] == before[1]


@given(irregular(), st.sampled_from([6.0, 30.0, 60.0]), st.floats(0.5, 60))
def test_ticks_go_forward_and_are_no_further_apart_than_the_clock_allows(
    readings: list[tuple[float, float]], period_s: float, interval_s: float
) -> None:
    """Ticks grow in time, never more than one and a half periods apart, and each lies within what was read."""
    found = ticks_of(readings, period_s, interval_s)
    assert all(0 < later.time_s - earlier.time_s <= 1.5 * period_s for earlier, later in pairwise(found))
    lowest, highest = (choose(power_w for _, power_w in readings) for choose in (min, max))
    assert all(lowest - 1e-3 <= tick.power_w <= highest + 1e-3 for tick in found)


@given(st.sampled_from([1, 2, 3, 5, 6, 10]), st.lists(powers, min_size=60, max_size=120))
def test_readings_that_divide_the_period_keep_their_energy(interval_s: int, values: list[float]) -> None:
    """Readings that divide the clock: the ticks hold the energy of the readings in them."""
    readings = [(1_400_000_010.0 + interval_s * number, value) for number, value in enumerate(values, 1)]
    found = ticks_of(readings, 30, interval_s)
    whole = [power_w for time_s, power_w in readings if time_s <= found[-1].time_s]
    first_s = found[0].time_s - readings[0][0] + interval_s
    energy = found[0].power_w * first_s + 30 * sum(tick.power_w for tick in found[1:])
    assert energy == pytest.approx(interval_s * sum(whole), rel=1e-9, abs=1e-3)


def test_resampled_ticks_lie_on_multiples_of_the_period() -> None:
    """Readings at another interval than the clock's make ticks on whole multiples of the period."""
    readings = [(1_400_000_003.0 + 8 * number, 100.0) for number in range(60)]
    assert all(tick.time_s % 30 == 0 for tick in ticks_of(readings, 30, 8))


def test_a_coarse_reading_is_said_when_it_is_known() -> None:
    """Minute readings on a half-minute clock: the tick between holds the last one, the tick with a reading is it."""
    found = ticks_of([(0.0, 100.0), (60.0, 200.0), (120.0, 300.0)], 30, 60)
    assert found == [(0.0, 100.0), (30.0, 100.0), (60.0, 200.0), (90.0, 200.0), (120.0, 300.0)]


def test_a_late_reading_speaks_only_of_its_own_interval() -> None:
    """A meter that logs changes: the power before the change holds until one interval before it."""
    found = ticks_of([(0.0, 100.0), (1.0, 100.0), (26.0, 3000.0), (30.0, 3000.0)], 30, 1)
    assert found[-1] == pytest.approx((30.0, (100 * 25 + 3000 * 5) / 30))


def test_a_missed_reading_on_the_period_is_held() -> None:
    """One lost reading of a six-second meter costs no tick of the clock."""
    found = ticks_of([(0.0, 1.0), (6.0, 2.0), (18.0, 4.0)], 6, 6)
    assert found == [(0.0, 1.0), (6.0, 2.0), (12.0, 2.0), (18.0, 4.0)]


@given(irregular(), st.floats(0.5, 30), st.data())
def test_a_clock_goes_on_where_it_was_saved(readings: list[tuple[float, float]], interval_s: float, data: st.DataObject) -> None:
    """Saved and restored between any two readings, it makes the same ticks."""
    cut = data.draw(st.integers(1, len(readings) - 1))
    clock = TickClock(30)
    found = clock.start(*readings[0], interval_s)
    for number, (time_s, power_w) in enumerate(readings[1:], 1):
        clock = TickClock.restore(clock.save()) if number == cut else clock
        found += clock.read(time_s, power_w, interval_s)
    assert found == ticks_of(readings, 30, interval_s)


def test_the_cadence_follows_the_meter() -> None:
    """The first interval is believed at once, a single odd one is not, five in a row are."""
    cadence = Cadence()
    for elapsed_s in (6, 6, 29, 6):
        cadence.observe(elapsed_s)
    assert cadence.interval_s == 6
    for elapsed_s in (30, 30, 31, 30, 30):
        cadence.observe(elapsed_s)
    assert cadence.interval_s == 30


def test_a_silence_is_a_gap_after_thirty_seconds_or_one_and_a_half_intervals() -> None:
    """Fast meters have gaps above 30 s, slow ones above one and a half of their intervals; hours are never an interval."""
    assert Cadence(interval_s=6.0).gap_s == 30
    assert Cadence(interval_s=60.0).gap_s == 90
    cadence = Cadence()
    cadence.observe(3600)
    assert cadence.interval_s is None
