"""Handlers that wait together: one commit serves many messages, and each is acknowledged after it, in order."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from hems.actor.bus import Bus, Delivery, Input, Received, Session, TryAgain
from hems.contracts.appliances import ApplianceLabel
from hems.contracts.catalog import APPLIANCE_LABEL
from hems.contracts.topic import Qos
from hems.testing.clocks import settle
from hems.testing.harness import on_stage
from hems.testing.memory_bus import MemoryBroker
from tests.support.waiting import until

AT = datetime(2025, 1, 6, 7, 0, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("quick")


class Keeper:
    """Handles labels together: each waits until the test lets it go."""

    outputs = ()

    def __init__(self, *, waits: bool = True) -> None:
        self._waits = waits
        self.begun: list[str] = []
        self.waiting: dict[str, asyncio.Future[None]] = {}

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """Labels, together."""
        return (Input(APPLIANCE_LABEL, self._hear, durable=True, together=True),)

    async def _hear(self, received: Received[ApplianceLabel]) -> None:
        name = received.payload.id
        self.begun.append(name)
        if not self._waits:
            return
        self.waiting[name] = asyncio.get_running_loop().create_future()
        await self.waiting[name]

    async def run(self) -> None:
        """Nothing of its own."""
        await asyncio.Event().wait()


def _tell(broker: MemoryBroker, count: int) -> list[str]:
    names = [f"label{number}" for number in range(count)]
    for name in names:
        broker.say("hems/home/appliance/kettle/label", ApplianceLabel(id=name, at=AT, verdict="on", source="page").to_wire())
    return names


async def test_twenty_begin_in_order_and_no_more(tmp_path: Path) -> None:
    """As many as the broker hands out wait at once; the next begin when the first are done."""
    keeper = Keeper()
    async with on_stage("recorder", lambda _: keeper, tmp_path) as stage:
        names = _tell(stage.broker, 25)
        await settle()
        assert keeper.begun == names[:20]
        for name in names[:5]:
            keeper.waiting[name].set_result(None)
        await settle()
        assert keeper.begun == names


async def test_a_message_is_acknowledged_after_those_before_it(tmp_path: Path) -> None:
    """When the second is done and the first is not, a broken connection brings both again; when both are done, none."""
    keeper = Keeper()
    async with on_stage("recorder", lambda _: keeper, tmp_path) as stage:
        first, second = _tell(stage.broker, 2)
        await settle()
        keeper.waiting[second].set_result(None)
        await settle()
        stage.broker.kill()
        stage.broker.start()
        await until(lambda: keeper.begun == [first, second, first, second])
        keeper.waiting[first].set_result(None)
        keeper.waiting[second].set_result(None)
        await settle()
        stage.broker.kill()
        stage.broker.start()
        await asyncio.sleep(0.5)
        assert keeper.begun == [first, second, first, second]


async def test_one_that_can_not_be_handled_brings_the_rest_again(tmp_path: Path) -> None:
    """A passing failure makes the connection anew: whatever was not acknowledged comes again, in order."""
    keeper = Keeper()
    async with on_stage("recorder", lambda _: keeper, tmp_path) as stage:
        names = _tell(stage.broker, 3)
        await settle()
        keeper.waiting[names[0]].set_result(None)
        keeper.waiting[names[1]].set_exception(TryAgain("the disk is full"))
        await until(lambda: keeper.begun == [*names, *names[1:]])


class Flood:
    """A broker that hands out a session's whole queue at a new connection, and answers a subscription only behind it."""

    def __init__(self, length: int) -> None:
        self._length = length
        self.acknowledged = 0

    @contextlib.asynccontextmanager
    async def connect(self, session: Session) -> AsyncGenerator[Bus]:
        """The durable connection gets the flood, the other one nothing."""
        yield FloodedBus(self, self._length if session.durable else 0)


class FloodedBus:
    """One connection to it."""

    session_present = True

    def __init__(self, broker: Flood, length: int) -> None:
        self._broker = broker
        self._left = length
        self._drained = asyncio.Event()

    async def subscribe(self, topic_filter: str, qos: Qos, *, as_published: bool = False) -> None:
        """Answered when the flood has been taken."""
        if self._left:
            await self._drained.wait()

    async def publish(self, topic: str, payload: bytes, *, qos: Qos, retain: bool) -> None:
        """Taken."""

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """The queue, then silence."""
        while self._left:
            self._left -= 1
            label = ApplianceLabel(id=f"label{self._left}", at=AT, verdict="on", source="page")
            yield Delivery("hems/home/appliance/kettle/label", label.to_wire(), False, self._acknowledge)
        self._drained.set()
        await asyncio.Event().wait()

    def _acknowledge(self) -> None:
        self._broker.acknowledged += 1


async def test_a_queue_that_comes_before_the_answer_to_a_subscription_is_taken(tmp_path: Path) -> None:
    """A long queue is worked off while the subscription is not answered yet; waiting for the answer first would take for ever."""
    broker, keeper = Flood(2_000), Keeper(waits=False)
    async with on_stage("recorder", lambda _: keeper, tmp_path, broker=cast("Any", broker)):
        await until(lambda: broker.acknowledged == 2_000)
        assert len(keeper.begun) == 2_000
