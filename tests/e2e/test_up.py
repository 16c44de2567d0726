"""`hems up --demo`, as a newcomer runs it."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from hems.contracts.appliances import ApplianceEvent
from hems.contracts.catalog import APPLIANCE_EVENT, MAINS
from hems.contracts.topic import Root
from tests.support.broker import free_port
from tests.support.paho_client import PahoClient

pytestmark = pytest.mark.timeout(180)
_PATIENCE_S = 120
_ROOT = Root("home")


class Demo:
    """A demo in a folder of its own, 60 times as fast."""

    def __init__(self, directory: Path, *services: str) -> None:
        command = [sys.executable, "-m", "services.cli", "up", "--demo", "--no-watch", "--speed", "60", "--port", str(free_port())]
        self.directory = directory
        with (directory / "log").open("wb") as log:
            chosen = {"HEMS_SUPERVISOR__SERVICES": json.dumps(services)} if services else {}
            self.process = subprocess.Popen(
                [*command, "--directory", str(directory / "var")], env={**os.environ, **chosen}, stdout=log, stderr=log
            )

    @property
    def log(self) -> str:
        """All that it has printed."""
        return (self.directory / "log").read_text(errors="replace")

    def listen(self) -> PahoClient:
        """Connect as a person's own program does: with what `mqtt.env` says."""
        account = self.directory / "var" / "mqtt.env"
        self.until(lambda: account.exists() and "started" in self.log, "the services did not start")
        values = dict(line.split("=", 1) for line in account.read_text().splitlines())
        client = PahoClient(MQTTProtocolVersion.MQTTv5, values["MQTT_USER"], values["MQTT_PASSWORD"])
        assert not client.connect(values["MQTT_HOST"], int(values["MQTT_PORT"])).is_failure
        client.subscribe(values["MQTT_TOPICS"], 1)
        return client

    def processes(self) -> list[str]:
        """The command lines of all that it has started, and that still run."""
        return [line for line in _command_lines() if str(self.directory) in line]

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something holds."""
        give_up_at = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < give_up_at, f"{what}\n{self.log}"
            time.sleep(0.05)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """A running demo; what a failed test leaves is ended."""
    yield from _running(Demo(tmp_path))


@pytest.fixture
def small_demo(tmp_path: Path) -> Iterator[Demo]:
    """One with two services, sooner there."""
    yield from _running(Demo(tmp_path, "sensor", "disaggregator"))


def _running(running: Demo) -> Iterator[Demo]:
    yield running
    running.process.kill()
    running.process.wait()
    running.until(lambda: not running.processes(), "processes were left")


def test_a_demo_shows_an_appliance_and_stops_without_a_trace(demo: Demo) -> None:
    """Its past is in its history, readings and an appliance's event come; SIGTERM ends every process, in order, with status 0."""
    client = demo.listen()
    (history,) = (demo.directory / "var/demo/homes").glob("*/history.db")
    with sqlite3.connect(f"file:{history}?mode=ro", uri=True) as database:
        days = database.execute("SELECT count(*) FROM day WHERE subject = 0").fetchone()
        runs = database.execute("SELECT count(*) FROM happening WHERE subject = 'kettle'").fetchone()
    assert days[0] >= 3
    assert runs[0] > 0
    demo.until(lambda: _events(client), f"no appliance event came in {len(client.received)} messages")
    assert any(MAINS.match(_ROOT, topic) for topic, _ in client.received)
    appliance, event = _events(client)[0]
    assert appliance
    assert event.at.year == 2015
    client.close()
    assert demo.processes()
    demo.process.terminate()
    assert demo.process.wait(10) == 0
    assert demo.processes() == []


def test_a_demo_that_is_killed_leaves_nothing_running(small_demo: Demo) -> None:
    """Where the supervisor itself is ended by SIGKILL, the kernel ends its children."""
    small_demo.listen().close()
    small_demo.process.kill()
    small_demo.process.wait()
    small_demo.until(lambda: not small_demo.processes(), "processes were left")


def test_a_second_demo_in_one_folder_is_told_why_not(small_demo: Demo) -> None:
    """It ends at once, with a sentence."""
    small_demo.until(lambda: "MQTT broker" in small_demo.log, "the first did not start")
    command = [sys.executable, "-m", "services.cli", "up", "--demo", "--no-watch", "--directory", str(small_demo.directory / "var")]
    second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert "another `hems up` runs" in second.stderr


def _events(client: PahoClient) -> list[tuple[str, ApplianceEvent]]:
    found = ((APPLIANCE_EVENT.match(_ROOT, topic), payload) for topic, payload in list(client.received))
    return [(match["appliance"], ApplianceEvent.from_wire(payload)) for match, payload in found if match]


def _command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*"):
        try:
            environment = (path / "environ").read_bytes().decode(errors="replace")
            yield (path / "cmdline").read_bytes().decode(errors="replace") + environment
        except OSError:
            continue
