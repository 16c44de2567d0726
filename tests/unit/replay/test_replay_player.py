"""The player on a clock that is moved by hand."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import numpy as np

from hems.testing.clocks import START, ManualClock
from services.replay.domain.lines import Assumptions
from services.replay.domain.raw import Chunk
from services.replay.domain.recording import Recording, Schedule, to_us
from services.replay.player import Player, play_raw, shift_for

HOME = Recording(to_us(START) + np.array([10, 20, 30], np.int64) * 1_000_000, np.array([950, 1_900, 2_850], np.float32))
LATER = datetime(2030, 1, 1, tzinfo=UTC)


class Paper:
    """Keeps what was printed."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.lines.append(data)

    @property
    def powers(self) -> list[float]:
        return [float(line.split()[1]) for line in self.lines]


class FastClock(ManualClock):
    """Moved by hand, and known as faster than the wall."""

    rate = 20.0


@asynccontextmanager
async def playing(clock: ManualClock) -> AsyncGenerator[tuple[Paper, Paper]]:
    """A player and what its two meters print."""
    meter, voltage = Paper(), Paper()
    task = asyncio.create_task(Player(Schedule(HOME), clock, meter, voltage, Assumptions(vest_v=240.0)).play())
    yield meter, voltage
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_each_line_is_printed_when_it_is_due() -> None:
    """Not before, and once."""
    clock = ManualClock()
    async with playing(clock) as (meter, _):
        await clock.advance(9.9)
        assert meter.lines == []
        await clock.advance(0.1)
        assert len(meter.lines) == 1
        await clock.advance(10)
        assert len(meter.lines) == 2
        assert 1_950 < meter.powers[1] < 2_050


async def test_in_real_time_the_voltage_is_printed_each_second() -> None:
    """As the ESP8266 does, also while the meter is silent."""
    clock = ManualClock()
    async with playing(clock) as (_, voltage):
        await clock.advance(5)
        assert len(voltage.lines) == 6


async def test_on_a_fast_clock_the_voltage_comes_before_each_reading_only() -> None:
    """Sixty lines a second would help nobody."""
    clock = FastClock()
    async with playing(clock) as (meter, voltage):
        await clock.advance(20)
        assert len(voltage.lines) == len(meter.lines) == 2


async def test_after_the_last_row_the_first_comes_again() -> None:
    """One usual interval later."""
    clock = FastClock()
    async with playing(clock) as (meter, _):
        await clock.advance(45)
        assert [round(power, -2) for power in meter.powers] == [1_000, 2_000, 3_000, 1_000]


def test_a_clock_that_tells_the_recordings_time_is_followed() -> None:
    """So that a replay which is started again goes on, also in the second round."""
    assert shift_for(HOME, HOME.first, LATER, None, HOME.first) == timedelta(0)


def test_on_another_clock_it_begins_where_asked_or_at_the_usual_start() -> None:
    """The wall clock knows nothing of the recording's days."""
    assert shift_for(HOME, None, LATER, None, HOME.first) == LATER - HOME.first
    assert shift_for(HOME, LATER, LATER, None, HOME.first) == LATER - HOME.first
    assert shift_for(HOME, HOME.first, LATER, HOME.last, HOME.first) == LATER - HOME.last


async def test_a_recorded_port_is_played_with_its_pauses() -> None:
    """And again from its beginning."""
    clock, paper = ManualClock(), Paper()
    task = asyncio.create_task(play_raw([Chunk(0.5, b"a"), Chunk(2.0, b"b")], clock, paper))
    await clock.advance(1.9)
    assert paper.lines == [b"a"]
    await clock.advance(0.1)
    assert paper.lines == [b"a", b"b"]
    await clock.advance(1.5)
    assert paper.lines == [b"a", b"b", b"a"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
