"""The clock that tests move by hand."""

import asyncio
from datetime import timedelta

from hems.testing.clocks import START, ManualClock, settle


async def test_it_stands_still_until_it_is_advanced() -> None:
    """Time passes by `advance` only."""
    clock = ManualClock()
    await settle()
    assert (clock.now(), clock.monotonic()) == (START, 0.0)
    await clock.advance(90)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(seconds=90), 90.0)


async def test_sleepers_wake_in_order_each_at_its_own_time() -> None:
    """Whoever sleeps sees the time that it slept until, also where it sleeps again on the way."""
    clock, seen = ManualClock(), list[tuple[str, float]]()

    async def sleeper(name: str, *spans_s: float) -> None:
        for span_s in spans_s:
            await clock.sleep(span_s)
            seen.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(sleeper("slow", 3))
        tasks.create_task(sleeper("twice", 1, 4))
        await clock.advance(10)
    assert seen == [("twice", 1.0), ("slow", 3.0), ("twice", 5.0)]
    assert clock.monotonic() == 10.0


async def test_a_cancelled_sleeper_does_not_hold_time_up() -> None:
    """A sleeper that was cancelled is passed over."""
    clock = ManualClock()
    sleeping = asyncio.create_task(clock.sleep(1))
    await settle()
    sleeping.cancel()
    await clock.advance(2)
    assert sleeping.cancelled()
    assert clock.monotonic() == 2.0


async def test_a_jump_moves_the_time_of_day_alone() -> None:
    """As when NTP sets the clock: no time passes."""
    clock = ManualClock()
    clock.jump(-3_600)
    assert (clock.now(), clock.monotonic()) == (START - timedelta(hours=1), 0.0)
