"""`hems doctor`: each planted fault is found in one run."""

import json
import tarfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from paho.mqtt.enums import MQTTProtocolVersion

from hems.contracts.catalog import MAINS, SERVICE_HEALTH, SERVICE_STATUS
from hems.contracts.health import ServiceHealth
from hems.contracts.topic import Root
from hems.setting_up.places import lock_of
from services.cli import main
from services.supervisor.workspace import only_one
from tests.support import fake_meters
from tests.support.broker import RealBroker, free_port
from tests.support.fake_meters import FakeMeter, silent_port
from tests.support.paho_client import PahoClient

AT = "2026-06-01T00:00:00+00:00"


class Patient:
    """A home in a folder, to be looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.meter, self.voltage = folder / "meter", folder / "voltage"
        self.settings: dict[str, Any] = {
            "home": {"id": f"home-{abs(hash(folder)) % 10**8}"},
            "storage": {"directory": str(folder / "var")},
            "broker": {"port": free_port()},
            "sensor": {"meter": {"port": str(self.meter), "profile": "rpict3v1"}, "voltage": {"port": str(self.voltage)}},
        }

    def look(self, *arguments: str, listen: float = 1.0) -> tuple[int, dict[str, list[str]]]:
        """Look once: the exit status, and by subject what a person has to look at."""
        file = self.folder / "hems.yaml"
        file.write_text(yaml.safe_dump(self.settings))
        result = CliRunner().invoke(
            main, ["doctor", "--json", "--listen", str(listen), "--config", str(file), *arguments], catch_exceptions=False
        )
        found: dict[str, list[str]] = {}
        for line in result.output.splitlines():
            if line.startswith("{") and (finding := json.loads(line))["verdict"] == "look":
                assert finding["step"], finding
                found.setdefault(finding["subject"], []).append(finding["says"])
        return result.exit_code, found


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    """A home with a meter with a sign, and a voltage sensor; nothing is plugged in."""
    return Patient(tmp_path)


def test_a_healthy_home_is_called_so(patient: Patient) -> None:
    """Status 0, and nothing to look at."""
    with FakeMeter(patient.meter, 38_400, fake_meters.rpict3v1()), FakeMeter(patient.voltage, 115_200, fake_meters.zmpt101b()):
        assert patient.look() == (0, {})


def test_every_planted_fault_is_found_in_one_run(patient: Patient) -> None:
    """A reversed clamp, a silent input, noise, a voltage sensor without mains, a bad pin, a wrong token, an unknown key."""
    patient.settings["sensor"]["meter"]["mains_channels"] = [1, 3]
    patient.settings["actuator"] = {"board": "gpio", "relays": {"heater": {"pin": 24, "active": "low"}}}
    patient.settings["recorder"] = {"keep_rwa": "90d"}
    with ExitStack() as stack:
        twilio = stack.enter_context(_answering(401))
        patient.settings["notifier"] = {
            "twilio": {"account_sid": "AC" + "0" * 32, "auth_token": "wrong", "from_number": "+447700900123", "base_url": twilio}
        }
        stack.enter_context(FakeMeter(patient.meter, 38_400, fake_meters.rpict3v1(power_w=-640), noise=0.2))
        stack.enter_context(FakeMeter(patient.voltage, 115_200, fake_meters.zmpt101b(2.2)))
        status, found = patient.look()
    assert status == 1
    assert [words for words in found["meter"] if "wrong way round" in words]
    assert [words for words in found["meter"] if words.startswith("input 3 hears no load")]
    assert [words for words in found["meter"] if "lines can't be read" in words]
    assert [words for words in found["voltage"] if "no mains voltage" in words]
    assert [words for words in found["pins"] if "ON until the actuator starts" in words]
    assert found["Twilio"] == ["it refuses the token"]
    assert [words for words in found["configuration"] if "recorder.keep_rwa: no such key" in words]
    assert [words for words in found["messages"] if "nobody is told" in words]


@pytest.mark.parametrize(
    ("baud", "line", "words"),
    [
        (38_400, fake_meters.rpict3t1(), "(these look like rpict3t1)"),
        (9_600, fake_meters.rpict3v1(), "comes from"),
        (38_400, fake_meters.rpict3v1(voltage_v=120), "120.0 V is no mains voltage of 230 V"),
    ],
)
def test_a_wrong_profile_speed_or_voltage(patient: Patient, baud: int, line: fake_meters.Line, words: str) -> None:
    """The profile that fits is named; at a wrong speed no line comes."""
    with FakeMeter(patient.meter, baud, line), FakeMeter(patient.voltage, 115_200, fake_meters.zmpt101b()):
        status, found = patient.look(listen=0.5)
    assert status == 1
    assert any(words in said for said in found["meter"]), found


def test_ports_that_are_dead_or_gone(patient: Patient) -> None:
    """A meter that says nothing, and a voltage sensor that is not plugged in."""
    with silent_port(patient.meter):
        _, found = patient.look(listen=0.3)
    assert "nothing comes from" in found["meter"][0]
    assert "No such file" in found["voltage"][0]


def test_a_running_homes_services_are_asked(patient: Patient, shared_mosquitto: RealBroker) -> None:
    """One is offline, one blind, one backed up; the meter's faults are known by its readings, without opening its port."""
    home = patient.settings["home"]["id"]
    patient.settings["broker"] = {
        "host": shared_mosquitto.host,
        "port": shared_mosquitto.port,
        "password": shared_mosquitto.password("client"),
    }
    patient.settings["sensor"]["meter"]["mains_channels"] = [1, 2]
    readings = {"measured_at": AT, "power_w": -500.0, "quality": "measured", "channels": {"1": -500.0, "2": 0.0}}
    reports: dict[str, dict[str, Any]] = {
        "sensor": {"work": {"lines": 100, "readings": 90}, "errors": {"malformed_lines": 10}},
        "recorder": {"blind": "the disk is full"},
        "notifier": {"backlog": 9_000},
        "actuator": {},
    }
    with _speaking(shared_mosquitto, Root(home), reports, offline="actuator", readings=readings):
        status, found = patient.look(listen=1.5)
    assert status == 1
    assert any("10 of 100 lines" in words for words in found["meter"])
    assert any("wrong way round" in words for words in found["meter"])
    assert any("input 2 hears no load" in words for words in found["meter"])
    assert found["voltage"] == ["no voltage that can be used comes"]
    assert found["actuator"] == ["is offline"]
    assert "the disk is full" in found["recorder"][0]
    assert "9000 messages wait" in found["notifier"][0]


def test_a_service_that_never_came_up_is_missed(patient: Patient, shared_mosquitto: RealBroker) -> None:
    """Where `hems up` runs, each of its services should be heard, even one that never said a word; a list that is a mistake is no crash."""
    home = patient.settings["home"]["id"]
    account = {"host": shared_mosquitto.host, "port": shared_mosquitto.port, "password": shared_mosquitto.password("client")}
    patient.settings["broker"] = account
    readings = {"measured_at": AT, "power_w": 500.0, "quality": "measured", "channels": {"1": 500.0}, "voltage_v": 230.0}
    with _speaking(shared_mosquitto, Root(home), {"sensor": {}}, offline="", readings=readings):
        assert "recorder" not in patient.look(listen=0.3)[1]
        with only_one(lock_of(patient.folder / "var")):
            assert patient.look(listen=0.3)[1]["recorder"] == ["is offline"]
        patient.settings["supervisor"] = {"services": None}
        status, found = patient.look(listen=0.3)
    assert status == 1
    assert "supervisor.services" in found["configuration"][0]


def test_a_bundle_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    """With the reason, after all that was found."""
    result = CliRunner().invoke(main, ["doctor", "--listen", "0.2", "--bundle", str(tmp_path / "no/report.tar.gz")])
    assert "can't be written (No such file or directory)" in result.output


def test_a_broker_that_refuses_the_account(patient: Patient, shared_mosquitto: RealBroker) -> None:
    """It answers, and lets nobody in by this password."""
    patient.settings["broker"] = {"host": shared_mosquitto.host, "port": shared_mosquitto.port, "password": "guessed"}
    _, found = patient.look(listen=0.3)
    assert "refuses the account client" in found["broker"][0]


def test_an_account_that_can_not_be_read_is_no_crash(patient: Patient) -> None:
    """A damaged `mqtt.env` is passed over."""
    (patient.folder / "var").mkdir()
    (patient.folder / "var/mqtt.env").write_text("MQTT_HOST=127.0.0.1\n")
    with FakeMeter(patient.meter, 38_400, fake_meters.rpict3v1()), FakeMeter(patient.voltage, 115_200, fake_meters.zmpt101b()):
        assert patient.look() == (0, {})


def test_a_bundle_holds_the_report_and_no_secret(patient: Patient) -> None:
    """The findings, the configuration and the packages; the token that somebody wrote into hems.yaml is not in it."""
    patient.settings["notifier"] = {"twilio": {"auth_token": "plant3d-token"}}
    bundle = patient.folder / "report.tar.gz"
    patient.look("--bundle", str(bundle), listen=0.2)
    with tarfile.open(bundle) as archive:
        texts = {Path(name).name: member.read().decode() for name in archive.getnames() if (member := archive.extractfile(name))}
    assert {"report.txt", "hems.yaml", "packages.txt", "health.json"} <= texts.keys()
    assert "meter" in texts["report.txt"]
    assert "rpict3v1" in texts["hems.yaml"]
    assert not any("plant3d-token" in text for text in texts.values())


@contextmanager
def _answering(status: int) -> Generator[str]:
    """An HTTP server that answers all with one status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _speaking(
    broker: RealBroker, root: Root, reports: dict[str, dict[str, Any]], *, offline: str, readings: dict[str, Any]
) -> Generator[None]:
    """Services that say how they are, and a sensor that reads."""
    clients = {name: PahoClient(MQTTProtocolVersion.MQTTv5, name, broker.password(name)) for name in reports}
    for name, client in clients.items():
        client.connect(broker.host, broker.port)
        report = ServiceHealth.model_validate({"at": AT, "version": "1", "started_at": AT, **reports[name]})
        status = b"offline" if name == offline else b"online"
        client.client.publish(SERVICE_STATUS.at(root, service=name), status, qos=1, retain=True).wait_for_publish(10)
        client.client.publish(SERVICE_HEALTH.at(root, service=name), report.to_wire(), qos=1, retain=True).wait_for_publish(10)
    stop = Event()

    def read() -> None:
        while not stop.wait(0.1):
            clients["sensor"].publish(MAINS.at(root), json.dumps(readings).encode())

    reader = Thread(target=read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        stop.set()
        reader.join()
        for client in clients.values():
            client.close()
