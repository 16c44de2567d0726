"""Waiting for something to become true."""

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], object], patience_s: float = 10.0) -> None:
    """Let other tasks run until it holds.

    Raises:
        TimeoutError: it never did.
    """
    async with asyncio.timeout(patience_s):
        while not holds():  # noqa: ASYNC110 - what is waited for knows nothing of its being waited for
            await asyncio.sleep(0.002)
