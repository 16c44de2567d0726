"""Staying connected: a session that is made anew, with jittered backoff, for as long as the service lives."""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import stamina

from hems.actor.bus import Broker, Bus, Delivery, Disconnected, Input, Received, Session, TryAgain
from hems.actor.clock import Clock
from hems.actor.failures import ends_on
from hems.actor.health import Health
from hems.actor.logs import FaultLog, Log
from hems.contracts.payload import MalformedPayload
from hems.contracts.topic import Root

stamina.instrumentation.set_on_retry_hooks([])  # FaultLog says it, and less often

_SHORT_S = 1.0
_BACKOFF: dict[str, float] = {"wait_initial": 0.1, "wait_max": 5.0, "wait_jitter": 0.5}

WhileConnected = Callable[[Bus], Awaitable[None]]


class Connection:
    """One session, its subscriptions, and what is done while it stands.

    A message is acknowledged when its handler has returned, on the connection that it came by. Malformed ones are
    counted, logged and acknowledged. `TryAgain` from a handler makes the connection anew, so that the message comes again.
    """

    def __init__(
        self,
        broker: Broker,
        session: Session,
        inputs: Sequence[Input[Any]],
        while_connected: Sequence[WhileConnected],
        *,
        root: Root,
        clock: Clock,
        health: Health,
        log: Log,
    ) -> None:
        self._broker = broker
        self._session = session
        self._inputs = inputs
        self._while_connected = while_connected
        self._root = root
        self._clock = clock
        self._health = health
        self._faults = FaultLog(log, "no connection to the broker", every=20)
        self._try_again = FaultLog(log, "a message could not be handled yet", every=20)
        self._short = FaultLog(log, "connections end as soon as they are made", every=20)
        self._malformed = FaultLog(log, "malformed messages", every=100)

    async def keep(self) -> None:
        """Connect, and again whenever the connection breaks; ends by being cancelled, or by a bug's exception."""
        while True:
            async with contextlib.AsyncExitStack() as stack:
                bus, connected_at_s = await self._connected(stack), time.monotonic()
                with ends_on(Disconnected, TryAgain) as broken:
                    await self._serve(bus)
            await self._recover(broken[0], lasted_s=time.monotonic() - connected_at_s)

    async def _recover(self, failure: BaseException, lasted_s: float) -> None:
        self._health.error("disconnections")
        if isinstance(failure, TryAgain):
            self._try_again.failed(error=str(failure))
        else:
            self._faults.failed(error=str(failure))
        if lasted_s < _SHORT_S:
            # Two instances with one identity would otherwise end each other's sessions as fast as they can.
            self._short.failed(hint="does another instance run for this home?")
            await asyncio.sleep(random.uniform(0.5, 2.0))  # noqa: S311

    async def _connected(self, stack: contextlib.AsyncExitStack) -> Bus:
        attempts = stamina.retry_context(
            on=self._worth_retrying, attempts=None, timeout=None, wait_initial=0.1, wait_max=5.0, wait_jitter=0.5
        )
        async for attempt in attempts:
            with attempt:
                bus = await stack.enter_async_context(self._broker.connect(self._session))
                self._faults.recovered()
                return bus
        raise AssertionError("unreachable: attempts have no end")

    def _worth_retrying(self, error: Exception) -> bool:
        if isinstance(error, Disconnected):
            self._faults.failed(error=str(error))
        return isinstance(error, Disconnected)

    async def _serve(self, bus: Bus) -> None:
        async with asyncio.TaskGroup() as tasks:
            for entry in self._inputs:
                await bus.subscribe(entry.topic.filter(self._root, **entry.fixed), entry.topic.qos)
            for work in self._while_connected:
                tasks.create_task(_coroutine(work, bus))
            async for delivery in bus.deliveries():
                await self._dispatch(delivery)
            raise Disconnected("the broker ended the connection")

    async def _dispatch(self, delivery: Delivery) -> None:
        for entry in self._inputs:
            parameters = entry.topic.match(self._root, delivery.topic)
            if parameters is not None and entry.fixed.items() <= parameters.items():
                await self._handle(entry, parameters, delivery)
        self._try_again.recovered()
        delivery.acknowledge()

    async def _handle(self, entry: Input[Any], parameters: dict[str, str], delivery: Delivery) -> None:
        try:
            payload = entry.topic.payload.from_wire(delivery.payload)
        except MalformedPayload as error:
            self._health.error("malformed_messages")
            self._malformed.failed(topic=delivery.topic, reason=str(error), sample=repr(delivery.payload[:80]))
            if entry.malformed is not None:
                await entry.malformed(parameters, str(error))
            return
        await entry.handle(Received(payload, parameters, delivery.retained, self._clock.now()))


async def _coroutine(work: WhileConnected, bus: Bus) -> None:
    await work(bus)
