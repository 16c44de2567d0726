"""The whole set as processes, with a meter on a pty, relays in a file, and Twilio's stand-in."""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
import tty
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
import yaml
from paho.mqtt.enums import MQTTProtocolVersion
from pydantic import SecretStr

from hems.actor.clock import WallClock
from hems.actor.context import Context
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.runner import serve
from hems.actor.settings import BrokerSettings
from hems.actor.store import Store
from hems.contracts.topic import Root
from tests.chaos.proxy import Proxy
from tests.chaos.witness import Witness
from tests.support.broker import RealBroker
from tests.support.notifier_stage import ME
from tests.support.paho_client import PahoClient
from tests.support.services import ServiceProcess, environment_of
from tests.support.twilio_server import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER, TwilioServer, running_twilio

ROOT = Root("chaos")
SERVICES = ("sensor", "disaggregator", "actuator", "load_manager", "recorder", "notifier")
LINES_PER_S = 5
MAX_ON_S, MIN_OFF_S = 4.0, 2.0
_DISK_MIB = 64

CONFIGURATION: dict[str, Any] = {
    "actuator": {
        "board": "simulated",
        "relays": {
            "heater": {"safe": "OFF", "resting": "OFF", "max_on_s": MAX_ON_S, "rest_s": 1, "max_switches_per_hour": 3_600},
            "fridge": {
                "safe": "ON",
                "resting": "ON",
                "min_off_s": MIN_OFF_S,
                "max_away_s": MAX_ON_S,
                "rest_s": 1,
                "max_switches_per_hour": 3_600,
            },
        },
    },
    "notifier": {
        "recipients": {"me": {"sms": ME}},
        "daily_cap": 200,
        "rules": {"alerts": {"at_most": 100}, "silence": False},
        "twilio": {"account_sid": ACCOUNT_SID, "from_number": FROM_NUMBER, "look_up_after_s": 0, "timeout_s": 2},
    },
    "recorder": {"commit_every_s": 0.5},
}


class Meter:
    """An RPICT3T1 on a pty, five lines a second; it can be pulled, and prints what it is told."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._ours: int | None = None
        self._theirs = -1

    def plug(self) -> None:
        """There is a port again, under the same name and another number."""
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(os.ttyname(self._theirs))

    def pull(self) -> None:
        """As when the cable is pulled: neither the port nor its name is there."""
        self._link.unlink(missing_ok=True)
        if self._ours is not None:
            os.close(self._theirs)
            os.close(self._ours)
            self._ours = None

    def say(self, data: bytes) -> None:
        """Print."""
        if self._ours is not None:
            with contextlib.suppress(BlockingIOError, OSError):
                os.write(self._ours, data)

    async def tick(self, chance: random.Random) -> None:
        """Print readings until cancelled."""
        while True:
            self.say(b"11 %.1f 0.0 -0.0 21.5\r\n" % chance.uniform(50, 3_000))
            await asyncio.sleep(1 / LINES_PER_S)


class ChaosHome:
    """All of it; faults are done to it, and then it is judged.

    Attributes:
        disk_is_small: the state lies on a disk that can be filled.
        frozen: from when to when the actuator could do nothing, on the monotonic clock.
    """

    def __init__(self, directory: Path, twilio: TwilioServer, chance: random.Random) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.twilio = twilio
        self.broker = RealBroker(directory / "broker")
        self.proxy = Proxy(self.broker.host, self.broker.port)
        self.meter = Meter(directory / "meter")
        self.processes: dict[str, ServiceProcess] = {}
        self.witness: Witness | None = None
        self.disk_is_small = False
        self.frozen: list[tuple[float, float]] = []
        self._chance = chance
        self._client: PahoClient | None = None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator["ChaosHome"]:
        """Start all; nothing is left afterwards."""
        self.broker.start()
        with self._small_disk():
            async with self.proxy, self._witnessing():
                self._write_configuration()
                self.processes = {name: self._process(name) for name in SERVICES}
                self.meter.plug()
                ticking = asyncio.create_task(self.meter.tick(self._chance))
                try:
                    for process in self.processes.values():
                        process.start()
                    yield self
                finally:
                    ticking.cancel()
                    for process in self.processes.values():
                        process.kill()
                    self.meter.pull()
            self.broker.stop()

    @property
    def seen(self) -> Witness:
        """The witness."""
        assert self.witness is not None
        return self.witness

    async def until(self, holds: Callable[[], object], patience_s: float) -> bool:
        """Wait until it holds; whether it did."""
        give_up_at = time.monotonic() + patience_s
        while not holds():
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(0.2)
        return True

    def revive(self, name: str) -> None:
        """What a supervisor does: start it again."""
        if self.processes[name].ended:
            self.processes[name].start()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a service a signal; one that has just ended takes none."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.processes[name].pid, number)

    def log(self) -> str:
        """What all services have said."""
        return "\n".join(process.log for process in self.processes.values())

    def rows(self, file: str, question: str) -> list[Any]:
        """Ask one of the services' own databases."""
        with contextlib.closing(sqlite3.connect(self.state / ROOT.home / file)) as connection:
            return connection.execute(question).fetchall()

    def publish(self, topic: str, payload: bytes) -> None:
        """Say something as a person's program does; without a broker it is lost."""
        try:
            if self._client is None or self._client.disconnected.is_set():
                self._client = PahoClient(MQTTProtocolVersion.MQTTv5, "client", self.broker.password("client"))
                self._client.connect(self.broker.host, self.broker.port)
            self._client.publish(topic, payload)
        except Exception:  # whatever a client's library makes of a broker that is away
            self._client = None

    def jump(self, name: str, by_s: float) -> None:
        """Start a service anew under a clock that is wrong by so much."""
        self.processes[name].kill()
        self.processes[name] = self._process(name, by_s)
        self.processes[name].start()

    def fill_disk(self) -> Path:
        """Leave no byte free where the services keep their state; the file that is in the way."""
        path = self.state / "in-the-way"
        with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size):
                        pass
        return path

    def _process(self, name: str, wrong_by_s: float = 0.0) -> ServiceProcess:
        environment = environment_of(name, self.broker, self.state, ROOT.home) | {
            "HEMS_CONFIG": str(self.directory / "hems.yaml"),
            "HEMS_BROKER__PORT": str(self.proxy.port),
            "HEMS_STORAGE__KEEP_SAID_S": "7200",
        }
        if name == "sensor":
            environment["HEMS_SENSOR__METER__PORT"] = str(self.directory / "meter")
        if name == "notifier":
            environment["HEMS_NOTIFIER__TWILIO__AUTH_TOKEN"] = AUTH_TOKEN
        if wrong_by_s:
            at = datetime.fromtimestamp(datetime.now(UTC).timestamp() + wrong_by_s, UTC)
            environment |= {"HEMS_CLOCK__EPOCH": at.isoformat(), "HEMS_CLOCK__ANCHOR_S": str(time.monotonic())}
        return ServiceProcess(name, environment, self.directory / f"{name}.log")

    def _write_configuration(self) -> None:
        configuration = {**CONFIGURATION, "notifier": {**CONFIGURATION["notifier"]}}
        configuration["notifier"]["twilio"] = {**configuration["notifier"]["twilio"], "base_url": self.twilio.url}
        (self.directory / "hems.yaml").write_text(yaml.safe_dump(configuration))

    @contextlib.contextmanager
    def _small_disk(self) -> Any:
        """A disk of its own for the state, which can be filled; only root may make one."""
        self.state.mkdir()
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m", "tmpfs", str(self.state)]
        self.disk_is_small = os.geteuid() == 0 and subprocess.run(mounting, check=False, capture_output=True).returncode == 0
        try:
            yield
        finally:
            if self.disk_is_small:
                shutil.copytree(self.state, self.directory / "state-at-the-end", dirs_exist_ok=True)
                subprocess.run(["umount", "--lazy", str(self.state)], check=False)

    @contextlib.asynccontextmanager
    async def _witnessing(self) -> AsyncGenerator[None]:
        account = {
            "host": "127.0.0.1",
            "port": self.proxy.port,
            "username": "dashboard",
            "password": SecretStr(self.broker.password("dashboard")),
        }
        log: Any = structlog.get_logger()

        def build(context: Context) -> Witness:
            self.witness = Witness(context)
            return self.witness

        with Store(self.directory / "witness.db", log, keep_said_s=7_200) as store:
            mqtt = MqttBroker(BrokerSettings.read(account, {}))
            serving = asyncio.create_task(serve("dashboard", build, broker=mqtt, root=ROOT, clock=WallClock(), store=store, log=log))
            await asyncio.sleep(0.2)
            try:
                yield
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)


@contextlib.asynccontextmanager
async def chaos_home(directory: Path, chance: random.Random) -> AsyncGenerator[ChaosHome]:
    """A home to be disturbed."""
    async with running_twilio() as twilio, ChaosHome(directory, twilio, chance).running() as home:
        yield home
