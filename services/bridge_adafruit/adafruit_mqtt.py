"""Adafruit IO's broker: MQTT 3.1.1, no retained messages, and topics of its own (https://io.adafruit.com/api/docs/mqtt.html).

It is spoken to as any other broker, so that the runtime's own bus serves here too.
"""

import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, cast
from uuid import uuid4

from hems.actor.bus import Bus, Delivery, Disconnected, Session
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings
from services.bridge_adafruit.account import Account
from services.bridge_adafruit.cloud import KeyRefused
from services.bridge_adafruit.domain.notices import Complaint, Notice, Values, read_error, read_throttle

_KEEPALIVE_S = 10
_REFUSED = ("not authori", "bad user name", "identifier")


class AdafruitConnection:
    """One connection to the account's group of feeds."""

    def __init__(self, bus: Bus, account: Account) -> None:
        self._bus = bus
        self._group = f"{account.username}/groups/{account.group}"
        self._throttle = f"{account.username}/throttle"
        self._errors = f"{account.username}/errors"
        self._prefix = f"{account.group}."

    async def begin(self) -> None:
        """Listen, then ask for the last values: they come as any others do, to this client alone.

        Raises:
            Disconnected: the connection broke.
        """
        # The group's plain topic speaks JSON; `#` below it would bring each value three times.
        for topic in (self._throttle, self._errors, self._group):
            await self._bus.subscribe(topic, 0)
        await self._bus.publish(f"{self._group}/get", b"\0", qos=1, retain=False)

    async def publish(self, values: Mapping[str, str]) -> None:
        """Write to feeds, all in one message; each value counts against the quota.

        Raises:
            Disconnected: the connection broke, or no answer came; they may have arrived.
        """
        body = json.dumps({"feeds": dict(values)}, separators=(",", ":"), ensure_ascii=False)
        await self._bus.publish(f"{self._group}/json", body.encode(), qos=1, retain=False)

    async def heard(self) -> AsyncIterator[Values | Notice]:
        """Values and notices, until the connection ends.

        Raises:
            Disconnected: the connection broke.
        """
        async for delivery in self._bus.deliveries():
            delivery.acknowledge()
            if (found := self._read(delivery)) is not None:
                yield found

    def _read(self, delivery: Delivery) -> Values | Notice | None:
        if delivery.topic == self._group:
            values = read_values(delivery.payload, self._prefix)
            return Values(values) if values is not None else Complaint("a message of the group that can't be read")
        text = delivery.payload.decode(errors="replace")
        return read_throttle(text) if delivery.topic == self._throttle else read_error(text) if delivery.topic == self._errors else None


class AdafruitMqtt:
    """How to reach it."""

    def __init__(self, account: Account) -> None:
        self._account = account
        # Two clients with one id throw each other out for ever, so each run has its own.
        self._client_id = f"hems-{account.group}-{uuid4().hex[:12]}"

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncGenerator[AdafruitConnection]:
        """Connect once.

        Raises:
            Disconnected: it can't be reached.
            KeyRefused: it does not let us in.
        """
        account = self._account
        known = {"host": account.mqtt_host, "port": account.mqtt_port, "tls": account.tls, "ca_file": account.ca_file}
        secret = {"username": account.username, "password": account.key, "protocol": "3.1.1", "keepalive_s": _KEEPALIVE_S}
        broker = MqttBroker(BrokerSettings.read({**known, **secret}, {}))
        async with contextlib.AsyncExitStack() as stack:
            try:
                bus = await stack.enter_async_context(broker.connect(Session(self._client_id)))
            except Disconnected as failure:
                if any(word in str(failure).lower() for word in _REFUSED):
                    raise KeyRefused(str(failure)) from None
                raise
            yield AdafruitConnection(bus, account)


def read_values(payload: bytes, prefix: str) -> dict[str, str] | None:
    """The feeds of a group's message by their keys in the group; None where it is no such message."""
    try:
        body: Any = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    feeds: Any = cast("dict[str, Any]", body).get("feeds") if isinstance(body, dict) else None
    if not isinstance(feeds, dict):
        return None
    found = cast("dict[str, Any]", feeds)
    return {key.removeprefix(prefix): str(value) for key, value in found.items() if isinstance(value, str | int | float)}
