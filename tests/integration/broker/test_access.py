"""A real Mosquitto under the contracts' access list: each user on each topic, on MQTT 5 and 3.1.1."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from itertools import product
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from hems.contracts.access import USERS
from hems.contracts.catalog import CATALOG, CLIENT, SERVICES
from hems.contracts.topic import Root, Topic
from tests.support.broker import RealBroker
from tests.support.paho_client import PahoClient, connected

PROTOCOLS = (MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311)
NOT_AUTHORIZED = 0x87
VALUES = {"service": SERVICES, "source": ("adafruit", "webhook", "sms", "load_manager", "dashboard", "fleet", "local")}


def instances(home: str) -> Iterator[tuple[Topic[Any], Mapping[str, str], str]]:
    """Every topic of a home by name, with each service and each source; one name does for the other parameters."""
    for topic in CATALOG:
        for values in product(*(VALUES.get(name, (f"{home}-thing",)) for name in topic.parameters)):
            parameters = dict(zip(topic.parameters, values, strict=True))
            yield topic, parameters, topic.at(Root(home), **parameters)


def may_say(user: str, topic: Topic[Any], parameters: Mapping[str, str]) -> bool:
    """What the catalogue grants."""
    return any(grant.user == user and dict(parameters) | dict(grant.fixed) == dict(parameters) for grant in topic.said_by)


def may_hear(user: str, topic: Topic[Any]) -> bool:
    """What the catalogue grants."""
    return user in topic.read_by or (user == CLIENT and not topic.foreign)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_user_says_and_hears_what_the_contracts_grant_and_nothing_else(mosquitto: RealBroker, protocol: MQTTProtocolVersion) -> None:
    """All publish to all topics and subscribe to all: what arrives is exactly what the catalogue grants."""
    names = list(instances(f"home{protocol}"))
    with ExitStack() as stack:
        clients = {user: stack.enter_context(connected(mosquitto, user, protocol)) for user in USERS}
        for client in clients.values():
            client.subscribe("#")
        for (user, client), (_, _, name) in product(clients.items(), names):
            client.publish(name, user.encode())
        for client in clients.values():
            client.until_acknowledged()
        for client in clients.values():
            client.subscribe("nothing/more")
        arrived = {(said.decode(), name, user) for user, client in clients.items() for name, said in client.received}
    granted = {
        (speaker, name, listener)
        for (topic, parameters, name), speaker, listener in product(names, USERS, USERS)
        if may_say(speaker, topic, parameters) and may_hear(listener, topic)
    }
    assert arrived == granted


def test_a_forbidden_publication_is_answered_so_on_mqtt_5(shared_mosquitto: RealBroker) -> None:
    """On MQTT 5 the broker says which publications it refused: those that the catalogue does not grant."""
    names = list(instances("answers"))
    for user in USERS:
        with connected(shared_mosquitto, user, MQTTProtocolVersion.MQTTv5) as client:
            numbers = {client.publish(name, b"."): (topic, parameters) for topic, parameters, name in names}
            client.until_acknowledged()
            refused = {number for number, reason in client.acknowledged.items() if reason.value == NOT_AUTHORIZED}
        assert refused == {number for number, (topic, parameters) in numbers.items() if not may_say(user, topic, parameters)}, user


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_everybody_hears_how_long_the_broker_runs(shared_mosquitto: RealBroker, protocol: MQTTProtocolVersion) -> None:
    """Each user may subscribe to the broker's uptime, which tells that the broker restarted."""
    for user in USERS:
        with connected(shared_mosquitto, user, protocol) as client:
            client.subscribe("$SYS/broker/uptime")
            client.subscribe("nothing/more")
            assert [name for name, _ in client.received] == ["$SYS/broker/uptime"], user


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("user", "password"), [(None, None), ("sensor", "wrong"), ("sensor", None), ("nobody", "password-of-nobody")])
def test_strangers_are_refused(shared_mosquitto: RealBroker, protocol: MQTTProtocolVersion, user: str | None, password: str | None) -> None:
    """Without a name, with a wrong password or with an unknown name there is no connection."""
    client = PahoClient(protocol, user, password)
    assert client.connect(shared_mosquitto.host, shared_mosquitto.port).getName() == "Not authorized"
    client.close()
