"""Staying connected: a session that is made anew, with jittered backoff, for as long as the service lives."""

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import stamina

from hems.actor.bus import Broker, Bus, Delivery, Disconnected, Input, Received, Session, TryAgain
from hems.actor.clock import Clock
from hems.actor.failures import ends_on, still_cancelled
from hems.actor.health import Health
from hems.actor.logs import FaultLog, Log
from hems.contracts.payload import MalformedPayload
from hems.contracts.topic import Root

stamina.instrumentation.set_on_retry_hooks([])  # FaultLog says it, and less often

_SHORT_S = 1.0
_MALFORMED_SPELL_S = 60.0

_Handler = tuple[Input[Any], Mapping[str, str]]
WhileConnected = Callable[[Bus], Coroutine[Any, Any, None]]
"""Work that goes on until it is cancelled with its connection."""


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
        self._malformed: defaultdict[str, FaultLog] = defaultdict(
            lambda: FaultLog(log, "malformed messages", every=100, spell_s=_MALFORMED_SPELL_S)
        )

    async def keep(self) -> None:
        """Connect, and again whenever the connection breaks; ends by being cancelled, or by a bug's exception."""
        while True:
            async with contextlib.AsyncExitStack() as stack:
                bus, connected_at_s = await self._connected(stack), time.monotonic()
                with ends_on(Disconnected, TryAgain) as broken:
                    await self._serve(bus)
            still_cancelled()
            await self._recover(broken[0], lasted_s=time.monotonic() - connected_at_s)

    async def _recover(self, failure: BaseException, lasted_s: float) -> None:
        self._health.error("disconnections")
        if isinstance(failure, TryAgain):
            self._try_again.failed(error=str(failure))
        else:
            self._faults.failed(error=str(failure))
            self._note_length(lasted_s)
        if lasted_s < _SHORT_S:
            # Neither a message that can't be handled yet, nor two instances that end each other's sessions, may turn fast.
            await asyncio.sleep(random.uniform(0.5, 2.0))  # noqa: S311

    def _note_length(self, lasted_s: float) -> None:
        if lasted_s < _SHORT_S:
            self._short.failed(hint="does another instance run for this home?")
        else:
            self._short.recovered()

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
            if self._session.durable:
                # A broker may hand out a long queue at once, and answer a subscription behind it: take what comes meanwhile.
                tasks.create_task(self._begin(bus, tasks))
            else:
                await self._begin(bus, tasks)
            await self._take_all(bus, tasks)
            raise Disconnected("the broker ended the connection")

    async def _begin(self, bus: Bus, tasks: asyncio.TaskGroup) -> None:
        for entry in self._inputs:
            qos = entry.topic.qos if entry.qos is None else entry.qos
            await bus.subscribe(entry.topic.filter(self._root, **entry.fixed), qos, as_published=entry.as_published)
        for work in self._while_connected:
            tasks.create_task(work(bus))

    async def _take_all(self, bus: Bus, tasks: asyncio.TaskGroup) -> None:
        room = asyncio.Semaphore(self._session.window)  # as many as the broker hands out unacknowledged
        before: asyncio.Task[None] | None = None
        async for delivery in bus.deliveries():
            handlers = self._handlers(delivery)
            if not handlers or not all(entry.together for entry, _ in handlers):
                if before is not None:
                    await before
                await self._dispatch(delivery, handlers, None)
                before = None
            else:
                await room.acquire()
                in_turn = all(entry.in_turn for entry, _ in handlers)
                before = tasks.create_task(self._dispatch(delivery, handlers, before if in_turn else None))
                before.add_done_callback(lambda _: room.release())

    async def _dispatch(self, delivery: Delivery, handlers: "Sequence[_Handler]", before: "asyncio.Task[None] | None") -> None:
        for entry, parameters in handlers:
            await self._handle(entry, parameters, delivery)
        if before is not None:
            await before
        self._try_again.recovered()
        delivery.acknowledge()

    def _handlers(self, delivery: Delivery) -> "list[_Handler]":
        matched = ((entry, entry.topic.match(self._root, delivery.topic)) for entry in self._inputs)
        return [(entry, found) for entry, found in matched if found is not None and entry.fixed.items() <= found.items()]

    async def _handle(self, entry: Input[Any], parameters: Mapping[str, str], delivery: Delivery) -> None:
        try:
            payload = entry.topic.payload.from_wire(delivery.payload)
        except MalformedPayload as error:
            if entry.unread is not None:
                await entry.unread(parameters, delivery, str(error))
            self._health.error("malformed_messages")
            self._malformed[entry.topic.pattern].failed(topic=delivery.topic, reason=str(error), sample=repr(delivery.payload[:80]))
            if entry.malformed is not None:
                await entry.malformed(parameters, str(error), delivery.retained)
            return
        self._malformed[entry.topic.pattern].recovered()
        await entry.handle(Received(payload, parameters, delivery.retained, self._clock.now()))
