"""Replicas of the disaggregator for many homes, on a Mosquitto that carries partitions, and what each home would say alone."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from hems.actor.bus import Bus, Session
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings
from hems.contracts.appliances import ApplianceEvent, event_id
from hems.contracts.catalog import APPLIANCE_EVENT
from hems.contracts.fleet import partition_of
from hems.contracts.mains import Mains
from hems.contracts.topic import Root
from services.disaggregator.domain.home import Home
from services.disaggregator.domain.telling import moment
from services.disaggregator.onnx_model import load_all
from services.disaggregator.recording import read
from services.disaggregator.settings import DisaggregatorSettings
from tests.support.broker import RealBroker
from tests.support.services import ServiceProcess, environment_of

PATIENCE_S = 40.0
_DEMO = Path(__file__).parents[2] / "services/replay/demo/home.parquet"
_RIGHTS = "\nuser sensor\ntopic write hems-p/#\n\nuser disaggregator\ntopic read hems-p/#\n"

Streams = Mapping[str, Sequence[Mains]]


def streams(homes: int, readings: int) -> Streams:
    """Recorded mornings, each 8 s a reading, at other times and scales."""
    demo, found = read(_DEMO), dict[str, Sequence[Mains]]()
    for number in range(homes):
        first = int(demo.times_s.searchsorted(datetime(2015, 1, 5, 6, tzinfo=UTC).timestamp() + 2_400 * number))
        part = slice(first, first + readings)
        rows = zip(demo.times_s[part].tolist(), demo.mains_w[part].tolist(), strict=True)
        found[f"home-{number}"] = [
            Mains(measured_at=moment(time_s), power_w=round(power_w * (0.9 + 0.02 * number), 1), quality="measured")
            for time_s, power_w in rows
            if power_w == power_w
        ]
    return found


def expected_events(homes: Streams) -> dict[str, list[str]]:
    """The ids of the events of each home that is alone, in order."""
    networks, refused = load_all(DisaggregatorSettings().models)
    assert not refused
    found: dict[str, list[str]] = {}
    for name, readings in homes.items():
        alone = Home(networks)
        steps = [step for mains in readings for step in alone.read(mains.measured_at.timestamp(), mains.power_w)]
        found[name] = [event_id(name, event.appliance, event.kind, moment(event.at_s)) for step in steps for event in step.events]
    return found


class FleetOfProcesses:
    """Some replicas, a broker, and what was said.

    Args:
        partitions: how many; None for a broker that splits nothing.
    """

    def __init__(self, mosquitto: RealBroker, folder: Path, partitions: int | None) -> None:
        self._mosquitto = mosquitto
        self._folder = folder
        self._partitions = partitions
        self.said: dict[str, list[str]] = {}
        if partitions is not None:
            with (folder / "mosquitto" / "acl").open("a") as rights:
                rights.write(_RIGHTS)
            mosquitto.restart()

    def replica(self, number: int, protocol: str, **fleet: Any) -> ServiceProcess:
        """One that is not yet started."""
        home = f"replica-{number}"
        environment = environment_of("disaggregator", self._mosquitto, self._folder / home, home)
        environment |= {"HEMS_BROKER__PROTOCOL": protocol, "HEMS_DISAGGREGATOR__FLEET": json.dumps(fleet)}
        return ServiceProcess("disaggregator", environment, self._folder / f"{home}.log")

    def connect(self, user: str, session: Session | None = None) -> AbstractAsyncContextManager[Bus]:
        """A client of the broker."""
        account = {"username": user, "password": SecretStr(self._mosquitto.password(user)), "protocol": "3.1.1"}
        broker = MqttBroker(BrokerSettings.read({"host": self._mosquitto.host, "port": self._mosquitto.port, **account}))
        return broker.connect(session or Session(f"test-{user}", window=200))

    async def leave_sessions(self) -> None:
        """Make the broker queue readings before a replica has ever run, so that none comes too early."""
        splits = ["hems"] if self._partitions is None else [f"hems-p/{number}" for number in range(self._partitions)]
        for split in splits:
            session = Session(f"{split.replace('/', '-')}-disaggregator", durable=True)
            async with self.connect("disaggregator", session) as bus:
                await bus.subscribe(f"{split}/+/mains", 1)

    async def listen(self, bus: Bus) -> None:
        """Note the events of every home, in order, each once."""
        await bus.subscribe(APPLIANCE_EVENT.filter(Root("+")), 1)
        async for delivery in bus.deliveries():
            found = APPLIANCE_EVENT.match(Root("+"), delivery.topic)
            assert found is not None
            event, ids = ApplianceEvent.from_wire(delivery.payload), self.said.setdefault(found["home"], [])
            if event.id not in ids:
                ids.append(event.id)
            delivery.acknowledge()

    async def say(self, bus: Bus, homes: Streams, start: int, end: int) -> None:
        """The readings of every home from one place to another, side by side."""
        for place in range(start, end):
            present = [home for home, readings in homes.items() if place < len(readings)]
            await asyncio.gather(*(bus.publish(self._topic(home), homes[home][place].to_wire(), qos=1, retain=False) for home in present))

    def _topic(self, home: str) -> str:
        split = "hems" if self._partitions is None else f"hems-p/{partition_of(home, self._partitions)}"
        return f"{split}/{home}/mains"
