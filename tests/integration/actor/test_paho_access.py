"""What the runtime uses behind aiomqtt and paho, and what it is used for: a change of either shows here."""

import asyncio
import inspect
import socket
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.client import Client as Paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

import hems.actor.paho_access as paho_access
from hems.actor.bus import Bus, Delivery, Disconnected, Session
from hems.actor.mqtt_bus import MqttBus
from hems.actor.paho_access import PahoClient
from tests.integration.actor.conftest import as_user
from tests.support.broker import RealBroker

PATIENCE_S = 40.0


def _client(bus: Bus) -> PahoClient:
    assert isinstance(bus, MqttBus)
    return bus._client  # pyright: ignore[reportPrivateUsage]


def test_paho_still_has_what_is_used_of_it() -> None:
    """Acknowledging by hand, the outstanding ping, the closing of the socket, and the time-out of connecting."""
    client: Any = Paho(CallbackAPIVersion.VERSION2)
    client.manual_ack_set(True)
    assert client._manual_ack is True
    assert client._ping_t == 0.0
    assert list(inspect.signature(client.ack).parameters) == ["mid", "qos"]
    assert callable(client._sock_close)
    client.connect_timeout = 3.0
    assert client.loop_misc() == MQTTErrorCode.MQTT_ERR_NO_CONN
    assert client.loop_read() == MQTTErrorCode.MQTT_ERR_NO_CONN


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("_on_connect", ["self", "client", "userdata", "flags", "reason_code", "properties"]),
        ("_on_disconnect", ["self", "client", "userdata", "flags", "reason_code", "properties"]),
        ("_on_publish", ["self", "client", "userdata", "mid", "reason_code", "properties"]),
        ("_on_message", ["self", "client", "userdata", "message"]),
        ("_misc_loop", ["self"]),
    ],
)
def test_aiomqtt_still_has_what_is_overridden(method: str, parameters: list[str]) -> None:
    """The same names and parameters, on both sides."""
    assert list(inspect.signature(getattr(aiomqtt.Client, method)).parameters) == parameters
    assert list(inspect.signature(getattr(PahoClient, method)).parameters) == parameters


async def test_aiomqtt_still_keeps_what_is_read_of_it(shared_mosquitto: RealBroker) -> None:
    """The paho client, the loop, the queue, the end of the connection, and the task that pings."""
    async with as_user(shared_mosquitto, "client").connect(Session("private-parts")) as bus:
        client: Any = _client(bus)
        assert isinstance(client._client, Paho)
        assert client._loop is asyncio.get_running_loop()
        assert isinstance(client._queue, asyncio.Queue)
        assert isinstance(client._disconnected, asyncio.Future)
        await asyncio.sleep(0)
        assert client._misc_task.get_coro().__qualname__ == "PahoClient._misc_loop"


async def test_small_packets_are_not_held_back(shared_mosquitto: RealBroker) -> None:
    """TCP_NODELAY is set on the real socket."""
    async with as_user(shared_mosquitto, "client").connect(Session("no-delay")) as bus:
        connection: Any = _client(bus)._client.socket()  # pyright: ignore[reportPrivateUsage]
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def _flood(broker: RealBroker, home: str, count: int) -> None:
    async with as_user(broker, "sensor").connect(Session(f"{home}-flood")) as bus:
        for number in range(count):
            await bus.publish(f"hems/{home}/service/sensor/health", b"%d" % number + b" " * 500, qos=0, retain=False)
            if number % 100 == 0:
                await bus.publish(f"hems/{home}/mains", b"%d" % number, qos=1, retain=False)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_a_flood_is_held_back_and_nothing_is_dropped(
    shared_mosquitto: RealBroker, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20,000 messages of QoS 0 against a slow reader: it never holds more than its limit, and each of QoS 1 among them comes, in order.

    The reader is slower than the keepalive: unread answers to pings must not end the connection.
    """
    home, most, found = f"flood-{protocol[0]}", 0, list[Delivery]()
    monkeypatch.setattr(paho_access, "_MOST_WAITING", 50)
    reader = as_user(shared_mosquitto, "client", protocol, keepalive_s=2)
    async with asyncio.timeout(PATIENCE_S), reader.connect(Session(f"{home}-reader")) as bus:
        await bus.subscribe(f"hems/{home}/#", 1)
        queue: Any = _client(bus)._queue  # pyright: ignore[reportPrivateUsage]
        flooding = asyncio.create_task(_flood(shared_mosquitto, home, 20_000))
        pauses = [3.0, 3.0]
        async for delivery in bus.deliveries():
            most = max(most, queue.qsize())
            delivery.acknowledge()
            if delivery.topic.endswith("/mains"):
                found.append(delivery)
            if len(found) == 200:
                break
            if pauses and len(found) > 10:
                await asyncio.sleep(pauses.pop())
        await flooding
    assert [int(delivery.payload) for delivery in found] == list(range(0, 20_000, 100))
    assert most <= 52


async def test_publications_are_answered_after_a_pause_in_reading(shared_mosquitto: RealBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that waits unread behind a flood is not taken for silence."""
    monkeypatch.setattr(paho_access, "_MOST_WAITING", 10)
    async with asyncio.timeout(PATIENCE_S), as_user(shared_mosquitto, "client").connect(Session("answered")) as bus:
        await bus.subscribe("hems/answered/#", 1)
        await _flood(shared_mosquitto, "answered", 100)
        client = _client(bus)
        answered = asyncio.create_task(client.publish_answered("hems/answered/relay/a/set", b"ON", qos=1, retain=False, patience_s=0.05))
        await asyncio.sleep(0.3)
        async for delivery in bus.deliveries():
            delivery.acknowledge()
            if answered.done():
                break
        await answered


async def test_a_silent_broker_is_not_waited_for(mosquitto: RealBroker) -> None:
    """Nothing heard for the whole patience is a broken connection; so is a ping without an answer."""
    async with as_user(mosquitto, "client", keepalive_s=2).connect(Session("silent")) as bus:
        mosquitto.freeze()
        with pytest.raises(Disconnected, match="did not answer"):
            await _client(bus).publish_answered("hems/silent/relay/a/set", b"ON", qos=1, retain=False, patience_s=0.1)
        with pytest.raises(Disconnected):
            async with asyncio.timeout(PATIENCE_S):
                await anext(aiter(bus.deliveries()))
        mosquitto.thaw()


async def test_connections_leave_nothing_behind(shared_mosquitto: RealBroker) -> None:
    """Thirty connections, good and refused: no task, socket or reader is left."""

    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    async def connect(user: str, number: int) -> None:
        async with as_user(shared_mosquitto, user).connect(Session(f"leak-{number}")) as bus:
            await bus.publish("hems/leak/relay/a/set", b"ON", qos=1, retain=False)

    await connect("client", 0)
    before, tasks = open_files(), len(asyncio.all_tasks())
    for number in range(15):
        await connect("client", number)
        with pytest.raises(Disconnected):
            await connect("nobody", number)
    await asyncio.sleep(0.05)
    assert (open_files(), len(asyncio.all_tasks())) == (before, tasks)


@pytest.mark.parametrize("answer", ["_on_connect", "_on_subscribe"])
async def test_a_cancellation_that_comes_with_an_answer_is_not_lost(
    shared_mosquitto: RealBroker, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Asked to stop at the very moment at which the broker answers, a service stops."""

    async def connect() -> None:
        async with as_user(shared_mosquitto, "client").connect(Session(f"lost{answer}")) as bus:
            await bus.subscribe("hems/lost/mains", 1)
            await asyncio.sleep(0.3)

    task = asyncio.create_task(connect())
    take = getattr(PahoClient, answer)

    def take_and_cancel(client: PahoClient, *given: Any) -> None:
        take(client, *given)
        task.cancel()

    monkeypatch.setattr(PahoClient, answer, take_and_cancel)
    await asyncio.wait((task,))
    assert task.cancelled()
