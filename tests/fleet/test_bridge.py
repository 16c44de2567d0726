"""A home's own Mosquitto, joined to the cluster by the bridge that `hems fleet` writes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from hems.contracts.fleet import partition_of
from hems.contracts.relays import RelayCommand, RelayResult, RelayState
from tests.fleet.clients import connected, until
from tests.support import paho_client
from tests.support.broker import RealBroker
from tests.support.nats import RealNats
from tests.support.services import ServiceProcess, environment_of

HOME = "home0"
MAINS = f"hems-p/{partition_of(HOME)}/{HOME}/mains"


@pytest.fixture
def joined(nats: RealNats, tmp_path: Path) -> Iterator[RealBroker]:
    """The home's broker, with the bridge."""
    folder = tmp_path / "mosquitto"
    broker = RealBroker(folder)
    with (folder / "mosquitto.conf").open("a") as configuration:
        configuration.write(f"\ninclude_dir {nats.fleet / 'homes' / HOME}\n")
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def say(broker: RealBroker, user: str, topic: str, *payloads: bytes) -> None:
    """A service of the home says something to the home's own broker."""
    with paho_client.connected(broker, user, MQTTProtocolVersion.MQTTv5) as client:
        for payload in payloads:
            client.publish(f"hems/{HOME}/{topic}", payload)
        client.until_acknowledged()


def test_a_home_works_offline_and_its_readings_follow_in_order(nats: RealNats, joined: RealBroker) -> None:
    """The whole cluster is away and the home's broker starts anew meanwhile: all that was said there comes later, in order."""
    numbers = [b"%d" % number for number in range(60)]
    with connected(nats, "recorder", session="keeper") as reader:
        reader.subscribe("hems-p/+/+/mains", 1)
        say(joined, "sensor", "mains", *numbers[:10])
        until(lambda: len(reader.received) == 10, lambda: joined.log)
    nats.stop()
    say(joined, "sensor", "mains", *numbers[10:40])
    joined.restart()
    say(joined, "sensor", "mains", *numbers[40:])
    nats.start()
    with connected(nats, "recorder", session="keeper") as reader:
        until(lambda: any(said == numbers[-1] for _, said in reader.received), lambda: (reader.received, joined.log))
    assert {topic for topic, _ in reader.received} == {MAINS}
    assert list(dict.fromkeys(said for _, said in reader.received)) == numbers[10:]


def test_what_the_cluster_says_of_a_home_comes_to_it(nats: RealNats, joined: RealBroker) -> None:
    """Appliances and energy of its own, not of another home, and the newest of each also when it comes after the fact."""
    with connected(nats, "disaggregator") as central:
        central.client.publish(f"hems/{HOME}/appliance/kettle", b"before", qos=1, retain=True)
        central.publish("hems/home1/appliance/kettle", b"other")
        central.until_acknowledged()
    joined.restart()
    with paho_client.connected(joined, "client", MQTTProtocolVersion.MQTTv5) as person, connected(nats, "disaggregator") as central:
        person.subscribe("hems/#")
        until(lambda: (f"hems/{HOME}/appliance/kettle", b"before") in person.received, lambda: (person.received, joined.log))
        central.publish(f"hems/{HOME}/appliance/kettle/event", b"now")
        until(lambda: (f"hems/{HOME}/appliance/kettle/event", b"now") in person.received, lambda: (person.received, joined.log))
    assert not any("home1" in topic for topic, _ in person.received)


def test_a_command_from_the_cluster_switches_only_as_json_with_an_expiry(nats: RealNats, joined: RealBroker, tmp_path: Path) -> None:
    """A bare ON, JSON without an expiry and an expired command come to the real actuator and switch nothing; a timely one switches.

    On the topics of local clients and of other sources nothing passes the bridge at all.
    """
    relays = '{"bulb": {"allow": ["local", "sms", "fleet"]}}'
    environment = environment_of("actuator", joined, tmp_path / "state", HOME) | {"HEMS_ACTUATOR__RELAYS": relays}
    actuator = ServiceProcess("actuator", environment, tmp_path / "actuator.log")
    now = datetime.now(UTC)
    commands = [
        b"ON",
        RelayCommand(state="ON", id="no-expiry", issued_at=now).to_wire(),
        RelayCommand(state="ON", id="expired", issued_at=now, expires_at=now - timedelta(seconds=1)).to_wire(),
        RelayCommand(state="ON", id="timely", issued_at=now, expires_at=now + timedelta(minutes=1)).to_wire(),
    ]
    with connected(nats, "fleet", node=1) as fleet:
        fleet.subscribe(f"hems/{HOME}/relay/#", 1)
        actuator.start()
        try:
            until(lambda: any(topic.endswith("/relay/bulb") for topic, _ in fleet.received), lambda: (actuator.log, joined.log))
            for topic in ("set", "set/sms"):
                fleet.publish(f"hems/{HOME}/relay/bulb/{topic}", b"ON")
            for command in commands:
                fleet.publish(f"hems/{HOME}/relay/bulb/set/fleet", command)
            until(lambda: switched_on(fleet) and len(results_in(fleet)) >= len(commands), lambda: (fleet.received, actuator.log))
        finally:
            actuator.stop()
    answers = [(result.source, result.id, result.accepted) for result in results_in(fleet)]
    assert len(answers) == len(commands)
    assert set(answers) == {("fleet", None, False), ("fleet", "no-expiry", False), ("fleet", "expired", False), ("fleet", "timely", True)}


def results_in(fleet: paho_client.PahoClient) -> list[RelayResult]:
    """The answers to commands that the cluster has heard."""
    return [RelayResult.from_wire(said) for topic, said in fleet.received if topic.endswith("/result")]


def switched_on(fleet: paho_client.PahoClient) -> bool:
    """Whether the cluster has heard that the relay is on."""
    states = [said for topic, said in fleet.received if topic.endswith("/relay/bulb")]
    return any(RelayState.from_wire(said).state == "ON" for said in states)
