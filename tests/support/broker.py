"""A real Mosquitto, with the product's own configuration, users and access list, that a test may stop, kill and freeze."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from hems.contracts.access import USERS, access_list
from services.supervisor.broker_configuration import render
from services.supervisor.mosquitto import find_mosquitto
from services.supervisor.passwords import password_file
from tests.support.end_with_us import end_with_us

_PATIENCE_S = 10.0
_PORTS = 3_000
_FIRST_PORT = 20_000 + _PORTS * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4)
_turn = count(os.getpid())


class RealBroker:
    """One Mosquitto in a folder of its own, on a free port. Its users are those of the contracts, for every home."""

    def __init__(self, folder: Path, prefix: str = "hems") -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "data").mkdir(exist_ok=True)
        (folder / "passwords").write_text(password_file({user: self.password(user) for user in USERS}))
        (folder / "acl").write_text(access_list(prefix))
        (folder / "mosquitto.conf").write_text(
            render(host=self.host, port=self.port, data=folder / "data", passwords=folder / "passwords", access=folder / "acl")
        )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        assert self._process is not None, "the broker is not running"
        return self._process

    @property
    def log(self) -> str:
        """All that it has said, over its restarts."""
        return (self._folder / "log").read_text(errors="replace")

    def password(self, user: str) -> str:
        """The password of a service, of `client` or of `device`."""
        return f"password-of-{user}"

    def start(self) -> None:
        """Start it, and come back once it takes connections."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [find_mosquitto(), "-c", self._folder / "mosquitto.conf"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_us,
            )
        give_up_at = time.monotonic() + _PATIENCE_S
        while not _listens(self.host, self.port):
            assert self.process.poll() is None, self.log
            assert time.monotonic() < give_up_at, self.log
            time.sleep(0.005)

    def stop(self) -> None:
        """Stop it in order: it saves its database. Does nothing if it is not running."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it with no chance to save: what came since the last save is gone."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it in order, and start it on the same port with the same database."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Let it hang: connections stay, and nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self.process.send_signal(signal.SIGCONT)

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.send_signal(with_signal)
        self._process.wait(_PATIENCE_S)
        self._process = None


@contextmanager
def running_broker(folder: Path) -> Generator[RealBroker]:
    """A broker that runs while the context is open."""
    broker = RealBroker(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def free_port() -> int:
    """A port of the loopback that nobody listens on, below those that the system hands out to clients.

    Each test worker has a range of its own, and hands out no port twice in a row: another may be about to listen there.
    """
    for _ in range(_PORTS):
        port = _FIRST_PORT + next(_turn) % _PORTS
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


def _listens(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0
