"""Calibration: true within half a percent with noise, and nonsense refused."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sensor.calibration_book import CalibrationBook, Change, Entry
from services.sensor.domain.calibration import Refused, load_at, power_calibration, voltage_calibration

TRUE_V = 231.4


def readings(value: float, noise: random.Random, share: float = 0.01, count: int = 30, spikes: int = 0) -> list[float]:
    """A value with noise, and some readings that are far off."""
    values = [value * (1 + noise.gauss(0, share)) for _ in range(count)]
    for place in noise.sample(range(count), spikes):
        values[place] *= noise.choice((0.2, 3.0))
    return values


@given(error=st.floats(0.6, 1.6), seed=st.integers(0, 10_000), spikes=st.integers(0, 4))
def test_a_voltage_sensor_comes_true(error: float, seed: int, spikes: int) -> None:
    """However far off it is, with 0.5 % noise and some spikes it is within 0.5 % afterwards."""
    noise = random.Random(seed)
    found = voltage_calibration(readings(TRUE_V * error, noise, 0.005, spikes=spikes), TRUE_V, 1.0, 230)
    assert error * found.scale == pytest.approx(1, rel=0.005)


@given(seed=st.integers(0, 10_000), base_w=st.floats(0, 600), load_w=st.floats(1_000, 3_000))
def test_a_meter_that_is_seven_percent_off_comes_within_half_a_percent(seed: int, base_w: float, load_w: float) -> None:
    """With 0.5 % noise on each reading, and whatever the home draws besides."""
    noise, gain = random.Random(seed), 0.93
    off, on, again = (readings(gain * power, noise, 0.005) for power in (base_w + 25, base_w + 25 + load_w, base_w + 25))
    found = power_calibration(off, on, again, load_w, 1.0)
    assert gain * found.scale == pytest.approx(1, rel=0.005)
    assert abs(gain * found.scale - 1) <= 3 * found.uncertainty


def test_a_second_calibration_builds_on_the_first() -> None:
    """The readings have the factor in them that is in force, and the new one replaces it."""
    noise = random.Random(1)
    found = power_calibration(readings(0.1, noise), readings(0.93 * 1.5 * 2_000, noise, 0.003), readings(0.1, noise), 2_000, 1.5)
    assert found.scale == pytest.approx(1 / 0.93, rel=0.005)
    assert (found.before, found.after) == pytest.approx((2_790, 2_000), rel=0.005)


def power(off: float, on: float, again: float, load_w: float = 2_000.0, scatter: float = 0.003) -> None:
    """Calibrate by steady figures."""
    noise = random.Random(2)
    before, loaded, after = (readings(value, noise, scatter) for value in (off, on, again))
    power_calibration(before, loaded, after, load_w, 1.0)


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (lambda: power(300, 330, 300), "rose by 30 W only"),
        (lambda: power(2_300, 300, 2_300), "wrong way round"),
        (lambda: power(300, 2_300, 900), "something else switched"),
        (lambda: power(300, 340, 300, load_w=40), "too little to calibrate by"),
        (lambda: power(300, 900, 300), "no matter of calibration"),
        (lambda: power(300, 2_300, 300, scatter=0.06), "scatter too much"),
        (lambda: power_calibration([300] * 3, [2_300] * 30, [300] * 30, 2_000, 1.0), "only 3 readings"),
        (lambda: power_calibration([300] * 30, [2_300] * 12 + [3_500] * 18, [300] * 30, 2_000, 1.0), "not steady"),
        (lambda: voltage_calibration([215.0] * 30, 23.14, 1.0, 230), "is no mains voltage"),
        (lambda: voltage_calibration([3.1] * 30, 231.4, 1.0, 230), "without mains"),
        (lambda: voltage_calibration([60.0] * 30, 231.4, 1.0, 230), "no matter of calibration"),
        (lambda: voltage_calibration([200.0, 240.0] * 15, 231.4, 1.0, 230), "not steady"),
    ],
)
def test_nonsense_is_refused(attempt: object, words: str) -> None:
    """Each with what is wrong."""
    assert callable(attempt)
    with pytest.raises(Refused, match=words):
        attempt()


def test_a_home_that_drifts_makes_it_less_sure() -> None:
    """60 W more after than before: the rest of the home may have drawn either meanwhile."""
    noise = random.Random(3)
    calm, drifting = (
        power_calibration(readings(300, noise, 0.003), readings(2_300, noise, 0.003), readings(after_w, noise, 0.003), 2_000, 1.0)
        for after_w in (300, 360)
    )
    assert drifting.uncertainty > 0.015 > 5 * calm.uncertainty


def test_a_plates_figure_holds_at_the_plates_voltage() -> None:
    """A heater of 2 kW at 230 V draws a tenth more at 241 V."""
    assert load_at(2_000, 230, 241.2) == pytest.approx(2_200, rel=0.001)


def test_the_book_gives_back_the_last_that_was_not_undone(tmp_path: Path) -> None:
    """Undoing twice goes back two calibrations."""
    book = CalibrationBook(tmp_path)
    assert book.last() is None
    first = Entry("2026-01-01T10:00:00+00:00", (Change("sensor.meter.scale", None, 1.07),), 0.002)
    second = Entry("2026-01-02T10:00:00+00:00", (Change("sensor.voltage.scale", 1.0, 1.1),), 0.001)
    for entry in (first, second):
        book.add(entry)
    assert book.last() == second
    book.add(Entry(second.at, second.changes, second.uncertainty, undone=True))
    assert book.last() == first


def test_a_line_that_a_power_cut_tore_hides_no_other(tmp_path: Path) -> None:
    """Neither those before it nor the next one."""
    book = CalibrationBook(tmp_path)
    first = Entry("2026-01-01T10:00:00+00:00", (Change("sensor.meter.scale", None, 1.07),), 0.002)
    book.add(first)
    with (tmp_path / "calibrations.jsonl").open("ab") as file:
        file.write(b'{"at": "2026-01-02\xff')
    assert book.last() == first
    second = Entry("2026-01-03T10:00:00+00:00", (Change("sensor.voltage.scale", 1.0, 1.1),), 0.001)
    book.add(second)
    assert book.last() == second
