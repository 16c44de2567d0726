"""What a bus promises: the same tests on a real Mosquitto (MQTT 5 and 3.1.1) and on the one in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import count

import pytest
from pydantic import SecretStr

from hems.actor.bus import Broker, Bus, Delivery, Disconnected, Refused, Session, SessionTaken, Will
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings
from hems.testing.memory_bus import MemoryBroker
from tests.support.broker import RealBroker, free_port

_HOMES = count(1)
PATIENCE_S = 5


@dataclass
class World:
    """A broker as two users see it: `home` is this test's own."""

    sensor: Broker
    client: Broker
    home: str
    kill: Callable[[], None]
    start: Callable[[], None]
    protocol: str

    def topic(self, levels: str) -> str:
        return f"hems/{self.home}/{levels}"

    def session(self, name: str, *, durable: bool = False, will: Will | None = None) -> Session:
        return Session(f"{self.home}-{name}", durable=durable, will=will)


def _real(mosquitto: RealBroker, user: str, protocol: str) -> MqttBroker:
    password = SecretStr(mosquitto.password(user))
    return MqttBroker(
        BrokerSettings.read({"host": mosquitto.host, "port": mosquitto.port, "username": user, "password": password, "protocol": protocol})
    )


@pytest.fixture(params=["memory", "5", "3.1.1"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """The same world over each bus."""
    home = f"bus-{next(_HOMES)}"
    if request.param == "memory":
        broker = MemoryBroker()
        broker.refuses = lambda topic: topic.endswith("/nobody")
        yield World(broker, broker, home, broker.kill, broker.start, "memory")
    else:
        mosquitto: RealBroker = request.getfixturevalue("mosquitto")
        protocol: str = request.param
        yield World(
            _real(mosquitto, "sensor", protocol), _real(mosquitto, "client", protocol), home, mosquitto.kill, mosquitto.start, protocol
        )


async def _take(deliveries: AsyncIterator[Delivery], number: int) -> list[Delivery]:
    async with asyncio.timeout(PATIENCE_S):
        return [await anext(deliveries) for _ in range(number)]


async def _nothing_comes(bus: Bus) -> bool:
    try:
        async with asyncio.timeout(0.1):
            async for _ in bus.deliveries():
                return False
    except TimeoutError:
        return True
    return True


async def test_what_is_published_is_delivered_in_order(world: World) -> None:
    """A subscriber gets the same bytes, in the order in which they were said."""
    async with world.client.connect(world.session("a")) as reader, world.sensor.connect(world.session("b")) as writer:
        await reader.subscribe(world.topic("mains"), 1)
        for number in range(10):
            await writer.publish(world.topic("mains"), b"%d\x00\xff" % number, qos=1, retain=False)
        found: list[tuple[str, bytes, bool]] = []
        deliveries = reader.deliveries()
        for _ in range(10):
            (delivery,) = await _take(deliveries, 1)
            delivery.acknowledge()
            found.append((delivery.topic, delivery.payload, delivery.retained))
        assert found == [(world.topic("mains"), b"%d\x00\xff" % number, False) for number in range(10)]


async def test_a_plus_covers_one_level(world: World) -> None:
    """`+` matches one level and no more."""
    async with world.client.connect(world.session("a")) as reader, world.sensor.connect(world.session("b")) as writer:
        await reader.subscribe(world.topic("service/+/status"), 1)
        await writer.publish(world.topic("service/sensor/health"), b"no", qos=1, retain=False)
        await writer.publish(world.topic("service/sensor/status"), b"yes", qos=1, retain=False)
        (delivery,) = await _take(reader.deliveries(), 1)
        assert (delivery.topic, delivery.payload) == (world.topic("service/sensor/status"), b"yes")


async def test_a_retained_message_is_marked_live_for_who_asks(world: World) -> None:
    """The publisher's retain flag comes along where a subscription asks for it, on MQTT 5, and nowhere else."""
    async with world.client.connect(world.session("a")) as reader, world.sensor.connect(world.session("b")) as writer:
        await reader.subscribe(world.topic("mains"), 1, as_published=True)
        await reader.subscribe(world.topic("alert"), 1)
        await writer.publish(world.topic("mains"), b"1", qos=1, retain=True)
        await writer.publish(world.topic("alert"), b"2", qos=1, retain=True)
        marked, plain = await _take(reader.deliveries(), 2)
        assert marked.retained == (world.protocol != "3.1.1")
        assert not plain.retained


async def test_the_newest_retained_message_awaits_a_subscriber(world: World) -> None:
    """A retained message is handed to who subscribes later, marked as such; an empty one removes it."""
    async with world.client.connect(world.session("a")) as reader, world.sensor.connect(world.session("b")) as writer:
        await writer.publish(world.topic("mains"), b"old", qos=1, retain=True)
        await writer.publish(world.topic("mains"), b"new", qos=1, retain=True)
        await reader.subscribe(world.topic("mains"), 1)
        (delivery,) = await _take(reader.deliveries(), 1)
        assert (delivery.payload, delivery.retained) == (b"new", True)
        await writer.publish(world.topic("mains"), b"", qos=1, retain=True)
    async with world.client.connect(world.session("c")) as late:
        await late.subscribe(world.topic("mains"), 1)
        assert await _nothing_comes(late)


async def test_a_durable_session_is_queued_for(world: World) -> None:
    """What is said while a durable subscriber is away awaits it; its session is known when it returns."""
    durable = world.session("durable", durable=True)
    async with world.client.connect(durable) as reader:
        assert not reader.session_present
        await reader.subscribe(world.topic("mains"), 1)
    async with world.sensor.connect(world.session("b")) as writer:
        for number in range(30):
            await writer.publish(world.topic("mains"), b"%d" % number, qos=1, retain=False)
    async with world.client.connect(durable) as reader:
        assert reader.session_present
        deliveries, found = reader.deliveries(), list[bytes]()
        for _ in range(30):
            (delivery,) = await _take(deliveries, 1)
            delivery.acknowledge()
            found.append(delivery.payload)
    assert found == [b"%d" % number for number in range(30)]


async def test_a_live_session_hears_only_what_is_said_meanwhile(world: World) -> None:
    """A clean session starts with an empty queue."""
    async with world.client.connect(world.session("live")) as reader:
        await reader.subscribe(world.topic("mains"), 1)
    async with world.sensor.connect(world.session("b")) as writer:
        await writer.publish(world.topic("mains"), b"missed", qos=1, retain=False)
    async with world.client.connect(world.session("live")) as reader:
        assert not reader.session_present
        await reader.subscribe(world.topic("mains"), 1)
        assert await _nothing_comes(reader)


async def test_what_was_not_acknowledged_comes_again(world: World) -> None:
    """A message that the program had not finished with is delivered on the next connection; a finished one is not."""
    durable = world.session("durable", durable=True)
    async with world.client.connect(durable) as reader, world.sensor.connect(world.session("b")) as writer:
        await reader.subscribe(world.topic("mains"), 1)
        for number in range(3):
            await writer.publish(world.topic("mains"), b"%d" % number, qos=1, retain=False)
        deliveries = await _take(reader.deliveries(), 3)
        deliveries[0].acknowledge()
        await asyncio.sleep(0.05)
    async with world.client.connect(durable) as reader:
        assert [delivery.payload for delivery in await _take(reader.deliveries(), 2)] == [b"1", b"2"]


async def test_twenty_unacknowledged_messages_are_the_most(world: World) -> None:
    """Who does not acknowledge gets twenty messages, and the next as soon as it does: that is the back-pressure."""
    async with world.client.connect(world.session("a")) as reader, world.sensor.connect(world.session("b")) as writer:
        await reader.subscribe(world.topic("mains"), 1)
        for number in range(25):
            await writer.publish(world.topic("mains"), b"%d" % number, qos=1, retain=False)
        deliveries = reader.deliveries()
        taken = await _take(deliveries, 20)
        following = asyncio.ensure_future(anext(deliveries))
        done, _ = await asyncio.wait((following,), timeout=0.1)
        assert not done
        taken[0].acknowledge()
        async with asyncio.timeout(PATIENCE_S):
            assert (await following).payload == b"20"


async def test_a_session_may_ask_for_another_window(world: World) -> None:
    """A client is sent as many unacknowledged messages as it asked for; on 3.1.1 the broker's own number holds."""
    session = Session(f"{world.home}-a", window=7)
    async with world.client.connect(session) as reader, world.sensor.connect(world.session("b")) as writer:
        await reader.subscribe(world.topic("mains"), 1)
        for number in range(25):
            await writer.publish(world.topic("mains"), b"%d" % number, qos=1, retain=False)
        deliveries, most = reader.deliveries(), 20 if world.protocol == "3.1.1" else 7
        await _take(deliveries, most)
        following = asyncio.ensure_future(anext(deliveries))
        done, _ = await asyncio.wait((following,), timeout=0.1)
        assert not done
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def test_a_refusal_is_heard(world: World) -> None:
    """A publication that the broker will not carry raises, where the protocol can say so."""
    async with world.sensor.connect(world.session("b")) as writer:
        if world.protocol == "3.1.1":
            await writer.publish(world.topic("nobody"), b"", qos=1, retain=False)
        else:
            with pytest.raises(Refused):
                await writer.publish(world.topic("nobody"), b"", qos=1, retain=False)


async def test_a_broken_connection_ends_everything_that_waits(world: World) -> None:
    """When the broker is killed, a waiting reader and the next publication hear of it, and nobody can connect until it is back."""
    async with world.client.connect(world.session("a")) as reader:
        await reader.subscribe(world.topic("mains"), 1)
        waiting = asyncio.ensure_future(_take(reader.deliveries(), 1))
        await asyncio.sleep(0.05)
        world.kill()
        with pytest.raises(Disconnected):
            await waiting
        with pytest.raises(Disconnected):
            await reader.publish(world.topic("relay/a/set"), b"ON", qos=1, retain=False)
    with pytest.raises(Disconnected):
        async with world.client.connect(world.session("a")):
            pass
    world.start()
    async with world.client.connect(world.session("a")) as reader:
        await reader.subscribe(world.topic("mains"), 1)


async def test_a_second_client_of_one_identity_ends_the_first(world: World) -> None:
    """The first loses its connection, and is told why where the broker says so; its will is said."""
    will = Will(world.topic("service/sensor/status"), b"offline")
    async with world.client.connect(world.session("onlooker")) as onlooker:
        await onlooker.subscribe(world.topic("service/sensor/status"), 1)
        async with world.sensor.connect(world.session("one", will=will)) as first:
            waiting = asyncio.ensure_future(_take(first.deliveries(), 1))
            await asyncio.sleep(0.05)
            async with world.sensor.connect(world.session("one", will=will)):
                with pytest.raises((Disconnected, SessionTaken)):
                    await waiting
                (said,) = await _take(onlooker.deliveries(), 1)
                assert said.payload == b"offline"


async def test_an_orderly_goodbye_says_no_will(world: World) -> None:
    """The will is for broken connections only."""
    will = Will(world.topic("service/sensor/status"), b"offline")
    async with world.client.connect(world.session("onlooker")) as onlooker:
        await onlooker.subscribe(world.topic("service/sensor/status"), 1)
        async with world.sensor.connect(world.session("one", will=will)):
            pass
        assert await _nothing_comes(onlooker)


async def test_another_node_of_a_cluster_is_asked_where_one_is_silent(shared_mosquitto: RealBroker) -> None:
    """The next attempt goes to the next address, and stays there for as long as it answers."""
    others = [f"{shared_mosquitto.host}:{shared_mosquitto.port}"]
    account = {"username": "client", "password": SecretStr(shared_mosquitto.password("client"))}
    broker = MqttBroker(BrokerSettings.read({"host": shared_mosquitto.host, "port": free_port(), "others": others, **account}))
    with pytest.raises(Disconnected):
        async with broker.connect(Session("nodes")):
            pass
    for _ in range(2):
        async with broker.connect(Session("nodes")) as bus:
            await bus.subscribe("hems/nodes/mains", 1)
