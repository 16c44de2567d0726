"""The notifier as a process, on a real broker, with a Twilio of our own."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from hems.actor.bus import Session
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings
from hems.contracts.alerts import Alert
from hems.contracts.catalog import ALERT
from hems.contracts.topic import Root
from services.notifier.command import notify
from tests.support.broker import RealBroker
from tests.support.services import ServiceProcess, environment_of
from tests.support.twilio_server import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER, Fault, running_twilio

ME = "+447700900123"
PATIENCE_S = 20.0


def environment(broker: RealBroker, folder: Path, url: str, home: str) -> dict[str, str]:
    """A notifier's, with its secret in a file."""
    (folder / "token").write_text(AUTH_TOKEN + "\n")
    (folder / "hems.yaml").write_text(
        f"notifier:\n  recipients: {{me: {{sms: '{ME}'}}}}\n"
        f"  twilio: {{account_sid: {ACCOUNT_SID}, from_number: '{FROM_NUMBER}', base_url: '{url}'}}\n"
    )
    known = {"HEMS_CONFIG": str(folder / "hems.yaml"), "HEMS_NOTIFIER__TWILIO__AUTH_TOKEN_FILE": str(folder / "token")}
    return {**environment_of("notifier", broker, folder, home), **known}


def broker_settings(broker: RealBroker, user: str) -> BrokerSettings:
    """How one service connects."""
    values = {"host": broker.host, "port": broker.port, "username": user, "password": broker.password(user)}
    return BrokerSettings.read(values, {})


async def test_an_alert_becomes_an_sms(shared_mosquitto: RealBroker, tmp_path: Path) -> None:
    """`python -m services.notifier`, an alert over the broker, one message at Twilio, and an orderly end."""
    home = "notified"
    async with running_twilio() as twilio:
        service = ServiceProcess("notifier", environment(shared_mosquitto, tmp_path, twilio.url, home), tmp_path / "log")
        service.start()
        try:
            await asyncio.to_thread(service.wait_for, "started")
            alert = Alert(id="a1", rule="recorder.full", severity="critical", title="Disk", message="It is full.", at=datetime.now(UTC))
            broker = MqttBroker(broker_settings(shared_mosquitto, "recorder"))
            async with asyncio.timeout(PATIENCE_S), broker.connect(Session("a recorder")) as bus:
                while not twilio.bodies(ME):
                    await bus.publish(ALERT.at(Root(home)), alert.to_wire(), qos=1, retain=False)
                    await asyncio.sleep(0.5)
        finally:
            status = await asyncio.to_thread(service.stop)
    assert status == 0, service.log
    assert twilio.bodies(ME) == ["Disk: It is full."]
    assert twilio.violations == []
    assert AUTH_TOKEN not in service.log


async def test_a_real_account_is_refused_in_simulated_time(shared_mosquitto: RealBroker, tmp_path: Path) -> None:
    """A recording at twenty times its speed sends nothing to a real phone: exit 78, and a sentence that says what to do."""
    values = environment(shared_mosquitto, tmp_path, "http://127.0.0.1:9", "fast")
    values |= {"HEMS_CLOCK__RATE": "20", "HEMS_CLOCK__EPOCH": "2015-01-05T00:00:00+00:00"}
    run = await asyncio.to_thread(started, values)
    assert run.returncode == 78, run.stderr
    assert "can't be sent in simulated time" in run.stderr


def started(values: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """A notifier that ends by itself."""
    command = [sys.executable, "-m", "services.notifier"]
    return subprocess.run(command, env={**os.environ, **values}, capture_output=True, text=True, timeout=30, check=False)


async def test_the_command_sends_a_test_and_says_what_twilio_answers(
    shared_mosquitto: RealBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`hems notify --test`: taken and delivered, or the reason in a sentence."""
    async with running_twilio() as twilio:
        for name, value in environment(shared_mosquitto, tmp_path, twilio.url, "home").items():
            monkeypatch.setenv(name, value)
        result = await asyncio.to_thread(CliRunner().invoke, notify, ["--test", ME])
        assert result.exit_code == 0, result.output
        assert result.output == f"Twilio took it: {twilio.messages[0]['sid']}\ndelivered\n"
        twilio.faults.append(Fault(400, 21608))
        result = await asyncio.to_thread(CliRunner().invoke, notify, ["--test", ME])
        assert result.exit_code == 1
        assert "verify it in Twilio's console" in result.output
        assert len(twilio.bodies(ME)) == 1
        assert twilio.violations == []
