"""Clients of a cluster."""

import contextlib
import ssl
import time
from collections.abc import Callable, Generator
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.support.paho_client import PahoClient

PATIENCE_S = 40.0


class Cluster(Protocol):
    """Where a cluster's nodes listen, and who may come in."""

    host: str
    ports: list[int]

    @property
    def ca_file(self) -> Path | None:
        """The authority that its certificates come from; None without TLS."""
        ...

    def password(self, user: str) -> str:
        """Of a user, such as `recorder` or `home-cottage`."""
        ...


@contextlib.contextmanager
def connected(cluster: Cluster, user: str, *, node: int = 0, session: str = "") -> Generator[PahoClient]:
    """A user at one node; with a `session`, the cluster keeps what comes while it is away."""
    client = PahoClient(MQTTProtocolVersion.MQTTv311, user, cluster.password(user), session)
    if cluster.ca_file is not None:
        untyped: Any = client.client
        untyped.tls_set_context(ssl.create_default_context(cafile=cluster.ca_file))
    reason = client.connect(cluster.host, cluster.ports[node])
    assert not reason.is_failure, reason
    try:
        yield client
    finally:
        client.close()


def until(holds: Callable[[], object], otherwise: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Wait until it holds."""
    give_up_at = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < give_up_at, otherwise()
        time.sleep(0.02)


class Speaker:
    """A home that says its readings, and says again what was not acknowledged when its connection is back, in order.

    It speaks once it was let in, as a bridge does: NATS 2.9.10 was seen to acknowledge what came before that, and to lose it.
    """

    def __init__(self, cluster: Cluster, home: str, node: int) -> None:
        self.acknowledged = 0
        self._home = home
        self._client = Client(CallbackAPIVersion.VERSION2, f"speaker-{home}", protocol=MQTTProtocolVersion.MQTTv311, clean_session=True)
        self._client.username_pw_set(f"home-{home}", cluster.password(f"home-{home}"))
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = self._on_publish
        self._client.on_connect = self._on_connect
        self._let_in = Event()
        self._client.connect(cluster.host, cluster.ports[node], keepalive=5)
        self._client.loop_start()
        assert self._let_in.wait(PATIENCE_S)

    def __enter__(self) -> "Speaker":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand it over; `acknowledged` counts when the cluster has it."""
        self._client.publish(f"hems/{self._home}/{topic}", payload, qos=1, retain=retain)

    def _on_connect(
        self, _client: Client, _data: object, _flags: ConnectFlags, _reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._let_in.set()

    def _on_publish(self, _client: Client, _data: object, _number: int, _reason: ReasonCode, _properties: Properties | None) -> None:
        self.acknowledged += 1
