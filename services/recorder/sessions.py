"""The sessions by which the recorder of many homes reads: one for each partition's readings, one for all else."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from hems.actor.bus import Broker, Bus, Disconnected, Input, Received, Refused, Session
from hems.actor.clock import Clock
from hems.actor.connection import Connection
from hems.actor.health import Health
from hems.actor.logs import FaultLog, Log
from hems.contracts.catalog import HISTORY_QUERY
from hems.contracts.payload import Payload
from hems.contracts.topic import Root, Topic
from services.recorder.domain.records import Row, microseconds
from services.recorder.kept import Kept, kept_besides, kept_mains
from services.recorder.replies import Replies

P = TypeVar("P", bound=Payload)
Keep = Callable[[str, Row], Awaitable[None]]
"""Takes a home and a row; returns once it is committed."""

_NAME = re.compile(r"[a-z0-9_-]{1,32}")
_CLOCKS_DIFFER_BY = timedelta(minutes=2)


@dataclass
class Around:
    """What the sessions share."""

    broker: Broker
    clock: Clock
    health: Health
    log: Log
    window: int
    prefix: str

    def connection(self, name: str, root: Root, inputs: Sequence[Input[Any]], *, durable: bool, lend: "Voice | None" = None) -> Connection:
        """One session and its subscriptions."""
        session = Session(name, durable=durable, window=self.window)
        work = () if lend is None else (lend.lend,)
        return Connection(self.broker, session, inputs, work, root=root, clock=self.clock, health=self.health, log=self.log)


class Reading:
    """Turns what comes into rows of homes. What can't be a home, or is ahead of the clock, is counted and let go."""

    def __init__(self, around: Around, keep: Keep, *, channels: bool) -> None:
        self._health = around.health
        self._keep = keep
        self._channels = channels
        self._odd = FaultLog(around.log, "a message of no home, or from the future", every=100, spell_s=60)

    def mains(self) -> tuple[Input[Any], ...]:
        """A partition's readings."""
        # Also the broker's copy of the newest: it is a reading as any other, and one that is there twice is there once.
        return (self._input(kept_mains(channels=self._channels)),)

    def others(self) -> tuple[Input[Any], ...]:
        """All that is kept besides, of all homes."""
        return tuple(map(self._input, kept_besides()))

    def _input(self, kept: Kept) -> Input[Any]:
        topic, row = kept

        async def keep(received: Received[Any]) -> None:
            await self._take(received, row(received))

        return Input(topic, keep, durable=True, together=True, in_turn=False)

    async def _take(self, received: Received[Any], row: Row) -> None:
        names = received.parameters.values()
        ahead_us = row.at_us - microseconds(received.arrived_at)
        if all(map(_NAME.fullmatch, names)) and ahead_us <= _CLOCKS_DIFFER_BY // timedelta(microseconds=1):
            self._odd.recovered()
            await self._keep(received.parameters["home"], row)
        else:
            self._health.error("odd_messages")
            self._odd.failed(parameters=str(dict(received.parameters))[:200], ahead_s=ahead_us // 1_000_000)


class Voice:
    """Speaks over a connection while it stands."""

    def __init__(self, health: Health, prefix: str) -> None:
        self._health = health
        self._prefix = prefix
        self._bus: Bus | None = None
        self.connected = asyncio.Event()

    async def lend(self, bus: Bus) -> None:
        """Use this connection until it breaks."""
        self._bus = bus
        self.connected.set()
        try:
            await asyncio.Event().wait()
        finally:
            self._bus = None
            self.connected.clear()

    async def say(self, home: str, topic: Topic[P], payload: P, **parameters: str) -> bool:
        """Say something of a home; whether the broker answered. There may be no connection."""
        if self._bus is None:
            return False
        try:
            await self._bus.publish(topic.at(Root(home, self._prefix), **parameters), payload.to_wire(), qos=topic.qos, retain=topic.retain)
            self._health.work("delivered")
        except Disconnected:
            return False
        except Refused:
            self._health.error("refused_publications")
        return True


def question_input(replies: Replies) -> Input[Any]:
    """Questions of all homes.

    With QoS 1 a session that isn't kept was seen to hear nothing any more, for good, once a node of NATS 2.9.10 was killed; with QoS 0
    nothing stands between the asker and this. Who asks waits for an answer, and asks again.
    """
    return Input(HISTORY_QUERY, replies.ask, qos=0, unread=replies.refuse_unread)
