"""docker-compose.fleet.yml: three nodes, partitions that are all read, and containers held as tightly as a home's."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from hems.contracts.fleet import PARTITIONS
from services.disaggregator.settings import FleetSettings as DisaggregatorFleet
from services.recorder.settings import FleetSettings as RecorderFleet
from services.supervisor.certificates import certified

ROOT = Path(__file__).parents[2]
STANZAS: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.fleet.yml").read_text())["services"]
NODES = ("nats-1", "nats-2", "nats-3")
LASTING = [name for name in STANZAS if name != "setup"]


def environment(name: str) -> Mapping[str, str]:
    """What a container is told."""
    return STANZAS[name]["environment"]


@pytest.mark.parametrize("name", STANZAS)
def test_a_container_gets_no_right_that_it_does_not_need(name: str) -> None:
    """A read-only file system, no capabilities but the set-up's three, no new privileges, bounded memory and logs."""
    stanza = STANZAS[name]
    assert stanza["read_only"] is True
    assert stanza["cap_drop"] == ["ALL"]
    assert stanza.get("cap_add", []) == (["CHOWN", "DAC_OVERRIDE", "FOWNER"] if name == "setup" else [])
    assert stanza["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+[mg]", stanza["mem_limit"])
    assert set(stanza["logging"]["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize("name", LASTING)
def test_what_stays_up_is_nobodys_root_and_comes_back(name: str) -> None:
    """It has a user number of its own, which the set-up knows, and starts again when it ends."""
    owners = dict(pair.split("=") for pair in environment("setup")["HEMS_OWNERS"].split())
    user, group = STANZAS[name]["user"].split(":")
    assert user == group
    assert owners[re.sub(r"-\d$", "", name)] == user
    assert STANZAS[name]["restart"] == "unless-stopped"


def test_the_replicas_read_every_partition_once() -> None:
    """Each partition of the mapping is somebody's, and the recorder reads as many."""
    settings = [json.loads(environment(f"disaggregator-{number}")["HEMS_DISAGGREGATOR__FLEET"]) for number in (1, 2)]
    # The set-up hands over the database with its password, as a secret of its own.
    fleets = [DisaggregatorFleet.model_validate(values | {"states": "postgresql://hems@postgres/hems"}) for values in settings]
    partitions = [number for fleet in fleets for number in fleet.partitions or ()]
    assert sorted(partitions) == list(range(PARTITIONS))
    assert RecorderFleet.model_validate_json(environment("recorder")["HEMS_RECORDER__FLEET"]).partitions == PARTITIONS


def test_a_replica_waits_longer_than_the_cluster_before_it_trusts_the_order() -> None:
    """What was not acknowledged is given again after `ack_wait`, and after an election where a node died: some seconds more."""
    found = re.search(r'ack_wait: "(\d+)s"', (ROOT / "broker/nats/nats.conf").read_text())
    assert found
    for number in (1, 2):
        fleet = json.loads(environment(f"disaggregator-{number}")["HEMS_DISAGGREGATOR__FLEET"])
        assert 2 * int(found[1]) <= fleet["redelivery_s"] <= 25


def test_every_service_knows_every_node() -> None:
    """A node may go: services then ask the next."""
    for name in ("disaggregator-1", "disaggregator-2", "recorder"):
        others = json.loads(environment(name)["HEMS_BROKER__OTHERS"])
        assert {environment(name)["HEMS_BROKER__HOST"], *(address.removesuffix(":1883") for address in others)} == set(NODES)


def test_it_shares_no_volume_with_a_home_on_the_same_computer() -> None:
    """Started in a home's project by mistake, it still does not write into that home's secrets and state."""
    fleet, home = (set(yaml.safe_load((ROOT / name).read_text())["volumes"]) for name in ("docker-compose.fleet.yml", "docker-compose.yml"))
    assert fleet & home == set()
    mounted = {volume.split(":")[0] for stanza in STANZAS.values() for volume in stanza.get("volumes", ()) if volume[0] not in "./$"}
    assert mounted == fleet


def prepare_fleet(folder: Path, options: str) -> subprocess.CompletedProcess[str]:
    """Run the set-up container's script in a folder."""
    script = (ROOT / "containers/prepare-fleet").read_text()
    for inside in ("/etc/hems", "/var/lib/hems", "/config"):
        script = re.sub(rf"(?<![\w/]){inside}(?![\w-])", f"{folder}{inside}", script)
    owners = " ".join(f"{name}={os.getuid()}" for name in ("nats", "disaggregator", "recorder", "postgres"))
    told = {**environment("setup"), "HEMS_OWNERS": owners, "HEMS_MQTT_ADDRESSES": "mqtt.example.org:8883", "HEMS_FLEET_OPTIONS": options}
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(["sh", "-c", script], env=told | path, cwd=ROOT, capture_output=True, text=True, check=False)


def test_without_a_certificate_nothing_is_set_up_unless_it_is_a_trial(tmp_path: Path) -> None:
    """The set-up says what is missing and where; with `--no-tls` the nodes, the services and the bridges agree to do without."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config/homes.txt").write_text("cottage\n")
    refused = prepare_fleet(tmp_path, "")
    assert refused.returncode == 78
    assert "config/tls/ca.pem is missing" in refused.stderr
    assert not (tmp_path / "etc").exists()
    done = prepare_fleet(tmp_path, "--no-tls --simulator")
    assert done.returncode == 0, done.stderr
    assert "tls {" not in (tmp_path / "etc/hems/nats/tls.conf").read_text()
    assert "cafile" not in (tmp_path / "etc/hems/homes/cottage/bridge.conf").read_text()
    assert not (tmp_path / "etc/hems/secrets/recorder/HEMS_BROKER__TLS").exists()


def test_with_a_certificate_nodes_services_and_bridges_speak_tls(tmp_path: Path) -> None:
    """Each finds what it needs, and only the nodes' folder holds the key."""
    certified(tmp_path / "config/tls", list(NODES))
    (tmp_path / "config/homes.txt").write_text("cottage\n")
    done = prepare_fleet(tmp_path, "")
    assert done.returncode == 0, done.stderr
    prepared = tmp_path / "etc/hems"
    assert f'key_file: "{prepared}/nats/server.key"' in (prepared / "nats/tls.conf").read_text()
    assert (prepared / "nats/server.key").stat().st_mode & 0o077 == 0
    assert [path for path in prepared.rglob("*.key") if path.parent.name != "nats"] == []
    assert "bridge_cafile" in (prepared / "homes/cottage/bridge.conf").read_text()
    for service in ("disaggregator", "recorder"):
        assert (prepared / "secrets" / service / "HEMS_BROKER__TLS").read_text() == "true"
        assert Path((prepared / "secrets" / service / "HEMS_BROKER__CA_FILE").read_text()).exists()


def test_each_node_keeps_its_own_data_and_listens_on_loopback() -> None:
    """No two share a volume; nothing is published beyond this computer unless .env says so."""
    assert len({volume for name in NODES for volume in STANZAS[name]["volumes"] if volume.startswith("nats-")}) == len(NODES)
    assert all(":-127.0.0.1:" in port for stanza in STANZAS.values() for port in stanza.get("ports", ()))
    assert {environment(name)["HEMS_NODE"] for name in NODES} == set(NODES)
