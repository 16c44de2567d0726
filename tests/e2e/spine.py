"""The whole spine as real processes: a recorded home's meters, sensor, disaggregator and broker; and somebody who listens."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import structlog
from pydantic import SecretStr

from hems.actor.bus import Input, Received
from hems.actor.clock import WallClock
from hems.actor.context import Context
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.runner import serve
from hems.actor.settings import BrokerSettings
from hems.actor.store import Store
from hems.contracts.appliances import ApplianceEvent
from hems.contracts.catalog import APPLIANCE_EVENT, MAINS
from hems.contracts.mains import Mains
from hems.contracts.topic import Root
from tests.support.broker import RealBroker
from tests.support.services import ServiceProcess, environment_of

HOME = "spine"
_PATIENCE_S = 60.0


class Listener:
    """An actor in the recorder's place: keeps every reading and event, and counts what came twice with other words."""

    outputs = ()

    def __init__(self, context: Context) -> None:
        self.readings: dict[str, Mains] = {}
        self.events: dict[str, tuple[str, ApplianceEvent]] = {}
        self.contradictions: list[Any] = []
        self.again = 0
        self.inputs = (Input(MAINS, self._on_mains, durable=True), Input(APPLIANCE_EVENT, self._on_event, durable=True))

    async def run(self) -> None:
        """Listening is all."""

    async def _on_mains(self, message: Received[Mains]) -> None:
        self._keep(self.readings, message.payload.measured_at.isoformat(), message.payload)

    async def _on_event(self, message: Received[ApplianceEvent]) -> None:
        self._keep(self.events, message.payload.id, (message.parameters["appliance"], message.payload))

    def _keep(self, kept: dict[str, Any], key: str, value: Any) -> None:
        known = kept.setdefault(key, value)
        self.again += known is not value
        if known != value:
            self.contradictions.append((known, value))


class Spine:
    """Processes and listener; `broker` and each of `services` may be killed."""

    def __init__(self, broker: RealBroker, directory: Path, speed: float) -> None:
        clock = {
            "HEMS_CLOCK__EPOCH": "2015-01-04T09:32:32+00:00",
            "HEMS_CLOCK__ANCHOR_S": str(time.monotonic() + 3),
            "HEMS_CLOCK__RATE": str(speed),
        }
        meter, voltage = directory / "meter", directory / "voltage"
        ports = {"HEMS_SENSOR__METER__PORT": str(meter), "HEMS_SENSOR__VOLTAGE__PORT": str(voltage), "HEMS_STORAGE__KEEP_SAID_S": "3600"}
        self.broker = broker
        self._directory = directory
        self.replay = self._process("replay", clock, "--meter-link", str(meter), "--voltage-link", str(voltage), user="sensor")
        self.sensor = self._process("sensor", clock | ports)
        self.disaggregator = self._process("disaggregator", clock | ports)
        self.listener: Listener | None = None

    @property
    def heard(self) -> Listener:
        """The one who listens."""
        assert self.listener is not None
        return self.listener

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator["Spine"]:
        """Start all of it; every process ends with the block."""
        processes = (self.replay, self.sensor, self.disaggregator)
        async with self._listening():
            try:
                # A reader that has never connected has no session yet, in which readings could wait for it.
                self.disaggregator.start()
                await self.until(lambda: f"{HOME}-disaggregator-durable" in self.broker.log, "the disaggregator did not connect")
                for process in (self.sensor, self.replay):
                    process.start()
                yield self
            finally:
                for process in processes:
                    process.kill()

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        give_up_at = time.monotonic() + _PATIENCE_S
        while not condition():
            assert time.monotonic() < give_up_at, f"{what}\n{self.sensor.log}\n{self.disaggregator.log}\n{self.broker.log[-2000:]}"
            await asyncio.sleep(0.05)

    def accepted(self, service: str) -> list[tuple[str, str]]:
        """Everything that a service ever accepted: message ids and topics, from its own outbox."""
        with contextlib.closing(sqlite3.connect(self._directory / "state" / HOME / f"{service}.db")) as connection:
            return connection.execute("SELECT message_id, topic FROM outbox").fetchall()

    def _process(self, name: str, extra: dict[str, str], *arguments: str, user: str | None = None) -> ServiceProcess:
        environment = environment_of(user or name, self.broker, self._directory / "state", HOME)
        return ServiceProcess(name, environment | extra, self._directory / f"{name}.log", *arguments)

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncGenerator[None]:
        account = {
            "host": self.broker.host,
            "port": self.broker.port,
            "username": "recorder",
            "password": SecretStr(self.broker.password("recorder")),
        }
        log: Any = structlog.get_logger()
        with Store(self._directory / "listener.db", log) as store:
            mqtt, root, clock = MqttBroker(BrokerSettings.read(account, {})), Root(HOME), WallClock()
            task = asyncio.create_task(serve("recorder", self._listen, broker=mqtt, root=root, clock=clock, store=store, log=log))
            await asyncio.sleep(0.3)
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def _listen(self, context: Context) -> Listener:
        self.listener = Listener(context)
        return self.listener
