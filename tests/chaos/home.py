"""The whole set under a replay, with relays in a file and Twilio's stand-in: what processes and containers have in common."""

import asyncio
import contextlib
import json
import shutil
import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator
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
from tests.chaos.meter import Meter
from tests.chaos.page import PageVisitor
from tests.chaos.proxy import Proxy
from tests.chaos.witness import Witness
from tests.support.notifier_stage import ME
from tests.support.paho_client import PahoClient
from tests.support.twilio_server import ACCOUNT_SID, FROM_NUMBER, TwilioServer

ROOT = Root("chaos")
SERVICES = ("sensor", "disaggregator", "actuator", "load_manager", "recorder", "notifier", "dashboard")
BROKER = "broker"
MAX_ON_S, MIN_OFF_S = 4.0, 2.0
KEEP_SAID_S = 7 * 86_400
"""What was said is kept to the end of the run: what was accepted is counted in the services' own files."""
_DISK_MIB = 96

CONFIGURATION: dict[str, Any] = {
    "home": {"id": ROOT.home},
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


class ChaosHome(ABC):
    """All of it; faults are done to it, and then it is judged.

    Attributes:
        directory: what the run leaves.
        state: where the services keep theirs.
        disk_is_small: the state lies on a disk that can be filled.
        away: from when to when the actuator could do nothing, on the monotonic clock; to its next start where the end is None.
    """

    proxy: Proxy
    meter: Meter
    page: PageVisitor

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.away: list[tuple[float, float | None]] = []
        self.disk_is_small = False
        self.kills: int = 0
        self._twilio: TwilioServer | None = None
        self._witness: Witness | None = None
        self._client: PahoClient | None = None

    @property
    def seen(self) -> Witness:
        """The witness."""
        assert self._witness is not None
        return self._witness

    @property
    def twilio(self) -> TwilioServer:
        """What takes the messages."""
        assert self._twilio is not None
        return self._twilio

    @property
    @abstractmethod
    def broker_address(self) -> tuple[str, int]:
        """Where a person's own program finds the broker."""

    @abstractmethod
    def password(self, user: str) -> str:
        """A user's, at the broker."""

    @abstractmethod
    def file(self, service: str, name: str) -> Path:
        """One of a service's own files."""

    @abstractmethod
    async def kill(self, name: str) -> None:
        """End a service, or the broker, as `kill -9`."""

    @abstractmethod
    async def revive(self, name: str) -> None:
        """What a supervisor does: start what has ended. Does nothing where somebody else sees to it."""

    @abstractmethod
    async def restart(self, name: str) -> None:
        """Stop a service in order, and start it again."""

    @abstractmethod
    async def freeze(self, name: str) -> None:
        """A service, or the broker, hangs."""

    @abstractmethod
    async def thaw(self, name: str) -> None:
        """It goes on."""

    @abstractmethod
    async def jump(self, name: str, by_s: float) -> None:
        """Start a service anew under a clock that is wrong by so much; 0 is a right one."""

    @abstractmethod
    async def all_work(self) -> bool:
        """Whether every service runs, and is well as far as that can be seen from outside."""

    @abstractmethod
    def log(self) -> str:
        """What all services have said."""

    def bugs(self) -> list[str]:
        """What ended services that nobody had foreseen, each in its last line."""
        found: list[str] = []
        for line in self.log().splitlines():
            if '"a bug stopped the service' in line:
                said: dict[str, Any] = json.loads(line[line.index("{") :])
                lines = [part.strip(" |+-") for part in str(said.get("exception", "")).splitlines()]
                found.append(f"{said.get('service', '')} {[part for part in lines if part][-1:]}")
        return found

    async def isolate(self, name: str, seconds: float) -> bool:
        """Take a service's network away for a while; whether that can be done here."""
        return False

    async def revive_all(self) -> None:
        """Start every service that has ended."""
        for name in SERVICES:
            await self.revive(name)

    async def starting(self, patience_s: float) -> None:
        """Wait until the first reading has gone all the way."""
        assert await self.until(lambda: self.rows("recorder", "history.db", "SELECT 1 FROM mains LIMIT 1"), patience_s), self.log()

    async def until(self, holds: Callable[[], object], patience_s: float) -> bool:
        """Wait until it holds; whether it did."""
        give_up_at = time.monotonic() + patience_s
        while not holds():
            if time.monotonic() > give_up_at:
                return False
            await asyncio.sleep(0.2)
        return True

    def rows(self, service: str, file: str, question: str) -> list[Any]:
        """Ask one of the services' own databases; nothing where it is not there yet."""
        path = self.file(service, file)
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            try:
                return connection.execute(question).fetchall()
            except sqlite3.OperationalError:  # its tables are not there yet, or somebody has just begun to write
                return []

    def publish(self, topic: str, payload: bytes) -> None:
        """Say something as a person's program does; without a broker it is lost."""
        try:
            if self._client is None or self._client.disconnected.is_set():
                self._client = PahoClient(MQTTProtocolVersion.MQTTv5, "client", self.password("client"))
                self._client.connect(*self.broker_address)
            self._client.publish(topic, payload)
        except Exception:  # whatever a client's library makes of a broker that is away
            self._client = None

    def fill_disk(self) -> Path:
        """Leave no byte free where the services keep their state; the file that is in the way."""
        path = self.state / "in-the-way"
        with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
            for size in (1 << 20, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"\0" * size):
                        pass
        return path

    def configuration(self) -> str:
        """`hems.yaml`."""
        notifier: dict[str, Any] = CONFIGURATION["notifier"]
        messages = {**notifier, "twilio": {**notifier["twilio"], "base_url": self.twilio.url}}
        return yaml.safe_dump({**CONFIGURATION, "notifier": messages})

    @contextlib.contextmanager
    def small_disk(self) -> Generator[None]:
        """A disk of its own for the state, which can be filled; only root may make one."""
        self.state.mkdir(parents=True)
        mounting = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MIB}m,mode=0755", "tmpfs", str(self.state)]
        self.disk_is_small = subprocess.run(mounting, check=False, capture_output=True).returncode == 0
        try:
            yield
        finally:
            if self.disk_is_small:
                shutil.copytree(self.state, self.directory / "state-at-the-end", dirs_exist_ok=True)
                subprocess.run(["umount", "--lazy", str(self.state)], check=False)

    @contextlib.asynccontextmanager
    async def witnessing(self) -> AsyncGenerator[None]:
        """An actor beside the services, which raises alerts and hears of the energy; it has the bridge's account, which does not run."""
        host, port = self.proxy.address
        account = {"host": host, "port": port, "username": "bridge_adafruit", "password": SecretStr(self.password("bridge_adafruit"))}
        log: Any = structlog.wrap_logger(structlog.PrintLogger((self.directory / "witness.log").open("a")))

        def build(context: Context) -> Witness:
            self._witness = Witness(context)
            return self._witness

        with Store(self.directory / "witness.db", log, keep_said_s=KEEP_SAID_S) as store:
            mqtt = MqttBroker(BrokerSettings.read(account, {}))
            serving = asyncio.create_task(serve("bridge_adafruit", build, broker=mqtt, root=ROOT, clock=WallClock(), store=store, log=log))
            await self.until(lambda: self._witness is not None, 10)
            try:
                yield
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
                (self.directory / "services.log").write_text(self.log())

    @contextlib.asynccontextmanager
    async def metered(self) -> AsyncGenerator[None]:
        """The meter is plugged in, and plays the recording."""
        self.meter.plug()
        ticking = asyncio.create_task(self.meter.tick())
        try:
            yield
        finally:
            ticking.cancel()
            self.meter.pull()
