"""Services as processes, and clients of the real broker."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings
from tests.support.broker import RealBroker
from tests.support.services import environment_of

PATIENCE_S = 20.0


class TinyProcess:
    """One run of the tiny service; its log in a file."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.tiny_service"],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    @property
    def log(self) -> str:
        """All that was said so far, over all runs."""
        return self._log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """Its exit status."""
        return self._process.wait(patience_s)

    def wait_for(self, words: str, times: int = 1) -> None:
        """Until its log has these words so many times."""
        give_up_at = time.monotonic() + PATIENCE_S
        while self.log.count(words) < times:
            assert self.running, self.log
            assert time.monotonic() < give_up_at, self.log
            time.sleep(0.005)

    def end(self) -> None:
        """Whatever it does, it is gone."""
        if self.running:
            self._process.kill()
        self._process.wait()


StartTiny = Callable[..., TinyProcess]


@pytest.fixture
def start_tiny(tmp_path: Path) -> Iterator[StartTiny]:
    """Starts the tiny service on a broker, for a home, with more of an environment; none outlives the test."""
    started: list[TinyProcess] = []

    def start(broker: RealBroker, home: str, **environment: str) -> TinyProcess:
        given = environment_of("notifier", broker, tmp_path / "var", home)
        started.append(TinyProcess({**given, **environment}, tmp_path / f"{home}.log"))
        return started[-1]

    yield start
    for process in started:
        process.end()


def as_user(broker: RealBroker, user: str, protocol: str = "5", keepalive_s: int = 5) -> MqttBroker:
    """The real bus, as a user of the real broker."""
    values = {"host": broker.host, "port": broker.port, "username": user, "password": SecretStr(broker.password(user))}
    return MqttBroker(BrokerSettings.read({**values, "protocol": protocol, "keepalive_s": keepalive_s}, {}))
