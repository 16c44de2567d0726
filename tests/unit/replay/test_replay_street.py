"""Many homes out of a few recordings, and what is said of them over shared connections."""

import asyncio
import tracemalloc
from itertools import islice

import numpy as np
import structlog

from hems.contracts.catalog import MAINS
from hems.contracts.topic import Root
from hems.testing.memory_bus import MemoryBroker
from services.replay.domain.recording import Recording
from services.replay.domain.street import Power, Reading, SimulatedHome, Street
from services.replay.simulator import Line, Simulator
from tests.support.waiting import until


def recording() -> Recording:
    """A minute at a reading each 8 s, one of them missing: 100 W, 101 W, and so on."""
    mains_w = np.arange(100, 108, dtype=np.float32)
    mains_w[3] = np.nan
    return Recording(np.arange(8, dtype=np.int64) * 8_000_000, mains_w)


def test_a_home_plays_its_recording_from_one_of_its_moments_on() -> None:
    """Power is held between readings and over missing ones, scaled, and begins again at the end."""
    home = SimulatedHome("a", Power(recording()), share=0.0, scale=2.0)
    assert [home.power_w(after_s) for after_s in (0, 7.9, 8, 25, 56, 57)] == [200, 200, 202, 204, 214, 200]
    later = SimulatedHome("b", Power(recording()), share=0.5, scale=1.0)
    assert later.power_w(0) == home.power_w(28.5) / 2


def test_readings_come_in_order_each_home_at_its_interval() -> None:
    """Spread over the period; two simulators that share the homes play the same ones as one that plays all."""
    street = Street([recording()], 7, period_s=3.0)
    readings = list(islice(street.readings(1_000.0), 21))
    assert [reading.at_s for reading in readings] == sorted(reading.at_s for reading in readings)
    for home in {reading.home for reading in readings}:
        times_s = [reading.at_s for reading in readings if reading.home == home]
        np.testing.assert_allclose(np.diff(times_s), 3.0)
    halves = [Street([recording()], 3, 3.0), Street([recording()], 4, 3.0, first=3)]
    shared = [reading for half in halves for reading in islice(half.readings(1_000.0), 3 * len(half.homes))]
    assert sorted(shared) == sorted(readings)


def test_a_thousand_homes_share_their_recordings() -> None:
    """Memory grows with the recordings, not with the homes: two weeks of readings are held once."""
    long = Recording(np.arange(150_000, dtype=np.int64) * 8_000_000, np.full(150_000, 100, dtype=np.float32))
    tracemalloc.start()
    street = Street([long], 1_000, 3.0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(street.homes) == 1_000
    assert held < 5e6


async def test_what_a_broken_connection_left_unsaid_is_said_again_in_order() -> None:
    """Each home's readings reach the broker in order and none is missing, though the broker dies between."""
    broker, told = MemoryBroker(), list[Reading]()
    lines = [Line(broker, f"line-{number}", "hems", structlog.get_logger(), lambda reading, _: told.append(reading)) for number in range(2)]
    readings = [Reading(f"home-{number % 5}", 1.0 + number // 5, float(number)) for number in range(500)]
    simulator = Simulator(iter(readings), lines)
    running = asyncio.ensure_future(simulator.run(until_s=1_000.0))
    for part in (100, 300):
        await until(lambda part=part: len(told) >= part)
        broker.kill()
        broker.start()
    await running
    assert simulator.counts.due == simulator.counts.acknowledged == 500
    assert simulator.counts.waiting == 0
    assert sorted(told) == sorted(readings)
    for number in range(5):
        name = MAINS.at(Root(f"home-{number}"))
        said = [MAINS.payload.from_wire(payload).power_w for topic, payload in broker.published if topic == name]
        assert list(dict.fromkeys(said)) == [reading.power_w for reading in readings if reading.home == f"home-{number}"]
