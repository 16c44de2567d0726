"""Three real NATS servers under the configuration that ships: rights, partitions, order, and what a node's death leaves."""

import time
from collections import defaultdict
from contextlib import ExitStack

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from hems.contracts.fleet import partition_of, to_home
from hems.contracts.nats_access import CENTRAL_USERS
from tests.fleet.clients import PATIENCE_S, Speaker, connected, until
from tests.fleet.conftest import HOMES
from tests.support.nats import NODES, RealNats
from tests.support.paho_client import PahoClient

TOPICS = (
    "mains", "appliance/kettle", "appliance/kettle/event", "appliance/kettle/label", "relay/bulb", "relay/bulb/set",
    "relay/bulb/set/fleet", "relay/bulb/set/sms", "relay/bulb/result", "energy", "energy/kettle", "price", "history/query",
    "history/result/page", "demand/event", "demand", "alert", "notify/message", "notify/test", "service/sensor/status",
)  # fmt: skip
HOME_SAYS = {
    "mains", "appliance/kettle/label", "relay/bulb", "relay/bulb/result", "history/query", "demand", "alert", "notify/message",
    "service/sensor/status",
}  # fmt: skip
HOME_HEARS_OF = {
    "disaggregator": {"appliance/kettle", "appliance/kettle/event"},
    "recorder": {"energy", "energy/kettle", "price", "history/result/page"},
    "fleet": {"relay/bulb/set/fleet", "demand/event"},
}
FENCE = "alert"


def heard_of(client: PahoClient) -> set[tuple[str, str]]:
    """Topic and speaker of all that came but the fences."""
    return {(topic, said.decode()) for topic, said in client.received if not said.startswith(b"fence")}


@pytest.mark.parametrize("user", [None, "home-home0", "nobody"])
def test_nobody_comes_in_without_the_right_password(shared_nats: RealNats, user: str | None) -> None:
    """Neither unnamed, nor with a wrong password, nor under an unknown name."""
    client = PahoClient(MQTTProtocolVersion.MQTTv311, user, "wrong" if user else None)
    assert client.connect(shared_nats.host, shared_nats.ports[0]).is_failure
    client.close()


def test_a_home_says_its_own_topics_and_nobody_elses(shared_nats: RealNats) -> None:
    """Of all topics of two homes, published by one of them, only its own that leave a home arrive: the server drops the others."""
    own, other = "home0", "home1"
    with connected(shared_nats, "fleet") as listener, connected(shared_nats, f"home-{own}", node=1) as home:
        for topic in ("hems/#", "hems-p/+/+/mains"):
            assert not listener.subscribe(topic, 1).is_failure
        for name in (f"hems/{at}/{topic}" for at in (own, other) for topic in TOPICS):
            home.publish(name, b"home")
        for partition in range(2):
            home.publish(f"hems-p/{partition}/{other}/mains", b"home")
        home.publish(f"hems/{own}/{FENCE}", b"fence")
        until(lambda: (f"hems/{own}/{FENCE}", b"fence") in listener.received, lambda: listener.received)
    mapped = f"hems-p/{partition_of(own)}/{own}/mains"
    assert heard_of(listener) == {(mapped if topic == "mains" else f"hems/{own}/{topic}", "home") for topic in HOME_SAYS}


def test_a_home_hears_what_is_its_own(shared_nats: RealNats) -> None:
    """Whatever central users say to two homes, a home hears its own alone, and of commands only the fleet's; it may ask for no more."""
    own, other = "home2", "home3"
    with connected(shared_nats, f"home-{own}") as home:
        refused = [f"hems/{other}/#", f"hems/{other}/energy", "hems/#", "#", "hems-p/+/+/mains", f"hems/{own}/relay/+/set", "$MQTT/sub/#"]
        assert all(home.subscribe(topic, qos).is_failure for topic in refused for qos in (0, 1))
        assert not any(home.subscribe(topic).is_failure for topic in to_home(own))
        for user in CENTRAL_USERS:
            with connected(shared_nats, user, node=2) as speaker:
                for name in (f"hems/{at}/{topic}" for at in (own, other) for topic in TOPICS):
                    speaker.publish(name, user.encode())
                speaker.until_acknowledged()
        with connected(shared_nats, "fleet", node=2) as speaker:
            speaker.publish(f"hems/{own}/demand/event", b"fence")
            until(lambda: any(said == b"fence" for _, said in home.received), lambda: home.received)
    assert heard_of(home) == {(f"hems/{own}/{topic}", user) for user, topics in HOME_HEARS_OF.items() for topic in topics}


def test_readings_of_a_home_stay_in_one_partition_and_in_order(shared_nats: RealNats) -> None:
    """Homes say `hems/<home>/mains` at any node; each comes once, in its home's partition, in order, and never under its old name."""
    homes = HOMES[4:16]
    with (
        connected(shared_nats, "recorder", session="order") as reader,
        connected(shared_nats, "fleet") as onlooker,
        ExitStack() as stack,
    ):
        reader.subscribe("hems-p/+/+/mains", 1)
        onlooker.subscribe("hems/+/mains", 1)
        speakers = {home: stack.enter_context(connected(shared_nats, f"home-{home}", node=n % NODES)) for n, home in enumerate(homes)}
        for number in range(20):
            for home, speaker in speakers.items():
                speaker.publish(f"hems/{home}/mains", b"%d" % number)
        until(lambda: len(reader.received) == 20 * len(homes), lambda: reader.received)
    assert onlooker.received == []
    assert numbers_by_topic(reader) == {f"hems-p/{partition_of(home)}/{home}/mains": list(range(20)) for home in homes}


def test_sessions_and_retained_messages_outlive_a_node(nats: RealNats) -> None:
    """A reader's node dies: at another node its session is there with what was said meanwhile, and so is the newest of each state."""
    with connected(nats, "recorder", node=0, session="keeper") as reader:
        reader.subscribe("hems/+/alert", 1)
        reader.subscribe("hems-p/+/+/mains", 1)
        with Speaker(nats, "home0", 0) as home:
            home.say("relay/bulb", b"state", retain=True)
            home.say("mains", b"before", retain=True)
            until(lambda: home.acknowledged == 2, lambda: nats.log(0))
        until(lambda: reader.received, lambda: nats.log(0))
        nats.kill(0)
        assert reader.disconnected.wait(PATIENCE_S)
    with Speaker(nats, "home0", 1) as home:
        home.say("alert", b"while away")
        home.say("mains", b"after", retain=True)
        until(lambda: home.acknowledged == 2, lambda: nats.log(1)[-3_000:])
    with connected(nats, "recorder", node=2, session="keeper") as reader:
        until(lambda: len(reader.received) >= 2, lambda: (reader.received, nats.log(2)))
        assert set(reader.received) >= {("hems/home0/alert", b"while away"), (f"hems-p/{partition_of('home0')}/home0/mains", b"after")}
    with connected(nats, "fleet", node=1) as late:
        late.subscribe("hems/#")
        late.subscribe("hems-p/+/+/mains")
        until(lambda: len(late.received) >= 2, lambda: late.received)
        assert ("hems/home0/relay/bulb", b"state") in late.received


def test_what_was_acknowledged_comes_though_a_node_dies(nats: RealNats) -> None:
    """Homes go on at the nodes that are left, at most some seconds late; each acknowledged reading arrives, each home's in order."""
    homes, numbers = HOMES[:6], range(60)
    with connected(nats, "recorder", node=1, session="keeper") as reader, ExitStack() as stack:
        reader.subscribe("hems-p/+/+/mains", 1)
        speakers = [stack.enter_context(Speaker(nats, home, 1 + n % 2)) for n, home in enumerate(homes)]
        for number in numbers:
            for speaker in speakers:
                speaker.say("mains", b"%d" % number)
            if number == 20:
                nats.kill(0)
            time.sleep(0.02)
        until(lambda: all(speaker.acknowledged == len(numbers) for speaker in speakers), lambda: nats.log(1)[-2_000:])
        until(lambda: len({*reader.received}) == len(homes) * len(numbers), lambda: (len(reader.received), nats.log(1)[-2_000:]))
    for topic, said in numbers_by_topic(reader).items():
        assert list(dict.fromkeys(said)) == list(numbers), topic


def test_a_home_joins_without_a_restart(nats: RealNats) -> None:
    """The list is written anew and read while the nodes run: the new home comes in, the others stay connected."""
    with connected(nats, "home-home0") as old:
        nats.admit([*HOMES, "latecomer"])
        for node in range(NODES):
            until(lambda node=node: "Reloaded" in nats.log(node), lambda node=node: nats.log(node))
        with connected(nats, "home-latecomer", node=2) as new:
            new.publish("hems/latecomer/mains", b"hello")
            new.until_acknowledged()
        old.publish("hems/home0/alert", b"still here")
        old.until_acknowledged()
        assert not old.disconnected.is_set()


def test_a_home_that_is_taken_off_the_list_is_shut_out(nats: RealNats) -> None:
    """Its open connection ends, and it does not come in again; the others stay connected."""
    gone = HOMES[-1]
    with connected(nats, f"home-{gone}", node=1) as leaver, connected(nats, "home-home0", node=1) as other:
        nats.admit(HOMES[:-1])
        assert leaver.disconnected.wait(PATIENCE_S)
        again = PahoClient(MQTTProtocolVersion.MQTTv311, f"home-{gone}", nats.password(f"home-{gone}"))
        for node in range(NODES):
            until(lambda node=node: "Reloaded" in nats.log(node), lambda node=node: nats.log(node))
        assert again.connect(nats.host, nats.ports[2]).is_failure
        again.close()
        other.publish("hems/home0/alert", b"still here")
        other.until_acknowledged()
        assert not other.disconnected.is_set()


def numbers_by_topic(reader: PahoClient) -> dict[str, list[int]]:
    """What came, in order."""
    found = defaultdict[str, list[int]](list)
    for topic, said in reader.received:
        found[topic].append(int(said))
    return dict(found)
