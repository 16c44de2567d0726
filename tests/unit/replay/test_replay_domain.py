"""Which line a meter would print, and when."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.contracts.mains import Mains
from services.replay.domain.lines import Assumptions, esp8266_line, made_up_voltage_v, rpict3t1_line
from services.replay.domain.raw import Chunk, read_chunks
from services.replay.domain.recording import Recording, Schedule, UnusableRecording, from_us, to_us
from services.replay.domain.start import demo_start
from services.sensor.domain.mains import Wiring, to_mains
from services.sensor.domain.profiles import meter_parser
from services.sensor.domain.readings import MeterLine, VoltageLine
from services.sensor.domain.zmpt101b import parse_voltage
from services.sensor.recorder import entry, header

BEGIN = datetime(2015, 1, 4, 9, 0, tzinfo=UTC)
SECOND = 1_000_000


def recording_of(watts: list[float], interval_s: float = 8, **appliances: list[float]) -> Recording:
    """A recording that begins at nine."""
    at_us = to_us(BEGIN) + (np.arange(len(watts)) * interval_s * SECOND).astype(np.int64)
    return Recording(at_us, np.array(watts, np.float32), {name: np.array(column, np.float32) for name, column in appliances.items()})


def second(at_us: int) -> float:
    """Seconds since nine."""
    return (from_us(at_us) - BEGIN).total_seconds()


def played(schedule: Schedule, count: int, start: datetime = BEGIN - timedelta(seconds=1)) -> list[tuple[float, float]]:
    """When (seconds since nine) and what the next readings are."""
    found: list[tuple[float, float]] = []
    at_us = to_us(start)
    for _ in range(count):
        due = schedule.after(at_us)
        found.append((second(due.at_us), due.power_w))
        at_us = due.at_us
    return found


def test_readings_are_due_at_their_recorded_times() -> None:
    """In the recording's own interval."""
    assert played(Schedule(recording_of([1, 2, 3])), 3) == [(0, 1), (8, 2), (16, 3)]


def test_a_gap_is_silence() -> None:
    """A row without a number is no reading."""
    assert played(Schedule(recording_of([1, float("nan"), float("nan"), 4])), 2) == [(0, 1), (24, 4)]


def test_at_its_end_the_recording_begins_again_and_time_goes_on() -> None:
    """One interval after the last row; gaps at both ends stay as long as they were."""
    schedule = Schedule(recording_of([float("nan"), 2, 3, float("nan")]))
    assert played(schedule, 5) == [(8, 2), (16, 3), (40, 2), (48, 3), (72, 2)]


def test_a_shifted_recording_plays_at_another_time_of_day() -> None:
    """As when it is played on the wall clock."""
    assert played(Schedule(recording_of([1, 2]), timedelta(days=4_000)), 1, BEGIN + timedelta(days=4_000))[0] == (4_000 * 86_400 + 8, 2)


def test_what_was_missed_is_skipped() -> None:
    """After a pause the newest reading is said, not a burst of old ones."""
    schedule = Schedule(recording_of([1, 2, 3, 4]))
    assert schedule.until(to_us(BEGIN + timedelta(seconds=17))).power_w == 3
    assert second(schedule.until(to_us(BEGIN + timedelta(seconds=31 + 32))).at_us) == 56


@given(
    st.lists(st.floats(0, 9_000, width=32) | st.just(float("nan")), min_size=1, max_size=20).filter(
        lambda watts: any(w == w for w in watts)
    )
)
def test_time_never_stands_still_or_goes_back(watts: list[float]) -> None:
    """Over several rounds, however the gaps lie."""
    times = [at_s for at_s, _ in played(Schedule(recording_of(watts)), 50)]
    assert all(later > earlier for earlier, later in pairwise(times))


def test_a_recording_without_a_reading_is_refused() -> None:
    """It would be silent for ever."""
    with pytest.raises(UnusableRecording, match="no reading"):
        recording_of([float("nan")] * 3)


def test_times_that_do_not_increase_are_refused() -> None:
    """A meter never goes back in time."""
    with pytest.raises(UnusableRecording, match="increase"):
        Recording(np.array([2, 1]), np.array([1, 2], np.float32))


@pytest.mark.parametrize("power_w", [0.0, 25.0, 600.0, 3_000.0, 13_871.0])
@pytest.mark.parametrize("assumptions", [Assumptions(), Assumptions(power_factor=1.0, vest_v=240.0)])
def test_the_sensor_arrives_at_the_recorded_power(power_w: float, assumptions: Assumptions) -> None:
    """By the printed lines alone, with the same settings on both sides: within a tenth of a watt and what rounding costs."""
    voltage_v = made_up_voltage_v(to_us(BEGIN))
    voltage = parse_voltage(esp8266_line(voltage_v).strip())
    line = meter_parser("rpict3t1")(rpict3t1_line(power_w, voltage_v, assumptions).strip())
    assert isinstance(voltage, VoltageLine)
    assert isinstance(line, MeterLine)
    wiring = Wiring(power_factor=assumptions.power_factor, vest_v=assumptions.vest_v)
    mains = to_mains(line, voltage.voltage_v, BEGIN, wiring)
    assert isinstance(mains, Mains)
    assert mains.power_w == pytest.approx(power_w, abs=0.1)


def test_the_lines_are_those_of_the_boards() -> None:
    """To the byte."""
    assert rpict3t1_line(950.0, 230.0, Assumptions()) == b"11 1000.0 0.0 -0.0 21.5\r\n"
    assert esp8266_line(229.9) == b"Vrms: 229.9 V\r\n"


@given(st.integers(0, 4_000_000_000_000_000))
def test_the_made_up_voltage_is_plausible_and_slow(at_us: int) -> None:
    """Near 240 V, and nearly the same a second later."""
    voltage_v = made_up_voltage_v(at_us)
    assert 235.8 <= voltage_v <= 244.2
    assert abs(made_up_voltage_v(at_us + SECOND) - voltage_v) <= 0.11


def one_hour(*on: tuple[int, int, float]) -> list[float]:
    """450 rows of 8 s; each (first row, last row, watts) is on."""
    watts = [0.0] * 450
    for first, last, power_w in on:
        watts[first:last] = [power_w] * (last - first)
    return watts


def test_the_demo_begins_two_minutes_before_a_quick_appliance_with_most_to_see() -> None:
    """The second kettle is followed by a washing machine; the first by nothing."""
    kettle = one_hour((100, 120, 2_800.0), (250, 270, 2_800.0))
    washing = one_hour((300, 400, 2_000.0))
    home = recording_of([300.0] * 450, kettle=kettle, washing_machine=washing)
    assert demo_start(home) == BEGIN + timedelta(seconds=250 * 8) - timedelta(minutes=2)


def test_the_demo_does_not_begin_while_something_runs_or_beside_a_gap() -> None:
    """A model that wakes in the middle of a programme has not seen it start."""
    kettle = one_hour((60, 80, 2_800.0), (200, 220, 2_800.0), (320, 340, 2_800.0))
    dishwasher = one_hour((0, 180, 2_000.0))
    mains = [300.0] * 450
    mains[350:380] = [float("nan")] * 30
    home = recording_of(mains, kettle=kettle, dishwasher=dishwasher)
    assert demo_start(recording_of([300.0] * 450, kettle=kettle, dishwasher=dishwasher)) == BEGIN + timedelta(seconds=320 * 8 - 120)
    assert demo_start(home) == BEGIN + timedelta(seconds=60 * 8 - 120)


def test_without_appliances_the_demo_begins_before_the_first_big_step() -> None:
    """Two minutes before the mains rise by a kilowatt; at the beginning where they never do."""
    assert demo_start(recording_of(one_hour((100, 120, 2_800.0)))) == BEGIN + timedelta(seconds=100 * 8 - 120)
    assert demo_start(recording_of([300.0] * 10)) == BEGIN


def test_a_recorded_port_is_read_back_to_the_byte() -> None:
    """`hems record` writes what `hems replay` reads, every byte value included."""
    every_byte = bytes(range(256))
    text = header("/dev/ttyAMA0", 38_400, BEGIN) + entry(0.0, b"11 1 0 0 21\r\n") + entry(1.25, every_byte)
    assert read_chunks(text) == [Chunk(0.0, b"11 1 0 0 21\r\n"), Chunk(1.25, every_byte)]


@pytest.mark.parametrize(
    "text", ["", "11 1 0 0 21\n", header("p", 1, BEGIN), header("p", 1, BEGIN) + "[1]\n", header("p", 1, BEGIN) + "{\n"]
)
def test_what_is_no_recorded_port_is_refused(text: str) -> None:
    """With a reason, not with a traceback."""
    with pytest.raises(UnusableRecording):
        read_chunks(text)
