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
from hems.contracts.alerts import Alert, NotifyMessage
from hems.contracts.appliances import ApplianceEvent, ApplianceLabel, ApplianceState
from hems.contracts.catalog import ALERT, APPLIANCE, APPLIANCE_EVENT, APPLIANCE_LABEL, DEMAND, HISTORY_QUERY, MAINS, NOTIFY_MESSAGE, RELAY
from hems.contracts.demand import DemandState
from hems.contracts.energy import HistoryQuery
from hems.contracts.mains import Mains
from hems.contracts.payload import Payload
from hems.contracts.relays import RelayState
from hems.contracts.topic import Root, Topic
from services.recorder.domain.records import Row, happening, mains_row, microseconds, state_row

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
        return (_input(MAINS, self._mains),)

    def others(self) -> tuple[Input[Any], ...]:
        """All that is kept besides, of all homes."""
        return (
            _input(APPLIANCE, self._state),
            _input(APPLIANCE_EVENT, self._event),
            _input(APPLIANCE_LABEL, self._label),
            _input(RELAY, self._relay),
            _input(ALERT, self._alert),
            _input(DEMAND, self._demand),
            _input(NOTIFY_MESSAGE, self._message),
        )

    async def _mains(self, received: Received[Mains]) -> None:
        # Also the broker's copy of the newest: it is a reading as any other, and one that is there twice is there once.
        await self._take(received, mains_row(received.payload, channels=self._channels))

    async def _state(self, received: Received[ApplianceState]) -> None:
        await self._take(received, state_row(received.parameters["appliance"], received.payload))

    async def _event(self, received: Received[ApplianceEvent]) -> None:
        event = received.payload
        await self._take(received, happening("event", event.at, received.parameters["appliance"], event, event.id))

    async def _label(self, received: Received[ApplianceLabel]) -> None:
        label = received.payload
        await self._take(received, happening("label", label.at, received.parameters["appliance"], label, label.id))

    async def _relay(self, received: Received[RelayState]) -> None:
        await self._take(received, happening("relay", received.payload.changed_at, received.parameters["relay"], received.payload))

    async def _alert(self, received: Received[Alert]) -> None:
        alert = received.payload
        await self._take(received, happening("alert", alert.at, alert.rule, alert, alert.id))

    async def _demand(self, received: Received[DemandState]) -> None:
        await self._take(received, happening("demand", received.arrived_at, received.payload.level, received.payload))

    async def _message(self, received: Received[NotifyMessage]) -> None:
        message = received.payload
        await self._take(received, happening("message", message.at, message.recipient, message, f"{message.id}-{message.status}"))

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


def question_input(ask: Callable[[Received[HistoryQuery]], Awaitable[None]]) -> Input[Any]:
    """Questions of all homes."""
    return Input(HISTORY_QUERY, ask)


def _input(topic: Topic[P], handle: Callable[[Received[P]], Awaitable[None]]) -> Input[P]:
    return Input(topic, handle, durable=True, together=True, in_turn=False)
