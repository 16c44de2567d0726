"""From a meter's serial line to a named appliance: real processes, a real broker, a recorded home."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from services.disaggregator.history import disaggregate
from services.disaggregator.onnx_model import load_all
from services.disaggregator.settings import DisaggregatorSettings
from tests.e2e.spine import Listener, Spine
from tests.support.broker import RealBroker
from tests.support.services import ServiceProcess

pytestmark = pytest.mark.timeout(240)


async def test_a_recorded_home_gives_a_named_appliance(mosquitto: RealBroker, tmp_path: Path) -> None:
    """Within minutes of the recording, readings and an appliance's start are on the broker; the services stop in order."""
    async with Spine(mosquitto, tmp_path, speed=60).running() as spine:
        await spine.until(lambda: bool(spine.heard.events), "no appliance event came")
        appliance, event = next(iter(spine.heard.events.values()))
        assert appliance in ("kettle", "microwave", "dishwasher", "washing_machine", "fridge", "unknown_heater")
        assert event.kind in ("probable", "started")
        assert event.at <= event.announced_at
        await spine.until(lambda: len(spine.heard.readings) > 20, "readings stopped")
        assert spine.sensor.stop() == 0
        assert spine.disaggregator.stop() == 0


async def _kill_at_random(victims: Sequence[ServiceProcess | RealBroker], seed: int) -> None:
    chance = random.Random(seed)
    for victim in chance.sample(victims, len(victims)):
        await asyncio.sleep(chance.uniform(0.3, 1.5))
        victim.kill()
        await asyncio.sleep(chance.uniform(0, 0.5))
        victim.start()


async def _until_all_arrived(spine: Spine) -> None:
    spine.replay.kill()
    await asyncio.sleep(1)
    await spine.until(lambda: not _missing(spine, "sensor", "mains", set(spine.heard.readings)), "accepted readings are missing")
    await spine.until(lambda: not _missing(spine, "disaggregator", "event", set(spine.heard.events)), "accepted events are missing")
    assert spine.heard.contradictions == [], "a message came again with other words"


def _missing(spine: Spine, service: str, topic: str, heard: set[str]) -> set[str]:
    return {message_id for message_id, name in spine.accepted(service) if name.endswith(f"/{topic}")} - heard


def _told(listener: Listener) -> list[tuple[str, str, float]]:
    return sorted((appliance, event.kind, event.at.timestamp()) for appliance, event in listener.events.values())


def _expected(listener: Listener) -> list[tuple[str, str, float]]:
    """What a disaggregator that never died says of the same readings."""
    networks, refused = load_all(DisaggregatorSettings().models)
    assert not refused
    readings = sorted(listener.readings.values(), key=lambda reading: reading.measured_at)
    times_s = np.array([reading.measured_at.timestamp() for reading in readings])
    said = disaggregate(networks, times_s, np.array([reading.power_w for reading in readings], dtype=np.float32))
    return sorted((event.appliance, event.kind, datetime.fromtimestamp(event.at_s, UTC).timestamp()) for event in said.events)


def _runs_alternate(listener: Listener) -> bool:
    """Each appliance starts and finishes in turn: nothing is told twice under two ids."""
    for appliance in {name for name, _ in listener.events.values()}:
        runs = [event for name, event in listener.events.values() if name == appliance and event.kind != "probable"]
        kinds = [event.kind for event in sorted(runs, key=lambda event: (event.announced_at, event.at))]
        if any(kind == following for kind, following in pairwise(kinds)):
            return False
    return True


@pytest.mark.parametrize("kills_each", [3, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
async def test_killed_services_lose_nothing_and_tell_what_an_undisturbed_run_tells(
    kills_each: int, mosquitto: RealBroker, tmp_path: Path
) -> None:
    """Every accepted reading and event arrives, and the events are those that an undying disaggregator finds in the same readings."""
    async with Spine(mosquitto, tmp_path, speed=60).running() as spine:
        await spine.until(lambda: len(spine.heard.readings) > 3, "no readings came")
        await _kill_at_random([spine.sensor, spine.disaggregator] * kills_each, seed=kills_each)
        await spine.until(lambda: bool(spine.heard.events), "no appliance event came")
        await _until_all_arrived(spine)
        await spine.until(lambda: _told(spine.heard) == _expected(spine.heard), "the events are not those of the readings")


@pytest.mark.parametrize("kills_each", [2, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
async def test_a_killed_broker_loses_nothing(kills_each: int, mosquitto: RealBroker, tmp_path: Path) -> None:
    """Broker, sensor and disaggregator killed in any order: every accepted reading and event arrives, none under two ids."""
    async with Spine(mosquitto, tmp_path, speed=60).running() as spine:
        await spine.until(lambda: len(spine.heard.readings) > 3, "no readings came")
        await _kill_at_random([spine.broker, spine.sensor, spine.disaggregator] * kills_each, seed=kills_each)
        await spine.until(lambda: bool(spine.heard.events), "no appliance event came")
        await _until_all_arrived(spine)
        assert _runs_alternate(spine.heard)
