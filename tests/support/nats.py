"""Three real NATS servers on loopback, with the product's own configuration, that a test may kill and start."""

import os
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from scripts.nats import find_nats
from services.fleet.folder import Fleet, Tls, write
from services.supervisor.certificates import certified
from tests.support.broker import free_port

_ROOT = Path(__file__).parents[2]
_PATIENCE_S = 60.0
NODES = 3


class RealNats:
    """A cluster in a folder of its own: `folder/fleet` is what `hems fleet` writes."""

    def __init__(self, folder: Path, program: Path, homes: Sequence[str], *, tls: bool = False) -> None:
        self.host = "127.0.0.1"
        self.ca_file: Path | None = folder / "tls" / "ca.pem" if tls else None
        self.ports = [free_port() for _ in range(NODES)]
        self.fleet = folder / "fleet"
        self._routes = [free_port() for _ in range(NODES)]
        self._clients = [free_port() for _ in range(NODES)]
        self._folder = folder
        self._program = program
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.admit(homes)
        shutil.copy(_ROOT / "broker" / "nats" / "nats.conf", self.fleet / "nats" / "nats.conf")

    def admit(self, homes: Sequence[str]) -> None:
        """Write the access list for these homes; nodes that run are told to read it."""
        nodes, addresses = ([f"127.0.0.1:{port}" for port in ports] for ports in (self._routes, self.ports))
        write(self.fleet, Fleet(homes, nodes, addresses, self._tls(), simulator=True))
        for process in self._processes.values():
            process.send_signal(signal.SIGHUP)

    def _tls(self) -> Tls | None:
        if self.ca_file is None:
            return None
        folder = self.ca_file.parent
        certified(folder, [self.host])
        return Tls(str(self.ca_file), str(folder / "server.pem"), str(folder / "server.key"))

    def password(self, user: str) -> str:
        """The password of a user, such as `recorder` or `home-cottage`."""
        return (self.fleet / "passwords" / user).read_text()

    def process(self, node: int) -> subprocess.Popen[bytes]:
        """A node that runs."""
        return self._processes[node]

    def log(self, node: int) -> str:
        """All that a node has said."""
        return (self._folder / f"log-{node}").read_text(errors="replace")

    def start(self) -> None:
        """Start all nodes that do not run, and come back once each serves MQTT."""
        for node in range(NODES):
            if node not in self._processes:
                self.start_node(node)
        give_up_at = time.monotonic() + _PATIENCE_S
        for node in range(NODES):
            while not self._serves(node):
                assert self._processes[node].poll() is None, self.log(node)
                assert time.monotonic() < give_up_at, self.log(node)
                time.sleep(0.1)

    def start_node(self, node: int) -> None:
        """Start one, and do not wait for it."""
        environment = {
            **os.environ,
            "HEMS_NODE": f"nats-{node}",
            "HEMS_MQTT": f"{self.host}:{self.ports[node]}",
            "HEMS_CLUSTER": f"{self.host}:{self._routes[node]}",
            "HEMS_CLIENT": f"{self.host}:{self._clients[node]}",
            "HEMS_DATA": str(self._folder / f"data-{node}"),
        }
        with (self._folder / f"log-{node}").open("ab") as log:
            self._processes[node] = subprocess.Popen(
                [self._program, "-c", self.fleet / "nats" / "nats.conf"], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def kill(self, node: int) -> None:
        """As `kill -9`."""
        process = self._processes.pop(node)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End all nodes; nothing of theirs is needed again."""
        for node in list(self._processes):
            self.kill(node)

    def _serves(self, node: int) -> bool:
        """Whether MQTT works there: a session needs the cluster's leaders."""
        answers: list[ReasonCode] = []

        def on_connect(_client: Client, _data: object, _flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None) -> None:
            answers.append(reason)

        client = Client(CallbackAPIVersion.VERSION2, f"probe-{node}", protocol=MQTTProtocolVersion.MQTTv311)
        client.username_pw_set("fleet", self.password("fleet"))
        client.on_connect = on_connect
        if self.ca_file is not None:
            untyped: Any = client
            untyped.tls_set_context(ssl.create_default_context(cafile=self.ca_file))
        try:
            client.connect(self.host, self.ports[node])
        except OSError:
            return False
        give_up_at = time.monotonic() + 6.0
        while not answers and time.monotonic() < give_up_at:
            if client.loop(0.1) != 0:
                break
        client.disconnect()
        return bool(answers) and not answers[0].is_failure


@contextmanager
def running_nats(folder: Path, homes: Sequence[str], *, tls: bool = False) -> Generator[RealNats]:
    """A cluster that runs while the context is open; the test is skipped where the computer has no NATS server."""
    program = find_nats()
    if program is None:
        pytest.skip("no NATS server: `make test-fleet` brings one")
    cluster = RealNats(folder, program, homes, tls=tls)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
