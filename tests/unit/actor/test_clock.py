"""Domain time: the wall, and a recording's."""

import asyncio
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from hems.actor.clock import SimulatedClock, WallClock

EPOCH = datetime(2013, 11, 3, 17, 0, tzinfo=UTC)


@pytest.fixture
def system_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The system's monotonic clock, in the test's hands."""
    reading = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: reading[0])
    return reading


def test_the_wall_clock_is_aware_and_at_rate_one() -> None:
    """It says UTC, and its monotonic seconds are the system's."""
    clock = WallClock()
    assert clock.now().tzinfo is UTC
    assert clock.rate == 1
    assert clock.monotonic() <= time.monotonic()


def test_simulated_time_passes_at_its_rate(system_s: list[float]) -> None:
    """A second of the system is `rate` seconds of the recording, for both of its readings."""
    clock = SimulatedClock(EPOCH, 1_000.0, 20)
    assert (clock.now(), clock.monotonic()) == (EPOCH, 0.0)
    system_s[0] += 3
    assert (clock.now(), clock.monotonic()) == (EPOCH + timedelta(minutes=1), 60.0)


def test_simulated_time_before_the_anchor_is_before_the_epoch(system_s: list[float]) -> None:
    """The supervisor anchors a little ahead, so that all processes are up when the recording begins."""
    system_s[0] -= 2
    assert SimulatedClock(EPOCH, 1_000.0, 10).now() == EPOCH - timedelta(seconds=20)


def test_an_epoch_of_another_zone_is_the_same_instant(system_s: list[float]) -> None:
    """What it says is UTC, whatever the configuration wrote."""
    clock = SimulatedClock(EPOCH.astimezone(timezone(timedelta(hours=5))), 1_000.0, 1)
    assert clock.now() == EPOCH
    assert clock.now().utcoffset() == timedelta(0)


def test_two_processes_agree() -> None:
    """Equal arguments make equal clocks: another process's reading lies between two of ours."""
    anchor_s = time.monotonic()
    ours = SimulatedClock(EPOCH, anchor_s, 50)
    code = (
        "from datetime import datetime; from hems.actor.clock import SimulatedClock; "
        f"print(SimulatedClock(datetime.fromisoformat({EPOCH.isoformat()!r}), {anchor_s!r}, 50).now().isoformat())"
    )
    before = ours.now()
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert before < datetime.fromisoformat(said.strip()) < ours.now()


@pytest.mark.parametrize(("rate", "real_s"), [(1, 60.0), (20, 3.0)])
async def test_sleep_is_in_domain_seconds(monkeypatch: pytest.MonkeyPatch, rate: float, real_s: float) -> None:
    """A minute at twenty times the speed is three seconds."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await SimulatedClock(EPOCH, 0, rate).sleep(60)
    assert waited == [real_s]
