"""Runs one actor on a broker in memory and a clock moved by hand, and listens to what it says."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog

from hems.actor.bus import Actor
from hems.actor.clock import Clock
from hems.actor.context import Context
from hems.actor.failures import leaves
from hems.actor.runner import serve
from hems.actor.store import Store
from hems.contracts.payload import Payload
from hems.contracts.topic import Root, Topic
from hems.testing.clocks import ManualClock, settle
from hems.testing.memory_bus import MemoryBroker

P = TypeVar("P", bound=Payload)


@dataclass
class Stage:
    """A running actor and its surroundings."""

    broker: MemoryBroker
    clock: ManualClock
    root: Root
    task: "asyncio.Task[None]"

    def said(self, topic: Topic[P]) -> list[tuple[dict[str, str], P]]:
        """All that was said on a topic so far: its parameters and payload."""
        found = ((topic.match(self.root, name), payload) for name, payload in self.broker.published)
        return [(parameters, topic.payload.from_wire(payload)) for parameters, payload in found if parameters is not None]

    async def tell(self, topic: Topic[P], payload: P | bytes, *, retain: bool = False, **parameters: str) -> None:
        """Say something to the actor, and let it finish with it."""
        raw = payload if isinstance(payload, bytes) else payload.to_wire()
        self.broker.say(topic.at(self.root, **parameters), raw, qos=topic.qos, retain=retain)
        await settle()


@contextlib.asynccontextmanager
async def on_stage(
    service: str,
    build: Callable[[Context], Actor],
    directory: Path,
    *,
    broker: MemoryBroker | None = None,
    clock: ManualClock | None = None,
    root: Root | None = None,
) -> AsyncGenerator[Stage]:
    """Run an actor until the block ends. Its store is a real file in `directory`, so that a second run finds the first one's.

    Raises:
        Exception: what the actor raised, if it broke.
    """
    broker, clock, root = broker or MemoryBroker(), clock or ManualClock(), root or Root("home")
    log: Any = structlog.get_logger()
    with Store(directory / f"{service}.db", log) as store:
        chosen_clock: Clock = clock
        task = asyncio.create_task(serve(service, build, broker=broker, root=root, clock=chosen_clock, store=store, log=log))
        await settle()
        try:
            yield Stage(broker, clock, root, task)
        finally:
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise leaves(outcome)[0]
