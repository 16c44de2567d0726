"""A real home's containers: secrets, TLS, PostgreSQL, and a meter that is pulled and plugged in again."""

import os
import re
import socket
import ssl
import subprocess
import tty
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from hems.contracts.catalog import MAINS
from hems.contracts.topic import Root
from tests.support.containers import Containers, docker
from tests.support.paho_client import PahoClient

pytestmark = [
    pytest.mark.containers,
    pytest.mark.timeout(600),
    pytest.mark.skipif(os.geteuid() != 0, reason="a port that a container may open is made by root"),
]

PLANTED = "planted-secret-7f3a"
ROOT = Root("planted")
METER = Path("/dev/hems-test-meter")
PROJECT = "hems-test-home"
STARTED = ("setup", "broker", "sensor", "recorder", "notifier", "dashboard", "postgres", "tls")


class Meter:
    """A pty under a name in /dev, as a USB meter has one."""

    def __init__(self) -> None:
        self._ends: tuple[int, ...] = ()

    def plug(self) -> None:
        """A new port under the old name."""
        ours, theirs = os.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        Path(os.ttyname(theirs)).chmod(0o666)
        METER.unlink(missing_ok=True)
        METER.symlink_to(os.ttyname(theirs))
        self._ends = (ours, theirs)

    def pull(self) -> None:
        """Neither the port nor its name is there."""
        METER.unlink(missing_ok=True)
        for end in self._ends:
            os.close(end)
        self._ends = ()

    def say(self) -> bool:
        """Print a reading."""
        with suppress(BlockingIOError):
            os.write(self._ends[0], b"11 1234.0 0.0 -0.0 21.5\r\n")
        return True


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a person has written: a configuration, and secrets."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "hems.yaml").write_text(
        f"home: {{id: {ROOT.home}}}\n"
        f"sensor: {{meter: {{port: {METER}}}}}\n"
        'notifier: {recipients: {me: {sms: "+447700900123"}}, twilio: {account_sid: AC00000000000000000000000000000000, '
        'from_number: "+15005550006"}}\n'
    )
    (folder / "secrets").mkdir()
    (folder / "secrets" / "HEMS_NOTIFIER__TWILIO__AUTH_TOKEN").write_text(PLANTED)
    return folder


@pytest.fixture(scope="module")
def home(person: Path) -> Iterator[Containers]:
    """A home with what a Pi adds, save its GPIO chip."""
    environment = {"HEMS_CONFIG_FOLDER": str(person), "HEMS_TLS_ADDRESS": "127.0.0.1", "HEMS_TLS_NAMES": "localhost,127.0.0.1"}
    running = Containers(PROJECT, "home,postgres,tls", environment, files=["docker-compose.pi.yml"])
    running.compose("build", "--quiet", *STARTED[:-2], "tls")
    try:
        running.compose("up", "--detach", *STARTED[1:])
        yield running
    finally:
        running.down()
        METER.unlink(missing_ok=True)


@pytest.fixture
def client(home: Containers) -> Iterator[PahoClient]:
    """A person's own program, told of the account as a person is."""
    listening = PahoClient(MQTTProtocolVersion.MQTTv5, "client", password(home))
    home.until(lambda: _connects(listening, home.broker_port), "the broker takes no connections")
    listening.subscribe(f"{ROOT}/#", 1)
    yield listening
    listening.close()


def password(home: Containers) -> str:
    """The client's."""
    said = home.compose("run", "--rm", "--no-deps", "-T", "setup", "hems", "prepare", "--show-account")
    found = re.search(r"^MQTT_PASSWORD=(\S+)", said, flags=re.MULTILINE)
    assert found, said
    return found[1]


def _connects(client: PahoClient, port: int) -> bool:
    try:
        return not client.connect("127.0.0.1", port).is_failure
    except OSError:
        return False


def readings(client: PahoClient) -> int:
    """How many came."""
    return sum(topic == MAINS.at(ROOT) for topic, _ in list(client.received))


def test_a_meter_that_is_pulled_and_plugged_in_again_is_read_again(home: Containers, client: PahoClient) -> None:
    """Three times: its device is a new one inside of the container each time, which was not there when it started."""
    meter = Meter()
    for _ in range(3):
        meter.plug()
        seen = readings(client)
        home.until(lambda seen=seen: meter.say() and readings(client) > seen, "the meter is not read")
        meter.pull()
    assert home.restarts("sensor") == 0


def test_the_sensor_opens_serial_ports_and_no_other_device(home: Containers) -> None:
    """Of the host's /dev, which it sees, it can't open the disks, the memory or the kernel's log."""
    listing = docker("exec", "--user", "0", home.identity("sensor"), "sh", "-c", "ls /dev")
    devices = [name for name in ("vda", "sda", "nvme0n1", "mem", "kmsg", "port") if name in listing.split()]
    assert devices
    for name in devices:
        done = docker("exec", "--user", "0", home.identity("sensor"), "sh", "-c", f"head -c1 /dev/{name} 2>&1 || echo refused")
        assert done.endswith("refused\n"), (name, done)


def test_a_planted_secret_shows_nowhere(home: Containers) -> None:
    """Not in a log, nor in what the engine shows of a container; where it lies, only the notifier and the set-up can read it."""
    secrets = {PLANTED, password(home)}
    for service in ("broker", "sensor", "recorder", "notifier", "dashboard"):
        shown = str(home.inspect(service))
        assert not [secret for secret in secrets if secret in shown], service
    assert not [secret for secret in secrets if secret in home.logs()]
    path = "/etc/hems/secrets/notifier/HEMS_NOTIFIER__TWILIO__AUTH_TOKEN"
    assert docker("exec", home.identity("notifier"), "cat", path) == PLANTED
    for service in ("sensor", "recorder", "broker", "tls"):
        assert "denied" in docker("exec", home.identity(service), "sh", "-c", f"cat {path} 2>&1 || true"), service


def test_no_image_holds_a_persons_files(home: Containers, person: Path) -> None:
    """Even where they lie in the folder that images are built from: the list of what goes in names neither."""
    planted = Path("config-of-a-test")
    try:
        planted.mkdir()
        (planted / "secret").write_text(PLANTED)
        home.compose("build", "--quiet", "notifier")
        found = docker(
            "run", "--rm", "--network", "none", "--user", "0", "hems-notifier", "sh", "-c",
            f"grep -rl {PLANTED} /opt/hems/code /etc /usr/local /root /home /tmp /var || true",
        )  # fmt: skip
        assert found == ""
        assert PLANTED not in docker("history", "--no-trunc", "hems-notifier")
    finally:
        (planted / "secret").unlink(missing_ok=True)
        planted.rmdir()


def test_the_pages_password_is_shown_once_and_asked_for(home: Containers) -> None:
    """The set-up printed it at the first start; the next start prints none, and the page asks for it."""
    assert docker("logs", home.identity("setup")).count("The page's password, shown this once: ") == 1
    again = home.compose("run", "--rm", "--no-deps", "-T", "setup")
    assert "password" not in again
    with socket.create_connection(("127.0.0.1", home.page_port), 10) as page:
        page.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{home.page_port}\r\nAccept: text/html\r\nConnection: close\r\n\r\n".encode())
        answer = page.recv(1_000)
    assert answer.startswith(b"HTTP/1.1 303")
    assert b"/login" in answer


def test_broker_and_page_speak_tls_under_the_private_authority(home: Containers, tmp_path: Path) -> None:
    """Who knows the authority reaches both; who does not, refuses the certificate."""
    authority = tmp_path / "ca.pem"
    authority.write_text(docker("exec", home.identity("broker"), "cat", "/etc/hems/tls/ca.pem"))
    home.until(lambda: home.health("tls") == "healthy", "TLS is not up")
    trusting = ssl.create_default_context(cafile=str(authority))
    for port in (8883, 8443):
        with socket.create_connection(("127.0.0.1", port), 10) as plain, trusting.wrap_socket(plain, server_hostname="localhost") as inside:
            assert inside.version() in ("TLSv1.2", "TLSv1.3")
        with socket.create_connection(("127.0.0.1", port), 10) as plain, pytest.raises(ssl.SSLCertVerificationError):
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
    listening = PahoClient(MQTTProtocolVersion.MQTTv5, "client", password(home))
    listening.client.tls_set(str(authority))  # pyright: ignore[reportUnknownMemberType]
    assert not listening.connect("localhost", 8883).is_failure
    listening.close()


def test_the_history_lies_in_postgres(home: Containers, client: PahoClient) -> None:
    """With the profile, what the meter says is in PostgreSQL, under a password that the set-up made."""
    meter = Meter()
    meter.plug()
    asking = "psql -U hems -d hems -h /var/run/postgresql -Atc 'SELECT count(*) FROM mains'"
    count = "PGPASSWORD=$(cat /etc/hems/secrets/postgres/password) " + asking

    def recorded() -> int:
        meter.say()
        done = subprocess.run(["docker", "exec", home.identity("postgres"), "sh", "-c", count], capture_output=True, text=True, check=False)
        return int(done.stdout or 0)

    home.until(recorded, "nothing is in PostgreSQL")
    meter.pull()


def test_a_restart_keeps_every_password(home: Containers) -> None:
    """`docker-compose up` a second time: the same account, and the services never had to be told another."""
    before = password(home)
    home.compose("up", "--detach", "--force-recreate", "--no-deps", "setup")
    home.until(lambda: home.inspect("setup")["State"]["Status"] == "exited", "the set-up does not end")
    assert home.inspect("setup")["State"]["ExitCode"] == 0
    assert password(home) == before
