"""The one place that reaches behind aiomqtt into paho: acknowledgement by hand, refusals, and back-pressure.

aiomqtt 2.5 acknowledges a message before the program has it, and hears neither a refused publication nor whether the
broker kept the session. `tests/integration/actor/test_paho_access.py` fails when what is used here moves.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any

import aiomqtt
from paho.mqtt.client import Client as Paho
from paho.mqtt.client import ConnectFlags, DisconnectFlags
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hems.actor.bus import Disconnected, Refused, SessionTaken

_SESSION_TAKEN_OVER = 0x8E
_MOST_WAITING = 1_000
"""Messages read and not yet handled, above which the socket is left alone: the broker's limits hold from there."""
_LOOK_EVERY_S = 1.0


class PahoClient(aiomqtt.Client):
    """An aiomqtt client that leaves acknowledging to the program."""

    def __init__(self, hostname: str, port: int, **options: Any) -> None:
        super().__init__(
            hostname,
            port,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            **options,
        )
        self.session_present = False
        self._taken_over = False
        self._paused: Any = None
        self._heard_at_s = 0.0
        self._unanswered: dict[int, asyncio.Future[ReasonCode]] = {}
        self._client.manual_ack_set(True)
        self._client.connect_timeout = 3.0

    async def publish_answered(self, topic: str, payload: bytes, *, qos: int, retain: bool, patience_s: float) -> None:
        """Publish; with QoS 1, wait for the broker's answer and read it."""
        information = self._client.publish(topic, payload, qos, retain)
        if information.rc != 0:
            raise Disconnected(f"could not publish: {information.rc.name}")
        if qos == 0:
            return
        answer = self._unanswered[information.mid] = self._loop.create_future()
        try:
            reason = await self._answer(answer, patience_s)
        finally:
            self._unanswered.pop(information.mid, None)
        if reason.is_failure:
            raise Refused(f"{topic}: {reason}")

    async def _answer(self, answer: "asyncio.Future[ReasonCode]", patience_s: float) -> ReasonCode:
        while True:
            asked_at_s = time.monotonic()
            await asyncio.wait((answer,), timeout=patience_s)
            if answer.done():
                return answer.result()
            if self._paused is None and self._heard_at_s < asked_at_s:
                raise Disconnected("the broker did not answer a publication")

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Let the broker forget a message of this connection."""
        if message.qos:
            self._client.ack(message.mid, message.qos)

    async def received(self) -> AsyncIterator[aiomqtt.Message]:
        """The messages, until the connection breaks."""
        try:
            async for message in self.messages:
                yield message
                self._resume_reading()
        except aiomqtt.MqttError as error:
            raise SessionTaken("another client connected with this identity") if self._taken_over else Disconnected(str(error)) from None

    def watch_connection(self) -> None:
        """Call once connected: whoever waits for an answer hears of a broken connection at once."""
        self._disconnected.add_done_callback(lambda _: self._fail_unanswered())

    def drop(self) -> None:
        """Close the socket, whatever state it is in."""
        self._client._sock_close()  # pyright: ignore[reportPrivateUsage]

    def _fail_unanswered(self) -> None:
        for answer in self._unanswered.values():
            if not answer.done():
                answer.set_exception(Disconnected("the connection broke before the broker answered"))
                answer.exception()  # who waited may have been cancelled: nobody has to read it

    def _on_connect(
        self, client: Paho, userdata: Any, flags: ConnectFlags, reason_code: ReasonCode, properties: Properties | None = None
    ) -> None:
        self.session_present = flags.session_present
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self, client: Paho, userdata: Any, flags: DisconnectFlags, reason_code: ReasonCode, properties: Properties | None = None
    ) -> None:
        self._taken_over = reason_code.value == _SESSION_TAKEN_OVER
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_publish(self, client: Paho, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties) -> None:
        answer = self._unanswered.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(reason_code)

    def _on_message(self, client: Paho, userdata: Any, message: Any) -> None:
        self._heard_at_s = time.monotonic()
        super()._on_message(client, userdata, message)
        if self._queue.qsize() >= _MOST_WAITING and self._paused is None:
            self._pause_reading()

    def _pause_reading(self) -> None:
        connection = self._client.socket()
        if connection is not None and connection.fileno() >= 0:
            self._paused = connection
            self._loop.remove_reader(connection.fileno())

    def _resume_reading(self) -> None:
        if self._paused is None or self._queue.qsize() > _MOST_WAITING // 2:
            return
        connection, self._paused = self._paused, None
        if connection.fileno() >= 0:
            self._loop.add_reader(connection.fileno(), self._read, connection)
            self._loop.call_soon(self._read, connection)  # TLS may hold decrypted bytes that no reader is told of

    def _read(self, connection: Any) -> None:
        try:
            self._client.loop_read()
            while self._paused is None and _pending(connection):
                self._client.loop_read()
        except Exception as error:  # as aiomqtt's own reader does: whatever it is, the connection is broken
            if not self._disconnected.done():
                self._disconnected.set_exception(error)

    async def _misc_loop(self) -> None:
        # A ping's answer waits behind all that was said before it: a broker that is heard, or not listened to, is not silent.
        while self._client.loop_misc() == MQTTErrorCode.MQTT_ERR_SUCCESS:
            await asyncio.sleep(_LOOK_EVERY_S)
            if self._paused is not None or self._heard_at_s > self._client._ping_t:  # pyright: ignore[reportPrivateUsage]
                self._client._ping_t = 0.0  # pyright: ignore[reportPrivateUsage]


def _pending(connection: Any) -> bool:
    return isinstance(connection, ssl.SSLSocket) and connection.fileno() >= 0 and connection.pending() > 0
