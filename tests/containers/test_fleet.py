"""Many homes' containers: three nodes, two replicas, the recorder and its database, with a node that dies."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hems.contracts.appliances import ApplianceEvent
from hems.contracts.energy import Energy, HistoryQuery, HistoryResult
from hems.contracts.mains import Mains
from tests.fleet.clients import Speaker, connected, until
from tests.support.broker import free_port
from tests.support.containers import PATIENCE_S, Containers, docker

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

PROJECT = "hems-test-fleet"
HOMES = ("cottage", "flat-2")
LASTING = ("nats-1", "nats-2", "nats-3", "postgres", "recorder", "disaggregator-1", "disaggregator-2")
BEGAN = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=12)
READINGS = 20


class Cluster:
    """The nodes' MQTT ports on this computer, and who comes in."""

    host = "127.0.0.1"
    ca_file: Path | None = None

    def __init__(self, containers: Containers, ports: list[int]) -> None:
        self.containers, self.ports = containers, ports

    def password(self, user: str) -> str:
        """As the set-up made it."""
        volume = f"{PROJECT}_fleet-prepared:/etc/hems:ro"
        return docker(
            "run",
            "--rm",
            "--network",
            "none",
            "--user",
            "0",
            "-v",
            volume,
            "--entrypoint",
            "cat",
            "hems-fleet",
            f"/etc/hems/passwords/{user}",
        )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """All of docker-compose.fleet.yml, of images that are built."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "homes.txt").write_text("\n".join(HOMES) + "\n")
    ports = [free_port() for _ in range(3)]
    addresses = {f"HEMS_NATS_{place}": f"127.0.0.1:{port}" for place, port in enumerate(ports, 1)}
    environment = {"HEMS_CONFIG_FOLDER": str(folder), "HEMS_FLEET_OPTIONS": "--no-tls", **addresses}
    running = Containers(PROJECT, "", environment, base="docker-compose.fleet.yml")
    running.compose("build", "--quiet")
    try:
        running.compose("up", "--detach")
        running.until(lambda: all(running.health(name) == "healthy" for name in LASTING), "not all of them are well")
        yield Cluster(running, ports)
    finally:
        running.down()


def reading(number: int) -> Mains:
    """Each half minute; a kettle's three kilowatts for two minutes after the first three."""
    power_w = 3_000.0 if 6 <= number < 10 else 200.0
    return Mains(measured_at=BEGAN + timedelta(seconds=30 * number), power_w=power_w, quality="measured")


def test_two_homes_are_named_and_counted_while_a_node_dies(cluster: Cluster) -> None:
    """What homes say comes to both services whichever node they speak to; each hears its own; a node that was killed comes back."""
    with connected(cluster, "fleet", node=1) as onlooker:
        for topic in ("energy", "appliance/+/event"):
            onlooker.subscribe(f"hems/+/{topic}")
        with Speaker(cluster, HOMES[0], 1) as cottage, Speaker(cluster, HOMES[1], 2) as flat:
            for number in range(READINGS):
                if number == READINGS // 2:
                    cluster.containers.kill("nats-1")
                for speaker in (cottage, flat):
                    speaker.say("mains", reading(number).to_wire(), retain=True)
            until(lambda: cottage.acknowledged == flat.acknowledged == READINGS, lambda: (cottage.acknowledged, flat.acknowledged))

        def told(home: str, topic: str) -> list[bytes]:
            return [said for where, said in list(onlooker.received) if where == f"hems/{home}/{topic}"]

        def counted(home: str) -> bool:
            said = told(home, "energy")
            return bool(said) and Energy.from_wire(said[-1]).total_kwh > 0.1

        def named(home: str) -> bool:
            return [ApplianceEvent.from_wire(said).kind for said in told(home, "appliance/kettle/event")][-1:] == ["finished"]

        for home in HOMES:
            # What is told so late is history: its events are said, not its states.
            until(lambda home=home: named(home) and counted(home), cluster.containers.logs, PATIENCE_S)
        assert len(history(cluster, HOMES[0])) == READINGS
        cluster.containers.until(lambda: cluster.containers.restarts("nats-1") == 1, "the node does not come back")
        cluster.containers.until(lambda: cluster.containers.health("nats-1") == "healthy", "the node is not well again")
        assert [name for name in LASTING if cluster.containers.restarts(name)] == ["nats-1"]


def history(cluster: Cluster, home: str) -> list[list[object]]:
    """What a home is answered about its own readings."""
    with connected(cluster, f"home-{home}", node=2) as own:
        own.subscribe(f"hems/{home}/history/result/+")
        question = HistoryQuery(id="q", client="test", what="mains", start=BEGAN, end=BEGAN + timedelta(hours=1), resolution="raw")
        own.publish(f"hems/{home}/history/query", question.to_wire())

        def pieces() -> list[HistoryResult]:
            return [HistoryResult.from_wire(said) for topic, said in list(own.received) if topic.endswith("/history/result/test")]

        until(lambda: any(piece.last for piece in pieces()), cluster.containers.logs)
        return [list(row) for piece in pieces() for row in piece.rows]


def test_nobody_comes_in_without_a_password(cluster: Cluster) -> None:
    """Nor with another home's."""
    with pytest.raises(AssertionError), connected(Impostor(cluster.containers, cluster.ports), f"home-{HOMES[0]}"):
        pass


class Impostor(Cluster):
    """Knows one home's password only."""

    def password(self, user: str) -> str:
        """Of the other home, whoever asks."""
        return super().password(f"home-{HOMES[1]}")
