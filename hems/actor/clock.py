"""Time as an input: the wall, or a simulated clock that all processes of a demo share."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Domain time. Safety timers on real outputs use `time.monotonic` instead."""

    @property
    def rate(self) -> float:
        """Domain seconds in a real second; 1 on the wall clock."""
        ...

    def now(self) -> datetime:
        """The time of day, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump; their zero has no meaning."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for a span of domain time."""
        ...


class WallClock:
    """Real time."""

    rate = 1.0

    def now(self) -> datetime:
        """The system's time of day, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """The system's monotonic clock, s."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class SimulatedClock:
    """A recording's time: `epoch` at the instant `anchor_s` of the system's monotonic clock, then `rate` times as fast.

    The monotonic clock is one for all processes of a machine, so equal arguments make equal clocks.
    """

    def __init__(self, epoch: datetime, anchor_s: float, rate: float) -> None:
        self._epoch = epoch.astimezone(UTC)
        self._anchor_s = anchor_s
        self._rate = rate

    @property
    def rate(self) -> float:
        """Domain seconds in a real second."""
        return self._rate

    def now(self) -> datetime:
        """The recording's time of day, UTC."""
        return self._epoch + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        """Domain seconds since the epoch."""
        return (time.monotonic() - self._anchor_s) * self._rate

    async def sleep(self, seconds: float) -> None:
        """Wait for a span of the recording's time."""
        await asyncio.sleep(seconds / self._rate)
