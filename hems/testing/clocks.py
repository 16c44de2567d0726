"""A clock that a test moves by hand."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2025, 1, 6, 7, 0, tzinfo=UTC)


class ManualClock:
    """Stands still until `advance`; sleepers wake in order, each before time moves on."""

    rate = 1.0

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._elapsed_s = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The time that the test has set."""
        return self._now

    def monotonic(self) -> float:
        """Seconds by which the test has advanced; jumps of the time of day don't count."""
        return self._elapsed_s

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has advanced so far."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._elapsed_s + max(seconds, 0.0), waiting))
        await waiting

    async def advance(self, seconds: float) -> None:
        """Move on, waking whoever is due on the way."""
        end_s = self._elapsed_s + seconds
        await settle()
        while due := [entry for entry in self._sleepers if entry[0] <= end_s]:
            wake_s, waiting = min(due, key=lambda entry: entry[0])
            self._sleepers.remove((wake_s, waiting))
            self._move_to(wake_s)
            if not waiting.done():
                waiting.set_result(None)
            await settle()
        self._move_to(end_s)
        await settle()

    def jump(self, seconds: float) -> None:
        """Set the time of day forward or back, as a person or NTP does; no time passes."""
        self._now += timedelta(seconds=seconds)

    def _move_to(self, elapsed_s: float) -> None:
        self._now += timedelta(seconds=elapsed_s - self._elapsed_s)
        self._elapsed_s = elapsed_s


async def settle(rounds: int = 50) -> None:
    """Let every task run until it waits for something."""
    for _ in range(rounds):
        await asyncio.sleep(0)
