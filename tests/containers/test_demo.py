"""`docker-compose --profile demo up`: the recorded home in containers, disturbed."""

import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from hems.contracts.appliances import ApplianceEvent
from hems.contracts.catalog import APPLIANCE_EVENT, MAINS, SERVICE_STATUS
from hems.contracts.topic import Root
from tests.support.containers import Containers, docker
from tests.support.paho_client import PahoClient

pytestmark = [pytest.mark.containers, pytest.mark.timeout(600)]

ROOT = Root("home")
SERVICES = ("sensor", "disaggregator", "actuator", "load_manager", "notifier", "recorder", "dashboard")


@pytest.fixture(scope="module")
def demo() -> Iterator[Containers]:
    """The demo, 60 times as fast."""
    running = Containers("hems-test-demo", "demo", {"SPEED": "60"})
    try:
        running.compose("build", "--quiet")
        running.compose("up", "--detach")
        yield running
    finally:
        running.down()


def account(demo: Containers) -> dict[str, str]:
    """What a person's own client is told."""
    said = demo.compose("run", "--rm", "--no-deps", "-T", "demo-setup", "hems", "prepare", "--show-account")
    return dict(re.findall(r"^(\w+)=(.*?)\r?$", said, flags=re.MULTILINE))


@pytest.fixture
def client(demo: Containers) -> Iterator[PahoClient]:
    """A person's own program."""
    values = account(demo)
    listening = PahoClient(MQTTProtocolVersion.MQTTv5, values["MQTT_USER"], values["MQTT_PASSWORD"])
    assert not listening.connect("127.0.0.1", demo.broker_port).is_failure
    listening.subscribe(values["MQTT_TOPICS"], 1)
    yield listening
    listening.close()


def events(client: PahoClient) -> list[tuple[str, ApplianceEvent]]:
    """The appliances' events so far."""
    found = ((APPLIANCE_EVENT.match(ROOT, topic), payload) for topic, payload in list(client.received))
    return [(match["appliance"], ApplianceEvent.from_wire(payload)) for match, payload in found if match]


def readings(client: PahoClient) -> int:
    """How many readings came."""
    return sum(topic == MAINS.at(ROOT) for topic, _ in list(client.received))


def test_an_appliance_is_announced(demo: Containers, client: PahoClient) -> None:
    """From the recorded home's meter, over all containers, to a person's own client."""
    demo.until(lambda: events(client), "no appliance event came")
    assert readings(client)


def test_every_container_says_that_it_works(demo: Containers) -> None:
    """All are healthy, which means: each has done its work within the last minute."""
    for service in ("broker", *SERVICES):
        demo.until(lambda service=service: demo.health(f"demo-{service}") == "healthy", f"{service} is not healthy")


def test_the_page_is_there_without_a_password_and_for_this_computer_only(demo: Containers) -> None:
    """The demo's page opens on loopback, and answers to no other name."""
    address = f"http://127.0.0.1:{demo.page_port}/"
    with urllib.request.urlopen(address, timeout=10) as answer:
        page = answer.read().decode()
    assert "hems" in page
    foreign = urllib.request.Request(address, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="421"):
        urllib.request.urlopen(foreign, timeout=10)  # noqa: S310


def test_no_process_has_a_right_that_it_does_not_need(demo: Containers) -> None:
    """Seen from the kernel: nobody is root, there is no capability and no way to one, and no system call filter is missing."""
    for service in ("broker", "meter", *SERVICES):
        process = Path("/proc") / str(demo.inspect(f"demo-{service}")["State"]["Pid"]) / "status"
        status = dict(line.split(":\t", 1) for line in process.read_text().splitlines() if ":\t" in line)
        assert "0" not in status["Uid"].split(), service
        assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0, service
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2"), service


def test_a_service_can_neither_write_its_image_nor_read_anothers_secrets_or_state(demo: Containers) -> None:
    """The file system is read-only, and what belongs to another is closed."""
    identity = demo.identity("demo-sensor")
    for command in ("touch /opt/hems/x", "ls /etc/hems/secrets/notifier", "ls /var/lib/hems/recorder", "touch /etc/hems/x"):
        done = docker("exec", identity, "sh", "-c", f"{command} 2>&1 || echo refused")
        assert done.endswith("refused\n"), (command, done)


def test_what_reads_the_meter_has_no_way_out(demo: Containers) -> None:
    """From the sensor nothing outside of its own network can be reached; from the page's container it can."""
    outside = demo.inspect("demo-broker")["NetworkSettings"]["Networks"]["hems-test-demo_demo-outside"]["IPAddress"]
    connecting = f"import socket; socket.create_connection(('{outside}', 1883), 3); print('reached')"
    asked = {
        service: docker("exec", demo.identity(f"demo-{service}"), "sh", "-c", f'python3 -c "{connecting}" 2>&1 | tail -1')
        for service in ("sensor", "dashboard")
    }
    assert asked["dashboard"] == "reached\n"
    assert "reached" not in asked["sensor"]


def test_a_restarted_broker_is_found_again(demo: Containers, client: PahoClient) -> None:
    """After a restart of the broker, readings come again, and every service is online."""
    demo.compose("restart", "demo-broker")
    again = PahoClient(MQTTProtocolVersion.MQTTv5, "client", account(demo)["MQTT_PASSWORD"])
    demo.until(lambda: _connects(again, demo.broker_port), "the broker did not come back")
    again.subscribe(f"{ROOT}/#", 1)
    demo.until(lambda: readings(again) > 3, "no readings came after the broker's restart")
    demo.until(lambda: _online(again) == set(SERVICES), "not every service came back")
    again.close()


def _connects(client: PahoClient, port: int) -> bool:
    try:
        return not client.connect("127.0.0.1", port).is_failure
    except OSError:
        return False


def _online(client: PahoClient) -> set[str]:
    found = ((SERVICE_STATUS.match(ROOT, topic), payload) for topic, payload in list(client.received))
    newest = {match["service"]: payload for match, payload in found if match}
    return {service for service, payload in newest.items() if payload == b"online"}


@pytest.mark.parametrize("service", ["sensor", "disaggregator", "recorder"])
def test_a_killed_service_is_started_again(demo: Containers, service: str) -> None:
    """The engine brings it back, it is online again, and its readings or answers go on."""
    before = demo.restarts(f"demo-{service}")
    values = account(demo)
    listening = PahoClient(MQTTProtocolVersion.MQTTv5, values["MQTT_USER"], values["MQTT_PASSWORD"])
    assert not listening.connect("127.0.0.1", demo.broker_port).is_failure
    listening.subscribe(f"{ROOT}/#", 1)
    demo.kill(f"demo-{service}")
    demo.until(lambda: demo.restarts(f"demo-{service}") > before, f"{service} was not started again")
    topic = SERVICE_STATUS.at(ROOT, service=service)
    demo.until(lambda: [payload for name, payload in listening.received if name == topic][-2:] == [b"offline", b"online"], "not back")
    seen = readings(listening)
    demo.until(lambda: readings(listening) > seen, "readings did not go on")
    listening.close()


@pytest.mark.parametrize(("service", "check"), [("load_manager", "healthy"), ("broker", "answers")])
def test_what_hangs_is_ended_by_its_health_check_and_started_again(demo: Containers, service: str, check: str) -> None:
    """Frozen as a whole, so that nothing inside of it can help; the check finds that it has been so for two minutes, and ends it."""
    before, name = demo.restarts(f"demo-{service}"), f"demo-{service}"
    demo.signal(name, "STOP")
    age = "touch -d '-5 minutes' /tmp/health; rm -f /tmp/silent"
    docker("exec", demo.identity(name), "sh", "-c", f"{age}; ! {check} && test -e /tmp/silent")
    assert demo.restarts(name) == before  # not at the first sign
    # The engine's own check would do so by itself, some minutes later. It ends the container in which it runs, and so itself.
    aged = ["docker", "exec", demo.identity(name), "sh", "-c", f"touch -d '-5 minutes' /tmp/silent; {check}"]
    subprocess.run(aged, capture_output=True, check=False)
    demo.until(lambda: demo.restarts(name) > before, f"{service} was not started again")
    checking = ["docker", "exec", demo.identity(name), check]
    demo.until(lambda: subprocess.run(checking, capture_output=True, check=False).returncode == 0, f"{service} does not work again")


def test_the_history_begins_days_before_the_demo(demo: Containers) -> None:
    """As in `make run`: the page has something to show of yesterday, by itself and by appliance."""
    counting = (
        "import sqlite3; history = sqlite3.connect('file:/var/lib/hems/recorder/home/history.db?mode=ro', uri=True); "
        "print(*history.execute('SELECT count(DISTINCT at_s), count(DISTINCT subject) FROM day').fetchone())"
    )
    days, subjects = map(int, docker("exec", demo.identity("demo-recorder"), "python3", "-c", counting).split())
    assert days >= 3
    assert subjects > 1


def test_logs_are_json_and_rotate(demo: Containers) -> None:
    """One JSON object a line, in files that are bounded."""
    identity = demo.identity("demo-recorder")
    lines = docker("logs", identity).splitlines() or ["{}"]
    assert all(isinstance(json.loads(line), dict) for line in lines if line.startswith("{"))
    assert demo.inspect("demo-recorder")["HostConfig"]["LogConfig"]["Config"] == {"max-size": "5m", "max-file": "3"}
