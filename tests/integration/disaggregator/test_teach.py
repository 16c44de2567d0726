"""`hems teach` with a real broker and the real service: what a person says, and what comes of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from hems.contracts.catalog import MAINS
from hems.contracts.topic import Root
from services.cli import main
from tests.integration.disaggregator.test_disaggregator_process import connected, leave_a_session, some_hours
from tests.support.broker import RealBroker, free_port
from tests.support.services import ServiceProcess, environment_of

Teach = Callable[..., str]


@pytest.fixture
def teach(mosquitto: RealBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Teach:
    """The command, with the account that `hems up` would have written."""
    account = tmp_path / "mqtt.env"
    lines = {
        "MQTT_HOST": mosquitto.host, "MQTT_PORT": mosquitto.port, "MQTT_USER": "client",
        "MQTT_PASSWORD": mosquitto.password("client"), "MQTT_TOPICS": "hems/home/#",
    }  # fmt: skip
    account.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    monkeypatch.setenv("HEMS_CONFIG", "")

    def run(*arguments: str) -> str:
        return CliRunner().invoke(main, ["teach", *arguments, "--account", str(account)]).output

    return run


@pytest.fixture
def service(mosquitto: RealBroker, tmp_path: Path) -> Iterator[ServiceProcess]:
    """The disaggregator, after some readings."""
    root, readings = Root("home"), some_hours()[:60]
    process = ServiceProcess("disaggregator", environment_of("disaggregator", mosquitto, tmp_path, root.home), tmp_path / "log")
    leave_a_session(mosquitto, root)
    with connected(mosquitto, "sensor") as sensor:
        for reading in readings:
            sensor.publish(MAINS.at(root), reading.to_wire(), qos=1).wait_for_publish(30)
    process.start()
    process.wait_for("started")
    yield process
    assert process.stop() == 0


@pytest.mark.usefixtures("service")
def test_a_word_is_kept_answered_and_forgotten_again(teach: Teach) -> None:
    """Each word is answered with what it changes; one on an appliance that no model knows says so; and all can be taken back."""
    assert "what the power did then is an example now" in teach("kettle")
    assert "the words so far do not show that a change helps" in teach("dishwasher", "--on")
    assert "one of 2 words" in teach("dishwasher", "--off")
    assert "nothing that it could speak of" in teach("washing_machine", "--wrong")
    assert "nothing that it could speak of" in teach("sauna")
    assert "forgotten" in teach("dishwasher", "--forget")
    assert "the first word" in teach("dishwasher", "--on")


def test_without_the_service_it_says_that_nobody_answers(teach: Teach) -> None:
    """The broker has the word, and says so; nothing is claimed to be learnt."""
    assert "the disaggregator does not answer" in teach("kettle")


def test_a_name_that_can_not_be_is_refused(teach: Teach) -> None:
    """Before anything is sent, and with what a name looks like."""
    assert "such as washing_machine" in teach("the big kettle")


def test_without_a_broker_it_says_what_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens: the sentence names the address and `hems up`."""
    monkeypatch.setenv("HEMS_CONFIG", "")
    monkeypatch.setenv("HEMS_BROKER__PORT", str(free_port()))
    found = CliRunner().invoke(main, ["teach", "kettle", "--account", str(tmp_path / "none")])
    assert found.exit_code == 1
    assert "does `hems up` run?" in found.output
