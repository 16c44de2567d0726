"""A plain paho client that waits where a test must wait."""

import contextlib
from collections.abc import Generator
from queue import SimpleQueue
from threading import Event

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.support.broker import RealBroker

PATIENCE_S = 10.0


class PahoClient:
    """One connection to the broker. `received` and `acknowledged` hold what came, in order."""

    def __init__(self, protocol: MQTTProtocolVersion, user: str | None, password: str | None, session: str = "") -> None:
        self.received: list[tuple[str, bytes]] = []
        self.acknowledged: dict[int, ReasonCode] = {}
        self.disconnected = Event()
        self._answers: SimpleQueue[ReasonCode] = SimpleQueue()
        self._acknowledgement = Event()
        self._came = Event()
        self._published: set[int] = set()
        self._session = session
        self._five = protocol == MQTTProtocolVersion.MQTTv5
        clean = None if self._five else not session
        self.client = Client(CallbackAPIVersion.VERSION2, session, protocol=protocol, reconnect_on_failure=False, clean_session=clean)
        self.client.username_pw_set(user, password)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.on_publish = self._on_publish
        self.client.on_disconnect = self._on_disconnect

    def connect(self, host: str, port: int) -> ReasonCode:
        """What the broker says to this user."""
        if self._five:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 3_600 if self._session else 0
            self.client.connect(host, port, clean_start=not self._session, properties=properties)
        else:
            self.client.connect(host, port)
        self.client.loop_start()
        return self._answers.get(timeout=PATIENCE_S)

    def subscribe(self, topic: str, qos: int = 0) -> ReasonCode:
        """The broker's answer. All that it sent before is in `received` by then, where it came with QoS 0."""
        self.client.subscribe(topic, qos)
        return self._answers.get(timeout=PATIENCE_S)

    def publish(self, topic: str, payload: bytes) -> int:
        """Send with QoS 1; the number under which its answer will stand in `acknowledged`."""
        number = self.client.publish(topic, payload, qos=1).mid
        self._published.add(number)
        return number

    def until_acknowledged(self) -> None:
        """Wait for the answers to all publications."""
        while len(self.acknowledged) < len(self._published):
            assert self._acknowledgement.wait(PATIENCE_S), f"{len(self.acknowledged)} of {len(self._published)} were acknowledged"
            self._acknowledgement.clear()

    def until_received(self, count: int) -> None:
        """Wait for that many messages."""
        while len(self.received) < count:
            assert self._came.wait(PATIENCE_S), f"{len(self.received)} of {count} messages came"
            self._came.clear()

    def close(self) -> None:
        """End the connection in order."""
        self.client.disconnect()
        self.client.loop_stop()
        # Without a circle it ends at once, and closes its sockets; the collector would end these first, and warn of them.
        self.client.on_connect = self.client.on_subscribe = self.client.on_message = None
        self.client.on_publish = self.client.on_disconnect = None

    def _on_connect(self, _client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None) -> None:
        self._answers.put(reason)

    def _on_subscribe(self, _client: Client, _data: object, _id: int, reasons: list[ReasonCode], _properties: Properties | None) -> None:
        self._answers.put(reasons[0])

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self.received.append((message.topic, bytes(message.payload)))
        self._came.set()

    def _on_publish(self, _client: Client, _data: object, number: int, reason: ReasonCode, _properties: Properties) -> None:
        self.acknowledged[number] = reason
        self._acknowledgement.set()

    def _on_disconnect(
        self, _client: Client, _data: object, _flags: DisconnectFlags, _reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self.disconnected.set()


@contextlib.contextmanager
def connected(broker: RealBroker, user: str, protocol: MQTTProtocolVersion, session: str = "") -> Generator[PahoClient]:
    """A user of the broker, connected; with a `session`, the broker keeps what comes while it is away."""
    client = PahoClient(protocol, user, broker.password(user), session)
    reason = client.connect(broker.host, broker.port)
    assert not reason.is_failure, reason
    try:
        yield client
    finally:
        client.close()
