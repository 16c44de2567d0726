"""A fleet in real processes: three NATS nodes, two replicas of the disaggregator, the recorder, PostgreSQL; what it must keep."""

import asyncio
import contextlib
import functools
import json
import math
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import text

from hems.actor.bus import Bus, Delivery, Disconnected, Session
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings
from hems.contracts.appliances import ApplianceState, event_id
from hems.contracts.catalog import APPLIANCE, MAINS, SERVICE_MISSED
from hems.contracts.fleet import PARTITIONED_MAINS, PARTITIONS
from hems.contracts.mains import Mains
from hems.contracts.topic import Root
from services.disaggregator.domain.home import Home
from services.disaggregator.domain.telling import moment, state_message
from services.disaggregator.onnx_model import load_all
from services.disaggregator.recording import read
from services.disaggregator.settings import DisaggregatorSettings
from services.recorder.database import opened
from services.recorder.domain.records import microseconds
from tests.support.nats import NODES, RealNats
from tests.support.postgres import RealPostgres
from tests.support.services import ServiceProcess

PERIOD_S = 3
REDELIVERY_S = 15
"""As in docker-compose.fleet.yml: an election, and `ack_wait` of broker/nats/nats.conf, and some seconds more."""
_CONNECTIONS = 16
_KEPT_S = 600
_DEMO = Path(__file__).parents[2] / "services/replay/demo/home.parquet"
_MORNING_S = datetime(2015, 1, 5, 6, tzinfo=UTC).timestamp()


@functools.cache
def _recording() -> tuple[list[float], list[float]]:
    demo = read(_DEMO)
    return demo.times_s.tolist(), demo.mains_w.tolist()


def powers_w(number: int, readings: int) -> Sequence[float]:
    """What a home draws at each reading: a recorded home at a time of its own, a few per cent larger or smaller."""
    times_s, mains_w = _recording()
    start_s = times_s[0] + (_MORNING_S - times_s[0] + 97.0 * number) % (times_s[-1] - times_s[0] - readings * PERIOD_S)
    found = [mains_w[bisect_right(times_s, start_s + PERIOD_S * reading) - 1] for reading in range(readings)]
    return [round(power_w * (0.9 + number % 20 / 100), 1) if power_w == power_w else 0.0 for power_w in found]


@dataclass
class Witness:
    """What was accepted, and what came when.

    Attributes:
        accepted: the times of each home's readings that the cluster acknowledged, in order, s since 1970.
        seen: readings as they came to an onlooker, by home, in order, each once, s since 1970.
        late_s: how long after its reading each state came that said that an appliance had started or stopped, by home.
        age_s: how old the newest state of each home was at most when it came, s.
    """

    accepted: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    seen: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    late_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    age_s: dict[str, float] = field(default_factory=dict[str, float])
    answered_s: list[float] = field(default_factory=list[float])
    running: dict[str, bool] = field(default_factory=dict[str, bool])
    """By topic, what was said last."""


class Fleet:
    """All of it, in one folder."""

    def __init__(self, cluster: RealNats, postgres: RealPostgres, folder: Path, homes: int, readings: int) -> None:
        self.cluster = cluster
        self.names = [f"home{number}" for number in range(homes)]
        self.database, self.states = postgres.new_database("histories"), postgres.new_database("states")
        self.readings = readings
        self.powers_w = {name: powers_w(number, readings) for number, name in enumerate(self.names)}
        self.witness = Witness()
        self.began_at = datetime.now(UTC)
        self.asked: list[str] = []
        self.asked_in_all = 0
        self._folder = folder
        half = PARTITIONS // 2
        self.replicas = [self._replica(number, range(number * half, (number + 1) * half)) for number in range(2)]
        self.recorder = self._process("recorder", "centre", "recorder", 1, {
            "HEMS_RECORDER__DATABASE": self.database,
            "HEMS_RECORDER__COMMIT_EVERY_S": "1",
            "HEMS_RECORDER__FLEET": json.dumps({"partitions": PARTITIONS}),
        })  # fmt: skip

    @property
    def processes(self) -> Sequence[ServiceProcess]:
        """The services."""
        return (*self.replicas, self.recorder)

    def _replica(self, number: int, partitions: range) -> ServiceProcess:
        fleet = {
            "partitions": list(partitions), "all": PARTITIONS, "states": self.states, "redelivery_s": REDELIVERY_S, "take_over_after_s": 5,
        }  # fmt: skip
        return self._process(
            "disaggregator", f"replica-{number}", "disaggregator", number, {"HEMS_DISAGGREGATOR__FLEET": json.dumps(fleet)}
        )

    def _process(self, service: str, name: str, user: str, node: int, settings: Mapping[str, str]) -> ServiceProcess:
        ports = self.cluster.ports[node:] + self.cluster.ports[:node]
        environment = {
            "HEMS_CONFIG": "",
            "HEMS_LOG_FORMAT": "json",
            "HEMS_HOME__ID": name,
            "HEMS_BROKER__HOST": self.cluster.host,
            "HEMS_BROKER__PORT": str(ports[0]),
            "HEMS_BROKER__OTHERS": json.dumps([f"{self.cluster.host}:{port}" for port in ports[1:]]),
            "HEMS_BROKER__PROTOCOL": "3.1.1",
            "HEMS_BROKER__PASSWORD": self.cluster.password(user),
            "HEMS_STORAGE__DIRECTORY": str(self._folder / name),
            **settings,
        }
        return ServiceProcess(service, environment, self._folder / f"{name}.log")

    def broker(self, user: str, node: int) -> MqttBroker:
        """A client's way in, at one node first."""
        ports = self.cluster.ports[node % NODES :] + self.cluster.ports[: node % NODES]
        others = tuple(f"{self.cluster.host}:{port}" for port in ports[1:])
        values = {"host": self.cluster.host, "port": ports[0], "others": others, "username": user, "protocol": "3.1.1"}
        return MqttBroker(BrokerSettings.read(values | {"password": SecretStr(self.cluster.password(user))}, {}))

    async def make_sessions(self) -> None:
        """Let the cluster queue for the readers before any of them runs, as it does for good once they have run."""
        for service in ("disaggregator", "recorder"):
            broker = self.broker(service, 0)
            for partition in range(PARTITIONS):
                async with connected(broker, Session(f"hems-p-{partition}-{service}", durable=True)) as bus:
                    await bus.subscribe(MAINS.filter(Root("+", f"hems-p/{partition}")), 1)

    async def run(self) -> None:
        """Let all homes say all their readings, each at its time, in order; one that is not acknowledged is said again first."""
        self.began_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
        async with asyncio.TaskGroup() as tasks:
            for number in range(_CONNECTIONS):
                tasks.create_task(self._speak(number, self.names[number::_CONNECTIONS]))

    def measured_at(self, number: int, reading: int) -> datetime:
        """When a home of that connection reads its meter."""
        return self.began_at + timedelta(seconds=reading * PERIOD_S, milliseconds=number * 1_000 * PERIOD_S // _CONNECTIONS)

    async def _speak(self, number: int, names: Sequence[str]) -> None:
        broker, reading, unsaid = self.broker("simulator", number), 0, list(names)
        while reading < self.readings:
            with contextlib.suppress(Disconnected):
                async with broker.connect(Session(f"simulator-{number}", window=200)) as bus:
                    while reading < self.readings:
                        at = self.measured_at(number, reading)
                        await asyncio.sleep((at - datetime.now(UTC)).total_seconds())
                        unsaid = await self._say(bus, unsaid, reading, at)
                        if unsaid:
                            break
                        reading, unsaid = reading + 1, list(names)

    async def _say(self, bus: Bus, names: Sequence[str], reading: int, at: datetime) -> list[str]:
        """Those that were not acknowledged."""

        async def one(name: str) -> bool:
            mains = Mains(measured_at=at, power_w=self.powers_w[name][reading], quality="measured")
            began_s = time.monotonic()
            try:
                await bus.publish(MAINS.at(Root(name)), mains.to_wire(), qos=1, retain=True)
            except Disconnected:
                return False
            self.witness.answered_s.append(time.monotonic() - began_s)
            self.witness.accepted[name].append(at.timestamp())
            return True

        said = await asyncio.gather(*map(one, names))
        return [name for name, accepted in zip(names, said, strict=True) if not accepted]

    async def watch(self) -> None:
        """Note what comes, until cancelled: the onlooker's own session keeps what it misses."""
        broker = self.broker("fleet", 2)
        while True:
            async with connected(broker, Session("onlooker", durable=True, window=2_000)) as bus:
                with contextlib.suppress(Disconnected):
                    await bus.subscribe(PARTITIONED_MAINS.filter(Root("+")), 1)
                    await bus.subscribe(APPLIANCE.filter(Root("+")), 1)
                    await bus.subscribe(SERVICE_MISSED.filter(Root("+"), service="recorder"), 1)
                    async for delivery in bus.deliveries():
                        delivery.acknowledge()
                        if not delivery.retained:
                            self._see(delivery)

    def _see(self, delivery: Delivery) -> None:
        everywhere, now_s = Root("+"), time.time()
        if found := PARTITIONED_MAINS.match(everywhere, delivery.topic):
            at_s, seen = Mains.from_wire(delivery.payload).measured_at.timestamp(), self.witness.seen[found["home"]]
            if at_s not in seen[-50:]:
                seen.append(at_s)
        elif found := APPLIANCE.match(everywhere, delivery.topic):
            state, home = ApplianceState.from_wire(delivery.payload), found["home"]
            age_s = now_s - state.observed_at.timestamp()
            self.witness.age_s[home] = max(age_s, self.witness.age_s.get(home, 0.0))
            if self.witness.running.get(delivery.topic, False) != state.running:
                self.witness.late_s[home].append(age_s)
            self.witness.running[delivery.topic] = state.running
        elif found := SERVICE_MISSED.match(everywhere, delivery.topic):
            self.asked.append(found["home"])
            self.asked_in_all += 1

    async def answer(self) -> None:
        """Where the recorder asks a home, the home says ten minutes again, as its sensor would; until cancelled."""
        while True:
            await asyncio.sleep(1)
            asked, self.asked = set(self.asked), []
            again = [(name, at_s) for name in asked for at_s in self.witness.accepted[name] if time.time() - at_s < _KEPT_S]
            if again:
                with contextlib.suppress(Disconnected):
                    async with connected(self.broker("simulator", 2), Session("simulator-again", window=200)) as bus:
                        await asyncio.gather(*(self._say_once_more(bus, name, at_s) for name, at_s in again))

    async def _say_once_more(self, bus: Bus, name: str, at_s: float) -> None:
        reading = int((at_s - self.began_at.timestamp()) // PERIOD_S)
        mains = Mains(measured_at=datetime.fromtimestamp(at_s, UTC), power_w=self.powers_w[name][reading], quality="measured")
        await bus.publish(MAINS.at(Root(name)), mains.to_wire(), qos=1, retain=False)

    async def recorded(self) -> "Recorded":
        """What stands in PostgreSQL."""
        async with opened(self.database) as database, database.reader.connect() as connection:
            rows = await connection.execute(text("SELECT home.name, mains.at_us FROM mains JOIN home ON home.id = mains.home"))
            readings = defaultdict[str, set[int]](set)
            for name, at_us in rows:
                readings[name].add(at_us)
            rows = await connection.execute(text(
                "SELECT home.name, subject.name, at_us, running, power_mw, confidence_thousandths FROM appliance_state AS state"
                " JOIN home ON home.id = state.home JOIN subject ON subject.home = state.home AND subject.id = state.subject"
            ))  # fmt: skip
            states = {(name, appliance, at_us): tuple(values) for name, appliance, at_us, *values in rows}
            rows = await connection.execute(text(
                "SELECT home.name, key FROM happening JOIN home ON home.id = happening.home WHERE kind = 'event' ORDER BY at_us"
            ))  # fmt: skip
            events = defaultdict[str, set[str]](set)
            for name, key in rows:
                events[name].add(key)
            return Recorded(readings, states, events)

    def alone(self) -> "Recorded":
        """What each home would be told by itself, of the same readings."""
        networks, refused = load_all(DisaggregatorSettings().models)
        assert not refused
        found = Recorded(defaultdict(set), {}, defaultdict(set))
        for place, name in enumerate(self.names):
            home = Home(networks)
            for reading, power_w in enumerate(self.powers_w[name]):
                at = self.measured_at(place % _CONNECTIONS, reading)
                found.readings[name].add(microseconds(at))
                steps = home.read(at.timestamp(), power_w)
                for event in (event for step in steps for event in step.events):
                    found.events[name].add(event_id(name, event.appliance, event.kind, moment(event.at_s)))
                for appliance in home.appliances if steps else ():
                    state = state_message(appliance, steps[-1].time_s)
                    values = (int(state.running), max(0, round(state.power_w * 1_000)), round(state.confidence * 1_000))
                    found.states[name, appliance.appliance, microseconds(state.observed_at)] = values
        return found


@dataclass(frozen=True)
class Recorded:
    """Readings' times (µs), appliance states and ids of events, by home."""

    readings: Mapping[str, set[int]]
    states: dict[tuple[str, str, int], tuple[int, ...]]
    events: Mapping[str, set[str]]


@contextlib.asynccontextmanager
async def connected(broker: MqttBroker, session: Session) -> AsyncGenerator[Bus]:
    """Connected, sooner or later: a node that has no leader yet refuses."""
    async with contextlib.AsyncExitStack() as stack:
        yield await _entered(broker, session, stack)


async def _entered(broker: MqttBroker, session: Session, stack: contextlib.AsyncExitStack) -> Bus:
    for _ in range(30):
        with contextlib.suppress(Disconnected):
            return await stack.enter_async_context(broker.connect(session))
        await asyncio.sleep(1)
    raise AssertionError("no node of the cluster takes a connection")


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)] if ranked else math.nan
