"""Tells IFTTT what happened at home, again and again for ten minutes where it can't be told."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol

import structlog

from hems.actor.context import Context
from hems.actor.logs import FaultLog, Log
from services.bridge_adafruit.domain.triggers import Trigger, TriggerLater, TriggerRefused

_MOST_WAITING = 100
_USEFUL_FOR = timedelta(minutes=10)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 2.0, 60.0


class Recipes(Protocol):
    """Where triggers go."""

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Open it until the end."""
        ...

    async def tell(self, trigger: Trigger) -> None:
        """Trigger an event; raises TriggerRefused or TriggerLater."""
        ...


class Telling:
    """The triggers that wait, told in order."""

    def __init__(self, context: Context, recipes: Recipes, jitter: Callable[[], float]) -> None:
        self._context = context
        self._recipes = recipes
        self._jitter = jitter
        self._waiting: deque[Trigger] = deque()
        self._came = asyncio.Event()
        log: Log = structlog.get_logger()
        self._faults = FaultLog(log, "IFTTT could not be told", every=20)
        self._refusals = FaultLog(log, "IFTTT refused an event", every=20)

    def add(self, triggers: Sequence[Trigger]) -> None:
        """Tell these; the oldest are given up where too many wait."""
        self._waiting.extend(triggers)
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self._context.health.error("triggers_given_up")
        if triggers:
            self._came.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with self._recipes.opened():
            while True:
                self._came.clear()
                while self._waiting:
                    await self._tell(self._waiting.popleft())
                await self._came.wait()

    async def _tell(self, trigger: Trigger) -> None:
        wait_s = _FIRST_WAIT_S
        while self._context.clock.now() - trigger.at < _USEFUL_FOR:
            with contextlib.suppress(TriggerLater):
                await self._try(trigger)
                return
            await self._context.clock.sleep(wait_s * (0.8 + 0.4 * self._jitter()))
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        self._context.health.error("triggers_given_up")

    async def _try(self, trigger: Trigger) -> None:
        try:
            await self._recipes.tell(trigger)
        except TriggerLater as reason:
            self._faults.failed(trigger=trigger.event, reason=str(reason))
            raise
        except TriggerRefused as reason:
            self._context.health.error("triggers_refused")
            self._refusals.failed(trigger=trigger.event, reason=str(reason))
        else:
            self._context.health.work("triggers")
            self._faults.recovered()
            self._refusals.recovered()
