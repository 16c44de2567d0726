"""Rows that wait to be written together; who brought them waits too."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from services.recorder.domain.batch import MOST_WAITING, Batch

R = TypeVar("R")


class Batches(Generic[R]):
    """Rows come one by one and are written many at once."""

    def __init__(self, commit_every_s: float, most_waiting: int = MOST_WAITING) -> None:
        self._batch = Batch(commit_every_s, most_waiting)
        self._waiting: list[tuple[R, asyncio.Future[None]]] = []
        self._came = asyncio.Event()

    @property
    def size(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def written(self, row: R) -> None:
        """Return once the row is committed."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((row, done))
        self._batch.add(loop.time())
        self._came.set()
        await done

    async def write_all(self, write: Callable[[Sequence[R]], Awaitable[None]]) -> None:
        """Write what comes, until cancelled. `write` returns once its rows are committed."""
        while True:
            await self._due()
            # Whoever gave up waiting lost its connection: the message comes again.
            taken = [(row, done) for row, done in self._waiting if not done.cancelled()]
            self._waiting = []
            self._batch.take()
            if taken:
                await write([row for row, _ in taken])
            for _, done in taken:
                if not done.done():
                    done.set_result(None)

    async def _due(self) -> None:
        loop = asyncio.get_running_loop()
        while (wait_s := self._batch.due_in_s(loop.time())) != 0:
            self._came.clear()
            try:
                async with asyncio.timeout(wait_s):
                    await self._came.wait()
            except TimeoutError:
                continue
