"""Waits for a database that is away or a disk that is full, and says so, for as long as it takes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, TypeVar

from hems.actor.health import Health
from hems.actor.logs import FaultLog, Log
from services.recorder.domain.failures import Unavailable

RETRY_S = 1.0
_LONGEST_RETRY_S = 15.0

T = TypeVar("T")


class Patience:
    """Tries again, and shows meanwhile that nothing can be written.

    Args:
        health: shows it.
        log: hears of it.
        what: what can't be written, such as "the history".
    """

    def __init__(self, health: Health, log: Log, what: str) -> None:
        self._health = health
        self._what = what
        self._faults = FaultLog(log, f"{what} can't be written; what comes waits at the broker", every=20)

    async def persistently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Until it succeeds: nothing is acknowledged meanwhile, so that nothing is lost."""
        result = await self.until_there(work)
        self.recovered()
        return result

    async def until_there(self, work: Callable[[], Awaitable[T]]) -> T:
        """Until it succeeds; what it gives may yet fail at its first use."""
        wait_s = RETRY_S
        while True:
            try:
                return await work()
            except Unavailable as error:
                self.failed(error)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_RETRY_S)

    def failed(self, error: BaseException) -> None:
        """Show that nothing can be written."""
        self._health.error("database_failures")
        self._health.blind = f"{self._what} can't be written: {error}; free some disk space, or start the database"
        self._faults.failed(error=str(error))

    def recovered(self) -> None:
        """Show that it can again."""
        self._faults.recovered()
        self._health.blind = None


class Patiently(AbstractAsyncContextManager[T], Generic[T]):
    """Opens something, however long the database is away."""

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[T]], patience: Patience) -> None:
        self._opened = opened
        self._patience = patience

    async def __aenter__(self) -> T:
        return await self._patience.until_there(self._enter)

    async def _enter(self) -> T:
        self._entered = self._opened()
        return await self._entered.__aenter__()

    async def __aexit__(self, *details: Any) -> bool | None:
        return await self._entered.__aexit__(*details)
