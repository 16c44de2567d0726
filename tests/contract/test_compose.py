"""docker-compose.yml holds every service, and holds each as tightly as docs/security.md says."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hems.contracts.catalog import SERVICES
from scripts.containers import base_image
from scripts.lock import images
from services.bridge_adafruit.settings import BridgeAdafruitSettings
from services.supervisor.settings import READY

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PI: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.pi.yml").read_text())
HOOKS: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.hooks.yml").read_text())
OPENADR: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.openadr.yml").read_text())
STANZAS: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = ("setup", "demo-setup")
CLOUD = {"bridge_adafruit"}
"""What speaks to a cloud has a profile of its own, and no place in the demo."""
OWNERS = dict(pair.split("=") for pair in STANZAS["setup"]["environment"]["HEMS_OWNERS"].split())
LASTING = [name for name in STANZAS if name not in ONCE]


def owner(stanza: str) -> str:
    """Whose name a stanza runs under; the demo's are those of the real ones."""
    return {"demo-meter": ""}.get(stanza, stanza.removeprefix("demo-"))


@pytest.mark.parametrize("name", STANZAS)
def test_a_container_gets_no_right_that_it_does_not_need(name: str) -> None:
    """A read-only file system, no capabilities, no new privileges, bounded memory, processes and logs."""
    stanza = STANZAS[name]
    assert stanza["read_only"] is True
    assert stanza["cap_drop"] == ["ALL"]
    assert stanza["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"\d+m", stanza["mem_limit"])
    assert set(stanza["logging"]["options"]) == {"max-size", "max-file"}
    assert not {"privileged", "pid", "ipc", "userns_mode"} & stanza.keys()
    assert not any("docker.sock" in volume for volume in stanza.get("volumes", ()))


@pytest.mark.parametrize("name", LASTING)
def test_what_stays_up_is_nobodys_root_and_comes_back(name: str) -> None:
    """It runs under a number of its own, as the set-up knows it, adds no capability, and is started again when it ends or hangs."""
    stanza = STANZAS[name]
    user, group = stanza["user"].split(":")
    assert user == group != "0"
    assert "cap_add" not in stanza
    assert stanza["restart"] == "unless-stopped"
    assert stanza["init"] is True
    assert stanza["pids_limit"] <= 100
    assert owner(name) == "" or OWNERS[owner(name)] == user


def test_only_the_set_up_is_root_and_it_has_no_network() -> None:
    """It hands files to their readers, and needs three capabilities for it; nobody can talk to it."""
    for name in ONCE:
        assert STANZAS[name]["network_mode"] == "none"
        assert STANZAS[name]["cap_add"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER"]


@pytest.mark.parametrize("service", sorted(set(READY) - CLOUD))
def test_every_service_of_hems_up_is_there_and_in_the_demo(service: str) -> None:
    """Each has an image with its own packages, a place in the home and one in the demo, each with its own volumes and network."""
    home, demo = STANZAS[service], STANZAS[f"demo-{service}"]
    assert home["build"]["args"] == {"SERVICE": service, "EXTRA": service}
    assert home["image"] == demo["image"]
    assert "home" in home["profiles"]
    assert demo["profiles"] == ["demo"]
    assert not set(home["volumes"]) & set(demo["volumes"])
    assert not set(home["networks"]) & set(demo["networks"])


@pytest.mark.parametrize("service", sorted(CLOUD))
def test_what_speaks_to_a_cloud_is_asked_for(service: str) -> None:
    """It starts with its own profile alone."""
    assert STANZAS[service]["build"]["args"] == {"SERVICE": service, "EXTRA": service}
    assert len(STANZAS[service]["profiles"]) == 1


def test_what_belongs_to_a_home_starts_with_every_profile_but_the_demo() -> None:
    """`--profile tls` alone must not start a home without its services."""
    choices = {profile for stanza in STANZAS.values() for profile in stanza["profiles"]} - {"demo"}
    for service in (*(set(READY) - CLOUD), "setup", "broker"):
        assert set(STANZAS[service]["profiles"]) == choices


def test_no_two_users_share_a_number() -> None:
    """One service can't read another's secrets or state."""
    assert len(set(OWNERS.values())) == len(OWNERS)
    assert set(SERVICES) <= OWNERS.keys()


def test_only_who_needs_it_gets_out_to_the_internet() -> None:
    """What reads the meter, knows the appliances and switches the loads has no way out."""
    networks: dict[str, Any] = COMPOSE["networks"]
    assert networks["inside"] == networks["demo"] == {"internal": True}
    for service in ("sensor", "disaggregator", "actuator"):
        assert STANZAS[service]["networks"] == ["inside"]


def test_nothing_is_published_beyond_this_computer_unless_tls_guards_it() -> None:
    """Broker and page are published on loopback; only the profile `tls` listens to other computers."""
    for name, stanza in STANZAS.items():
        for port in stanza.get("ports", ()):
            assert name == "tls" or ":-127.0.0.1:" in port, (name, port)


def test_the_pi_adds_devices_and_groups_and_nothing_else() -> None:
    """Serial devices by rule for the sensor, the GPIO chip for the actuator."""
    assert set(PI["services"]) == {"sensor", "actuator"}
    assert set(PI["services"]["sensor"]) == {"group_add", "volumes", "device_cgroup_rules"}
    assert set(PI["services"]["actuator"]) == {"group_add", "devices"}
    assert all(re.fullmatch(r"c (4:64|(204|188|166):\*) rw", rule) for rule in PI["services"]["sensor"]["device_cgroup_rules"])


def test_webhooks_are_shut_unless_asked_for_and_open_on_this_computer_then() -> None:
    """The file that opens the door does nothing else, publishes on loopback, and says to the bridge where to listen."""
    assert "ports" not in STANZAS["bridge_adafruit"]
    assert set(HOOKS["services"]) == {"bridge_adafruit"}
    opened = HOOKS["services"]["bridge_adafruit"]
    assert opened["ports"] == ["${HEMS_HOOKS_ADDRESS:-127.0.0.1:8090}:8090"]
    settings = BridgeAdafruitSettings.read({}, opened["environment"])
    assert (settings.hooks_host, settings.hooks_port) == ("0.0.0.0", 8_090)  # noqa: S104  inside of its container


def test_openadr_changes_the_load_managers_image_and_nothing_else() -> None:
    """An image with its library, under another name, and room for it."""
    assert set(OPENADR["services"]) == {"load_manager"}
    stanza = OPENADR["services"]["load_manager"]
    assert set(stanza) == {"image", "build", "mem_limit"}
    assert stanza["image"] != STANZAS["load_manager"]["image"]
    assert stanza["build"]["args"] == {"SERVICE": "load_manager", "EXTRA": "openadr"}


def test_everything_is_built_on_one_base_image() -> None:
    """Both files of stages name the same one, which the stand-in is made for."""
    named = [re.findall(r"^ARG DEBIAN=(\S+)$", (ROOT / name).read_text(), flags=re.MULTILINE) for name in ("Dockerfile", "Dockerfile.nats")]
    assert named[0] == named[1] == [base_image()]


@pytest.mark.parametrize("image", images())
def test_an_image_holds_only_what_its_service_needs(image: str) -> None:
    """Each extra has a lock file of its own, a part of the whole, so that the versions are those that were tested."""
    own, whole = (ROOT / "requirements" / "images" / f"{image}.txt").read_text(), (ROOT / "requirements" / "dev.txt").read_text()
    locked = set(re.findall(r"^(\S+==\S+)", own, flags=re.MULTILINE))
    assert locked < set(re.findall(r"^(\S+==\S+)", whole, flags=re.MULTILINE))
