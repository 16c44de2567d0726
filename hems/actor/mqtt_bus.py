"""The bus on a real MQTT broker, version 5, or 3.1.1 where told."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from hems.actor.bus import Bus, Delivery, Disconnected, Session
from hems.actor.configuration import ConfigurationError, Mistake
from hems.actor.failures import still_cancelled
from hems.actor.paho_access import PahoClient
from hems.actor.settings import BrokerSettings
from hems.contracts.topic import Qos

_PATIENCE_S = 10.0
_CLOSING_S = 0.5
_SUBSCRIBING_S = 5.0
_MESSAGE_S = 0.02
"""What a message may cost that the answer to a subscription comes behind."""


class MqttBus:
    """One connection."""

    def __init__(self, client: PahoClient, *, version_5: bool, window: int) -> None:
        self._client = client
        self._version_5 = version_5
        self._patience_s = _SUBSCRIBING_S + _MESSAGE_S * window

    @property
    def session_present(self) -> bool:
        """The broker remembered this session."""
        return self._client.session_present

    async def subscribe(self, topic_filter: str, qos: Qos, *, as_published: bool = False) -> None:
        """Subscribe; a refusal shows itself by silence on 3.1.1 and on many brokers. `as_published` asks for MQTT 5."""
        options = SubscribeOptions(qos=qos, retainAsPublished=as_published)
        try:
            how: dict[str, Any] = {"options": options} if self._version_5 else {"qos": qos}
            await self._client.subscribe(topic_filter, timeout=self._patience_s, **how)
            still_cancelled()
        except aiomqtt.MqttError as error:
            raise Disconnected(str(error)) from None

    async def publish(self, topic: str, payload: bytes, *, qos: Qos, retain: bool) -> None:
        """Publish, and with QoS 1 wait for the broker's answer."""
        await self._client.publish_answered(topic, payload, qos=qos, retain=retain, patience_s=_PATIENCE_S)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """The messages as they come."""
        async for message in self._client.received():
            yield Delivery(
                topic=str(message.topic),
                payload=_bytes(message.payload),
                retained=bool(message.retain),
                acknowledge=lambda message=message: self._client.acknowledge(message),
            )


class MqttBroker:
    """Where to connect, and as whom; where one node of a cluster does not answer, the next is asked."""

    def __init__(self, settings: BrokerSettings) -> None:
        self._settings = settings
        self._turn = 0

    @contextlib.asynccontextmanager
    async def connect(self, session: Session) -> AsyncGenerator[Bus]:
        """Connect once."""
        host, port = self._settings.addresses[self._turn % len(self._settings.addresses)]
        client = self._client(session, host, port)
        try:
            await client.__aenter__()
            still_cancelled()
        except (aiomqtt.MqttError, OSError) as error:
            client.drop()
            self._turn += 1
            raise Disconnected(f"{host}:{port}: {error}") from None
        except BaseException:
            client.drop()
            raise
        client.watch_connection()
        try:
            yield MqttBus(client, version_5=self._settings.protocol == "5", window=session.window)
        finally:
            await _close(client)

    def _client(self, session: Session, host: str, port: int) -> PahoClient:
        settings = self._settings
        return PahoClient(
            host,
            port,
            identifier=session.client_id,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            will=aiomqtt.Will(session.will.topic, session.will.payload, qos=1, retain=True) if session.will else None,
            keepalive=settings.keepalive_s,
            timeout=5,
            max_inflight_messages=session.window,
            tls_context=self._tls(),
            **self._version(session),
        )

    def _tls(self) -> ssl.SSLContext | None:
        if not self._settings.tls:
            return None
        try:
            return ssl.create_default_context(cafile=self._settings.ca_file)
        except OSError as error:
            mistake = Mistake("the settings", None, "broker.ca_file", f"{self._settings.ca_file} holds no readable certificate: {error}")
            raise ConfigurationError([mistake]) from None

    def _version(self, session: Session) -> dict[str, Any]:
        if self._settings.protocol == "3.1.1":
            return {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": not session.durable}
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._settings.session_expiry_s if session.durable else 0
        properties.ReceiveMaximum = session.window
        return {"protocol": aiomqtt.ProtocolVersion.V5, "clean_start": not session.durable, "properties": properties}


async def _close(client: PahoClient) -> None:
    # wait_for, since asyncio.timeout of Python 3.11.2 (Debian 12) says no TimeoutError in a task that is being cancelled.
    with contextlib.suppress(aiomqtt.MqttError, TimeoutError):
        await asyncio.wait_for(client.__aexit__(None, None, None), _CLOSING_S)
    client.drop()


def _bytes(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else b"" if payload is None else str(payload).encode()
