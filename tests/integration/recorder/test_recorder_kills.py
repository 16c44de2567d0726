"""A recorder killed again and again while a meter is replayed over a real Mosquitto, the broker killed among it."""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from hems.actor.bus import Actor, Input, Received
from hems.actor.clock import WallClock
from hems.actor.context import Context
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.runner import serve
from hems.actor.settings import BrokerSettings
from hems.actor.store import Store
from hems.contracts.catalog import ENERGY, MAINS
from hems.contracts.energy import Energy
from hems.contracts.mains import Mains
from hems.contracts.topic import Root
from services.recorder.domain.records import microseconds
from tests.support.broker import RealBroker
from tests.support.waiting import until

_START = datetime(2025, 1, 6, 7, 0, tzinfo=UTC)


class Meter:
    """Says readings through its outbox, as the sensor does."""

    outputs = (MAINS,)
    inputs: Sequence[Input[Any]] = ()

    def __init__(self, context: Context) -> None:
        self._context = context
        self.said: list[tuple[datetime, float]] = []

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def read_some(self, chance: random.Random) -> None:
        for _ in range(chance.randrange(10, 40)):
            self._read(round(chance.uniform(40, 9_000), 3))
            await asyncio.sleep(chance.uniform(0, 0.02))

    def _read(self, power_w: float) -> None:
        at = _START + timedelta(seconds=3 * len(self.said))
        self._context.accept(MAINS, Mains(measured_at=at, power_w=power_w, quality="measured"), message_id=at.isoformat())
        self.said.append((at, power_w))


class Onlooker:
    """Hears the counter."""

    outputs = ()

    def __init__(self) -> None:
        self.totals: list[float] = []

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        return (Input(ENERGY, self._hear),)

    async def _hear(self, received: Received[Energy]) -> None:
        self.totals.append(received.payload.total_kwh)

    async def run(self) -> None:
        await asyncio.Event().wait()


def _broker(mosquitto: RealBroker, user: str) -> MqttBroker:
    values = {"host": mosquitto.host, "port": mosquitto.port, "username": user, "password": mosquitto.password(user)}
    return MqttBroker(BrokerSettings.read(values, {}))


@contextlib.asynccontextmanager
async def _running(mosquitto: RealBroker, service: str, build: Callable[[Context], Actor], folder: Path) -> AsyncGenerator[None]:
    log: Any = structlog.get_logger()
    with Store(folder / f"{service}.db", log) as store:
        task = asyncio.create_task(
            serve(service, build, broker=_broker(mosquitto, service), root=Root("home"), clock=WallClock(), store=store, log=log)
        )
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class Recorder:
    """The service as a process."""

    def __init__(self, mosquitto: RealBroker, folder: Path) -> None:
        self._environment = {
            **os.environ,
            "HEMS_BROKER__PORT": str(mosquitto.port),
            "HEMS_BROKER__PASSWORD": mosquitto.password("recorder"),
            "HEMS_STORAGE__DIRECTORY": str(folder),
            "HEMS_RECORDER__COMMIT_EVERY_S": "0.1",
            "HEMS_CONFIG": str(folder / "hems.yaml"),
        }
        (folder / "hems.yaml").write_text("recorder: {keep_raw: 36500d}\n")
        self._log = folder / "recorder.log"

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "services.recorder", env=self._environment, stderr=log, stdout=log
            )

    async def end(self, how: signal.Signals) -> int:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(how)
        return await self._process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextlib.asynccontextmanager
async def _stopped_at_the_end(recorder: Recorder) -> AsyncGenerator[Recorder]:
    """Also when the test fails."""
    await recorder.start()
    try:
        yield recorder
    finally:
        await recorder.end(signal.SIGKILL)


def _rows(file: Path) -> list[tuple[int, int]]:
    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
            return connection.execute("SELECT at_us, power_mw FROM mains ORDER BY at_us").fetchall()
    except sqlite3.OperationalError:
        return []


@pytest.mark.timeout(180)
async def test_kills_lose_and_double_nothing(mosquitto: RealBroker, tmp_path: Path) -> None:
    """Rows equal the meter's accepted readings, with no doubles; the total equals an independent integral and never falls."""
    await _kill_again_and_again(mosquitto, tmp_path, kills=3, broker_kills=1)


@pytest.mark.long
@pytest.mark.timeout(3_600)
async def test_many_kills_lose_and_double_nothing(mosquitto: RealBroker, tmp_path: Path) -> None:
    """The same with 200 kills of the recorder and 20 of the broker."""
    await _kill_again_and_again(mosquitto, tmp_path, kills=200, broker_kills=20)


async def _kill_again_and_again(mosquitto: RealBroker, folder: Path, *, kills: int, broker_kills: int) -> None:
    chance, meters, onlooker = random.Random(7), list[Meter](), Onlooker()
    file = folder / "home" / "history.db"
    of_broker = set(chance.sample(range(kills), broker_kills))

    def build(context: Context) -> Meter:
        meters.append(Meter(context))
        return meters[-1]

    async with (
        _running(mosquitto, "sensor", build, folder),
        _running(mosquitto, "dashboard", lambda _: onlooker, folder),
        _stopped_at_the_end(Recorder(mosquitto, folder)) as recorder,
    ):
        await until(lambda: bool(meters))
        meter = meters[0]
        for kill in range(kills):
            written = len(_rows(file))
            await meter.read_some(chance)
            if chance.random() < 0.7:
                await until(lambda written=written: len(_rows(file)) > written, 120)
            if kill in of_broker:
                mosquitto.kill()
                mosquitto.start()
            await meter.read_some(chance)
            await asyncio.sleep(chance.uniform(0, 0.5))
            await recorder.end(signal.SIGKILL)
            await recorder.start()
        await until(lambda: len(_rows(file)) >= len(meter.said), 120)
        # What was read within the last minute is counted when the minute is over, or at a start.
        await recorder.end(signal.SIGKILL)
        heard = len(onlooker.totals)
        await recorder.start()
        await until(lambda: len(onlooker.totals) > heard and onlooker.totals[-1] >= 0.9999 * _integral_kwh(meter), 120)
        assert await recorder.end(signal.SIGTERM) == 0, recorder.log
    assert _rows(file) == [(microseconds(at), round(power_w * 1_000)) for at, power_w in meter.said]
    assert onlooker.totals[-1] == pytest.approx(_integral_kwh(meter), rel=1e-4)
    assert all(first <= second for first, second in pairwise(onlooker.totals))


def _integral_kwh(meter: Meter) -> float:
    times_s = np.array([at.timestamp() for at, _ in meter.said])
    powers_w = np.array([power_w for _, power_w in meter.said])
    return float(np.trapezoid(powers_w, times_s)) / 3.6e6
