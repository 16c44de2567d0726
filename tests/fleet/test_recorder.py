"""The recorder of many homes as a process, on a real cluster and a real PostgreSQL, killed and left without its database."""

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hems.contracts.appliances import ApplianceState
from hems.contracts.energy import Energy, HistoryQuery, HistoryResult
from hems.contracts.fleet import PARTITIONS
from hems.contracts.mains import Mains
from tests.fleet.clients import Speaker, connected, until
from tests.fleet.conftest import HOMES
from tests.support.nats import RealNats
from tests.support.paho_client import PahoClient
from tests.support.postgres import RealPostgres, running_postgres
from tests.support.services import ServiceProcess

BEGAN = datetime.now(UTC).replace(second=50, microsecond=0) - timedelta(minutes=11)
"""The fiftieth reading, each ten seconds, begins a minute: then the sums are made up to it."""


@pytest.fixture
def postgres() -> Iterator[RealPostgres]:
    """A server of this test's own."""
    with tempfile.TemporaryDirectory(prefix="hems-postgres-") as folder:
        Path(folder).chmod(0o755)
        with running_postgres(Path(folder) / "server") as server:
            yield server


def recorder(cluster: RealNats, postgres: RealPostgres, folder: Path) -> ServiceProcess:
    """Not started yet."""
    environment = {
        "HEMS_CONFIG": "",
        "HEMS_LOG_FORMAT": "json",
        "HEMS_HOME__ID": "centre",
        "HEMS_BROKER__HOST": cluster.host,
        "HEMS_BROKER__PORT": str(cluster.ports[1]),
        "HEMS_BROKER__PROTOCOL": "3.1.1",
        "HEMS_BROKER__PASSWORD": cluster.password("recorder"),
        "HEMS_STORAGE__DIRECTORY": str(folder),
        "HEMS_RECORDER__DATABASE": postgres.url,
        "HEMS_RECORDER__COMMIT_EVERY_S": "0.2",
        "HEMS_RECORDER__FLEET": f'{{"partitions": {PARTITIONS}, "say_every_s": 0}}',
        "HEMS_RECORDER__TARIFF": '{"kind": "flat", "per_kwh": 0.5}',
    }
    return ServiceProcess("recorder", environment, folder / "recorder.log")


def say_readings(speakers: Sequence[Speaker], numbers: range) -> None:
    """A reading each ten seconds; every home draws its own power."""
    for number in numbers:
        for place, speaker in enumerate(speakers):
            at = BEGAN + timedelta(seconds=10 * number)
            speaker.say("mains", Mains(measured_at=at, power_w=600.0 * (place + 1), quality="measured").to_wire(), retain=True)


def energy_of(client: PahoClient, home: str) -> Energy | None:
    """The newest that the cluster was told of a home."""
    found = [Energy.from_wire(said) for topic, said in client.received if topic == f"hems/{home}/energy"]
    return found[-1] if found else None


def ask(client: PahoClient, home: str, number: int) -> list[HistoryResult]:
    """A home asks for its raw readings; all pieces of the answer."""
    question = HistoryQuery(id=f"q{number}", client="test", what="mains", start=BEGAN, end=BEGAN + timedelta(hours=1), resolution="raw")
    client.publish(f"hems/{home}/history/query", question.to_wire())

    def pieces() -> list[HistoryResult]:
        found = [HistoryResult.from_wire(said) for topic, said in client.received if topic.endswith("/history/result/test")]
        return [piece for piece in found if piece.id == question.id]

    until(lambda: any(piece.last for piece in pieces()), lambda: client.received)
    return pieces()


@pytest.mark.timeout(180)
def test_readings_of_all_homes_are_kept_and_counted_whatever_dies(nats: RealNats, postgres: RealPostgres, tmp_path: Path) -> None:
    """The recorder is killed, the database stopped and started, a node killed: each acknowledged reading is there once, and counted.

    Each home hears its own energy, and its own history when it asks; a home that nobody knows is told so.
    """
    homes, process = HOMES[:6], recorder(nats, postgres, tmp_path)
    with connected(nats, "fleet", node=2) as onlooker, ExitStack() as stack:
        onlooker.subscribe("hems/+/energy")
        onlooker.subscribe("hems/+/service/recorder/status")
        speakers = [stack.enter_context(Speaker(nats, home, 1 + place % 2)) for place, home in enumerate(homes)]
        process.start()
        stack.callback(process.stop)
        until(lambda: any(said == b"online" for _, said in onlooker.received), lambda: process.log)
        time.sleep(2)  # its sessions follow its presence; what is said before there are any is nobody's
        say_readings(speakers, range(20))
        until(lambda: energy_of(onlooker, homes[0]) is not None, lambda: process.log)
        process.kill()
        say_readings(speakers, range(20, 30))
        process.start()
        postgres.stop()
        say_readings(speakers, range(30, 40))
        process.wait_for("can't be written")
        postgres.start()
        nats.kill(0)
        say_readings(speakers, range(40, 50))
        until(lambda: all(speaker.acknowledged == 50 for speaker in speakers), lambda: [speaker.acknowledged for speaker in speakers])

        def counted(place: int, home: str) -> bool:
            energy = energy_of(onlooker, home)
            # Trapezoids over 49 intervals of ten seconds.
            return energy is not None and energy.total_kwh == pytest.approx(600.0 * (place + 1) * 490 / 3.6e6, abs=1e-6)

        for place, home in enumerate(homes):
            until(lambda place=place, home=home: counted(place, home), lambda home=home: (energy_of(onlooker, home), process.log[-3_000:]))
        for place, home in enumerate(homes):
            with connected(nats, f"home-{home}", node=1) as own:
                own.subscribe(f"hems/{home}/history/result/+")
                rows = [row for piece in ask(own, home, place) for row in piece.rows]
                assert len(rows) == 50
                assert {row[1] for row in rows} == {600.0 * (place + 1)}
        with connected(nats, "home-home20", node=2) as stranger:
            stranger.subscribe("hems/home20/history/result/+")
            assert "nothing is known of a home" in str(ask(stranger, "home20", 99)[0].error)


def test_appliances_of_a_home_are_counted_with_its_readings(nats: RealNats, postgres: RealPostgres, tmp_path: Path) -> None:
    """What the disaggregator says of two homes makes each home's own share; nothing of one comes to the other."""
    process = recorder(nats, postgres, tmp_path)
    with connected(nats, "fleet") as onlooker, connected(nats, "disaggregator") as central, ExitStack() as stack:
        for topic in ("energy/+", "energy"):
            onlooker.subscribe(f"hems/+/{topic}")
        onlooker.subscribe("hems/+/service/recorder/status")
        speakers = [stack.enter_context(Speaker(nats, home, 1)) for home in ("home0", "home1")]
        process.start()
        stack.callback(process.stop)
        until(lambda: any(said == b"online" for _, said in onlooker.received), lambda: process.log)
        time.sleep(2)
        for number in range(4):
            at = BEGAN + timedelta(minutes=number)
            state = ApplianceState(observed_at=at, running=True, power_w=300, confidence=0.9)
            central.publish("hems/home0/appliance/kettle", state.to_wire())
        say_readings(speakers, range(24))

        def shares() -> list[float]:
            return [Energy.from_wire(said).total_kwh for topic, said in onlooker.received if topic == "hems/home0/energy/kettle"]

        until(lambda: shares() and shares()[-1] == pytest.approx(300 * 180 / 3.6e6, abs=1e-6), lambda: (shares(), process.log[-2_000:]))
        until(lambda: energy_of(onlooker, "home1") is not None, lambda: process.log[-2_000:])
        assert not any(topic.startswith("hems/home1/energy/") for topic, _ in onlooker.received)
