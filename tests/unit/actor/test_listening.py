"""What a service hears: one message at a time, acknowledged when it is done with it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hems.actor.bus import Input, Received, SessionTaken, TryAgain
from hems.contracts.appliances import ApplianceLabel
from hems.contracts.catalog import APPLIANCE_LABEL, DEMAND_EVENT
from hems.contracts.demand import DemandEvent
from hems.testing.clocks import settle
from hems.testing.harness import on_stage
from hems.testing.memory_bus import MemoryBroker
from tests.support.actors import Hear, Listener
from tests.support.waiting import until

AT = datetime(2025, 1, 6, 7, 0, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("quick")


def event(name: str) -> DemandEvent:
    """An event that can be told from others."""
    return DemandEvent(id=name, level="high", starts_at=AT, ends_at=AT)


def label(name: str) -> ApplianceLabel:
    """A label that can be told from others."""
    return ApplianceLabel(id=name, at=AT, verdict="on", source="page")


class Play:
    """Builds the listener and keeps hold of it."""

    def __init__(self, hear: Hear | None = None) -> None:
        self.listener: Listener
        self._hear = hear

    def __call__(self, context: Any) -> Listener:
        self.listener = Listener(context, self._hear)
        return self.listener

    @property
    def labels(self) -> list[str]:
        """The ids of the labels that were handled."""
        return [received.payload.id for received in self.listener.labels]


def _tell(broker: MemoryBroker, *names: str) -> None:
    for name in names:
        broker.say("hems/home/appliance/kettle/label", label(name).to_wire())


async def test_a_message_comes_with_its_parameters_and_domain_time(tmp_path: Path) -> None:
    """The actor is told what the topic says, when it came, and whether it is news."""
    play = Play()
    async with on_stage("recorder", play, tmp_path) as stage:
        await stage.clock.advance(90)
        await stage.tell(APPLIANCE_LABEL, label("a"), appliance="kettle")
        await stage.tell(APPLIANCE_LABEL, label("b"), appliance="heater")
        (received,) = play.listener.labels
        assert received == Received(label("a"), {"home": "home", "appliance": "kettle"}, False, stage.clock.now())


async def test_what_is_malformed_is_counted_logged_and_passed_over(tmp_path: Path) -> None:
    """It is acknowledged, the actor's own hook hears of it, a sample is in the log, and the next message is handled."""
    play = Play()
    with capture_logs() as logs:
        async with on_stage("recorder", play, tmp_path) as stage:
            await stage.tell(DEMAND_EVENT, b'{"id": "1", "level": "enormous"}' + b" " * 500)
            await stage.tell(DEMAND_EVENT, b"\xff\x00")
            await stage.tell(DEMAND_EVENT, event("good"))
            assert [received.payload.id for received in play.listener.heard] == ["good"]
            assert len(play.listener.malformed) == 2
            assert play.listener.context.health.report(AT, 0).errors["malformed_messages"] == 2
    (line,) = [entry for entry in logs if entry["event"] == "malformed messages"]
    assert line["topic"] == "hems/home/demand/event"
    assert "level" in line["reason"]
    assert "enormous" in line["sample"]
    assert len(line["sample"]) < 400


async def test_a_malformed_durable_message_does_not_come_again(tmp_path: Path) -> None:
    """Else it would block the queue for ever."""
    broker, play = MemoryBroker(), Play()
    async with on_stage("recorder", play, tmp_path, broker=broker) as stage:
        await stage.tell(APPLIANCE_LABEL, b"junk", appliance="kettle")
        assert play.listener.context.health.report(AT, 0).errors == {"malformed_messages": 1}
    async with on_stage("recorder", play, tmp_path, broker=broker):
        await settle()
        assert play.listener.context.health.report(AT, 0).errors == {}


async def test_a_bug_in_a_handler_ends_the_service(tmp_path: Path) -> None:
    """The exception comes out as it is; the message is not acknowledged, and is there for the next run."""

    async def fail(message: Received[Any]) -> None:
        raise ZeroDivisionError

    async def run(broker: MemoryBroker) -> None:
        async with on_stage("recorder", Play(fail), tmp_path, broker=broker) as stage:
            _tell(broker, "a")
            await asyncio.wait((stage.task,))

    broker = MemoryBroker()
    with pytest.raises(ZeroDivisionError):
        await run(broker)
    assert broker.retained("hems/home/service/recorder/status") == b"offline"
    play = Play()
    async with on_stage("recorder", play, tmp_path, broker=broker):
        await until(lambda: play.labels == ["a"])


async def test_a_passing_failure_brings_the_message_again(tmp_path: Path) -> None:
    """In order, as often as it takes, and what came before it is not repeated."""
    tries: list[str] = []

    async def reluctant(message: Received[Any]) -> None:
        tries.append(message.payload.id)
        if message.payload.id == "b" and tries.count("b") < 3:
            raise TryAgain("not yet")

    play = Play(reluctant)
    async with on_stage("recorder", play, tmp_path) as stage:
        _tell(stage.broker, "a", "b", "c")
        await until(lambda: play.labels == ["a", "b", "c"])
        assert tries == ["a", "b", "b", "b", "c"]


async def test_a_message_is_acknowledged_only_when_its_handler_is_done(tmp_path: Path) -> None:
    """Stopped in the middle, it comes again to the next run; the ones before it don't."""
    broker, begun = MemoryBroker(), asyncio.Event()

    async def slow(message: Received[Any]) -> None:
        if message.payload.id == "b":
            begun.set()
            await asyncio.Event().wait()

    first, second = Play(slow), Play()
    async with on_stage("recorder", first, tmp_path, broker=broker):
        _tell(broker, "a", "b", "c")
        await begun.wait()
    async with on_stage("recorder", second, tmp_path, broker=broker):
        await until(lambda: second.labels == ["b", "c"])
    assert first.labels == ["a"]


async def test_messages_are_handled_one_at_a_time_and_in_order(tmp_path: Path) -> None:
    """A handler that waits holds the next message back: an actor needs no locks."""
    under_way, most = 0, 0

    async def slow(message: Received[Any]) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1

    play, names = Play(slow), [str(number) for number in range(50)]
    async with on_stage("recorder", play, tmp_path) as stage:
        _tell(stage.broker, *names)
        await until(lambda: play.labels == names)
        assert most == 1


async def test_a_durable_input_is_queued_for_and_a_live_one_is_not(tmp_path: Path) -> None:
    """While the service is away the broker keeps what is declared durable, and nothing else."""
    broker, play = MemoryBroker(), Play()
    async with on_stage("recorder", Play(), tmp_path, broker=broker):
        pass
    _tell(broker, "a")
    broker.say("hems/home/demand/event", event("missed").to_wire())
    async with on_stage("recorder", play, tmp_path, broker=broker):
        await until(lambda: play.labels == ["a"])
        await settle()
        assert play.listener.heard == []


class AtMostOnce(Listener):
    """Asks for its inputs with less than their topics' own."""

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """As they are, with QoS 0."""
        return [replace(entry, qos=0) for entry in super().inputs]


async def test_an_input_may_ask_for_less_than_its_topic_gives(tmp_path: Path) -> None:
    """What is subscribed with QoS 0 is heard, and not queued even for a durable session."""
    broker, heard = MemoryBroker(), list[Received[Any]]()

    async def hear(message: Received[Any]) -> None:
        heard.append(message)

    async with on_stage("recorder", lambda context: AtMostOnce(context, hear), tmp_path, broker=broker):
        _tell(broker, "a")
        await until(lambda: len(heard) == 1)
    _tell(broker, "missed")
    async with on_stage("recorder", lambda context: AtMostOnce(context, hear), tmp_path, broker=broker):
        _tell(broker, "b")
        await until(lambda: len(heard) == 2)
    assert [message.payload.id for message in heard] == ["a", "b"]


async def test_a_second_instance_ends_the_first(tmp_path: Path) -> None:
    """It does not fight for the identity for ever: the one that lost it ends with a bug's status."""

    async def run(broker: MemoryBroker) -> None:
        async with (
            on_stage("recorder", Play(), tmp_path / "a", broker=broker) as first,
            on_stage("recorder", Play(), tmp_path / "b", broker=broker) as second,
        ):
            await asyncio.wait((first.task,), timeout=5)
            assert not second.task.done()

    with pytest.raises(SessionTaken):
        await run(MemoryBroker())


async def test_an_actors_own_context_is_left_last(tmp_path: Path) -> None:
    """What it opened is there from before the first message until after the last word."""
    story: list[str] = []

    class Opened(Listener):
        async def __aenter__(self) -> None:
            story.append("opened")

        async def __aexit__(self, *_: object) -> None:
            story.append("closed")

    broker = MemoryBroker()
    say = broker.say

    def listen(topic: str, payload: bytes, **options: Any) -> None:
        if topic.endswith("/status"):
            story.append(payload.decode())
        say(topic, payload, **options)

    broker.say = listen
    async with on_stage("recorder", lambda context: Opened(context), tmp_path, broker=broker):
        pass
    assert story == ["opened", "online", "offline", "closed"]
