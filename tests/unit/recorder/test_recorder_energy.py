"""Counters: energy from power."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.recorder.domain.energy import (
    HOLE_US,
    MINUTE_US,
    SECOND_US,
    Reading,
    floor_minute,
    integrate,
    integrate_held,
    merged,
    share,
    touched,
)

START_US = 1_700_000_000 * SECOND_US
steps = st.lists(
    st.tuples(st.integers(1, 90 * SECOND_US), st.integers(-12_000_000, 12_000_000)),
    min_size=2, max_size=60,
)  # fmt: skip


def _readings(changes: list[tuple[int, int]]) -> list[Reading]:
    at_us, found = START_US, list[Reading]()
    for step_us, power_mw in changes:
        at_us += step_us
        found.append(Reading(at_us, power_mw))
    return found


def _net_mj(readings: list[Reading]) -> int:
    minutes, _ = integrate(readings)
    return sum(minute.imported_mj - minute.exported_mj for minute in minutes.values())


def test_a_steady_power_makes_its_energy() -> None:
    """1 kW for an hour, read each 3 s, is 1 kWh to the millijoule."""
    readings = [Reading(START_US + second * SECOND_US, 1_000_000) for second in range(0, 3_601, 3)]
    assert _net_mj(readings) == 3_600_000_000


def test_a_ramp_is_a_trapezoid() -> None:
    """From 0 to 2 kW within 30 s is 30 kJ, wherever in the minute it lies."""
    for offset_us in (0, 45 * SECOND_US):
        assert abs(_net_mj([Reading(START_US + offset_us, 0), Reading(START_US + offset_us + 30 * SECOND_US, 2_000_000)]) - 30_000_000) <= 1


@given(steps)
def test_it_equals_an_integral_made_another_way(changes: list[tuple[int, int]]) -> None:
    """Import less export equals numpy's trapezoid over the pieces without holes, to a rounding of each piece."""
    readings = _readings(changes)
    times_s = np.array([reading.at_us / SECOND_US for reading in readings])
    powers_w = np.array([reading.power_mw / 1_000 for reading in readings])
    whole = np.diff(times_s) <= HOLE_US / SECOND_US
    expected_j = float(np.sum((powers_w[1:] + powers_w[:-1]) / 2 * np.diff(times_s) * whole))
    # Each piece, at most four a step, is rounded; a time at the crossing of zero is whole microseconds.
    assert abs(_net_mj(readings) / 1_000 - expected_j) <= 0.02 * len(readings) + 1e-6 * abs(expected_j)


@given(steps)
def test_what_is_not_covered_is_a_gap(changes: list[tuple[int, int]]) -> None:
    """The time between the first and the last reading is either covered or in a gap, never both; each gap is longer than a minute."""
    readings = _readings(changes)
    minutes, gaps = integrate(readings)
    covered_us = sum(minute.covered_us for minute in minutes.values())
    assert covered_us + sum(gap.end_us - gap.start_us for gap in gaps) == readings[-1].at_us - readings[0].at_us
    assert all(gap.end_us - gap.start_us > HOLE_US and gap.estimate_mj >= 0 for gap in gaps)
    assert all(0 <= minute.covered_us <= MINUTE_US for minute in minutes.values())


@given(steps)
def test_a_minute_depends_on_its_neighbours_alone(changes: list[tuple[int, int]]) -> None:
    """Each minute comes out the same from the readings within reach as from all of them: this is what lets a late one be counted."""
    readings = _readings(changes)
    whole, _ = integrate(readings)
    for at_us, minute in whole.items():
        near = [reading for reading in readings if at_us - HOLE_US <= reading.at_us <= at_us + MINUTE_US + HOLE_US]
        assert integrate(near)[0][at_us] == minute


@given(steps)
def test_import_and_export_never_run_back(changes: list[tuple[int, int]]) -> None:
    """Both only grow; readings of one sign make one of them alone."""
    minutes, _ = integrate(_readings(changes))
    assert all(minute.imported_mj >= 0 and minute.exported_mj >= 0 for minute in minutes.values())
    positive, _ = integrate(_readings([(step_us, abs(power_mw)) for step_us, power_mw in changes]))
    assert all(minute.exported_mj == 0 for minute in positive.values())


def test_a_change_of_sign_is_split_where_it_crosses_zero() -> None:
    """From +1 kW to -1 kW within 20 s: 5 kJ in and 5 kJ out, not nothing."""
    minutes, _ = integrate([Reading(START_US, 1_000_000), Reading(START_US + 20 * SECOND_US, -1_000_000)])
    (minute,) = minutes.values()
    assert (minute.imported_mj, minute.exported_mj) == (5_000_000, 5_000_000)


def test_least_and_most_are_those_of_the_readings() -> None:
    """A minute's range holds every reading of it."""
    minutes, _ = integrate([Reading(floor_minute(START_US) + second * SECOND_US, power) for second, power in ((1, 5), (2, 900), (3, 70))])
    (minute,) = minutes.values()
    assert (minute.least_mw, minute.most_mw) == (5, 900)


def test_a_state_holds_until_the_next() -> None:
    """An appliance said to draw 2 kW, and a minute later nothing, has used 120 kJ; after 150 s of silence nothing is counted."""
    start_us = floor_minute(START_US)
    held = integrate_held([Reading(start_us, 2_000_000), Reading(start_us + MINUTE_US, 0), Reading(start_us + 2 * MINUTE_US, 0)])
    assert sum(minute.imported_mj for minute in held.values()) == 120_000_000
    assert integrate_held([Reading(start_us, 2_000_000), Reading(start_us + 151 * SECOND_US, 0)]) == {}


@given(st.integers(0, 10**9), st.dictionaries(st.integers(1, 20), st.integers(0, 10**9), max_size=8))
def test_appliances_never_add_up_to_more_than_the_home(home_mj: int, wanted_mj: dict[int, int]) -> None:
    """Scaled down together where they would; left alone where they don't; nobody gets more than it asked for."""
    shared = share(home_mj, wanted_mj)
    assert sum(shared.values()) <= home_mj
    assert all(shared[subject] <= wanted_mj[subject] for subject in wanted_mj)
    if sum(wanted_mj.values()) <= home_mj:
        assert shared == wanted_mj


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 50))))
def test_merged_ranges_cover_the_same_without_overlap(pairs: list[tuple[int, int]]) -> None:
    """The union stays, the pieces are apart and in order."""
    ranges = [(start, start + length) for start, length in pairs]
    found = merged(ranges)
    assert {at for start, end in found for at in range(start, end)} == {at for start, end in ranges for at in range(start, end)}
    assert all(first[1] < second[0] for first, second in pairwise(found))


def test_a_reading_touches_the_minutes_within_its_reach() -> None:
    """Whole minutes, from its reach before to its reach after."""
    start_us = floor_minute(START_US)
    assert touched(start_us + 30 * SECOND_US, HOLE_US) == (start_us - MINUTE_US, start_us + 2 * MINUTE_US)
