"""The first hour: detect, setup, calibrate, doctor and up, driven through a real terminal, with meters on ptys."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml
from paho.mqtt.enums import MQTTProtocolVersion

from hems.contracts.catalog import MAINS
from hems.contracts.mains import Mains
from hems.contracts.topic import Root
from tests.support import fake_meters
from tests.support.broker import free_port
from tests.support.fake_meters import RESET_BLOCK, FakeMeter, Line, silent_port
from tests.support.paho_client import PahoClient

pytestmark = pytest.mark.timeout(180)
ROOT = Path(__file__).parents[2]
PATIENCE_S = 60
SERVICES = ("sensor", "actuator", "recorder")
GAIN = 0.93
HOME_W, KETTLE_W, MAINS_V = 300.0, 2_000.0, 231.4


class Kitchen:
    """A folder, its meters, and a person at a terminal in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "HEMS_CONFIG": ""}

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        return yaml.safe_load((self.folder / "hems.yaml").read_text())

    @contextlib.contextmanager
    def hems(self, *arguments: str) -> Generator["pexpect.spawn[str]"]:
        """A command in a terminal of its own; what it left unsaid is read to its end."""
        child: pexpect.spawn[str] = pexpect.spawn(
            sys.executable, ["-m", "services.cli", *arguments], cwd=str(self.folder), env=self.environment, encoding="utf-8",
            timeout=PATIENCE_S, dimensions=(50, 200),
        )  # fmt: skip
        try:
            yield child
        finally:
            child.close(force=True)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end: its exit status, and what it said."""
        with self.hems(*arguments) as child:
            child.expect(pexpect.EOF)
            said = child.before or ""
        return int(child.exitstatus or 0), said


def converse(child: "pexpect.spawn[str]", *turns: tuple[str, str]) -> str:
    """Wait for each question, answer it, and read to the end."""
    said = ""
    for question, answer in turns:
        child.expect_exact(question)
        said += (child.before or "") + question
        child.sendline(answer)
    child.expect(pexpect.EOF)
    return said + (child.before or "")


def draws(power_w: float) -> Line:
    """The board reads 7 % too low, and multiplies by its own vest of 240 V."""
    return fake_meters.rpict3t1(GAIN * power_w * 240 / MAINS_V)


def test_the_first_hour(tmp_path: Path) -> None:
    """Fake meters, one dead and one noisy, come to a true meter, a working hems.yaml and a running home; faults are found."""
    kitchen = Kitchen(tmp_path)
    meter = FakeMeter(tmp_path / "uart", 38_400, draws(HOME_W), begins_with=RESET_BLOCK)
    sensor = FakeMeter(tmp_path / "esp8266", 115_200, fake_meters.zmpt101b(MAINS_V * GAIN))
    with meter, sensor:
        _detect(kitchen)
        _set_up(kitchen)
        _calibrate(kitchen, meter)
        status, said = kitchen.run("doctor", "--listen", "1")
        assert status == 0, said
        _run_the_home(kitchen, meter, sensor)


def _detect(kitchen: Kitchen) -> None:
    noisy = FakeMeter(kitchen.folder / "noisy", 9_600, fake_meters.open_energy_monitor(), noise=0.3)
    turned = FakeMeter(kitchen.folder / "turned", 57_600, fake_meters.rpict3v1(-800))
    with noisy, turned, silent_port(kitchen.folder / "dead"):
        _, said = kitchen.run("detect", "noisy", "turned", "uart", "esp8266", "--listen", "2")
        status, dead = kitchen.run("detect", "dead", "--listen", "0.5")
    assert "a meter (open_energy_monitor) at 9600 baud" in said
    assert "lines can't be read" in said
    assert "a meter (rpict3v1) at 57600 baud" in said
    assert "sits the wrong way round" in said
    assert "a meter (rpict3t1) at 38400 baud" in said
    assert "a voltage sensor (zmpt101b) at 115200 baud" in said
    assert "sensor:\r\n  " in said
    assert status == 1
    assert "Nothing comes" in dead


def _set_up(kitchen: Kitchen) -> None:
    with kitchen.hems("setup", "home", "meter", "relays", "tariff", "phone") as child:
        said = converse(
            child,
            ("A name for it", "cottage"), ("Its time zone", "Europe/London"), ("Its currency", ""), ("Its mains voltage", ""),
            ("Port of the meter", "uart"), ("Which inputs", ""), ("Port of a voltage sensor", "esp8266"),
            ("What do the relays hang on?", "simulated"), ("Name of a relay", "bulb"), ("a fridge, a freezer", ""),
            ("Which state is safe", ""), ("May the page switch it?", ""),
            ("Try bulb now", "yes"), ("Did it do so", "yes"), ("Name of a relay", ""),
            ("Which tariff", "flat"), ("Price of a kWh", "0.27"), ("Standing charge", "0.60"),
            ("By which way?", "none"),
        )  # fmt: skip
    assert child.exitstatus == 0, said
    assert "bulb is ON" in said
    assert "hems.yaml is ready" in said
    settings = kitchen.settings
    assert settings["sensor"]["meter"] == {"port": "uart", "baud": 38_400, "profile": "rpict3t1", "mains_channels": [1], "vest_v": 240.0}
    assert settings["recorder"]["tariff"] == {"kind": "flat", "per_kwh": 0.27, "standing_charge_per_day": 0.6}


def _calibrate(kitchen: Kitchen, meter: FakeMeter) -> None:
    with kitchen.hems("calibrate", "voltage", str(MAINS_V), "--readings", "20") as child:
        said = converse(child, ("Write it into hems.yaml?", "yes"))
    assert "Written." in said
    with kitchen.hems("calibrate", "power", "--load", str(KETTLE_W), "--readings", "40") as child:
        for question, power_w in (("load off,", HOME_W), ("load on,", HOME_W + KETTLE_W), ("load off again", HOME_W)):
            child.expect_exact(question)
            meter.line = draws(power_w)
            child.sendline("")
        said = converse(child, ("Write it into hems.yaml?", "yes"))
    assert re.search(r"Before: the meter says 18\d\d W for this load of 2000 W. After: 2000 W.", said), said
    assert kitchen.settings["sensor"]["meter"]["scale"] * GAIN == pytest.approx(1, rel=0.005)


def _run_the_home(kitchen: Kitchen, meter: FakeMeter, sensor: FakeMeter) -> None:
    file = kitchen.folder / "hems.yaml"
    file.write_text(file.read_text() + f"supervisor: {{services: [{', '.join(SERVICES)}]}}\nbroker: {{port: {free_port()}}}\n")
    with (kitchen.folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "services.cli", "up", "--no-watch"]
        process = subprocess.Popen(command, cwd=kitchen.folder, env=kitchen.environment, stdout=log, stderr=log)
    try:
        assert _power_w(kitchen) == pytest.approx(HOME_W * 0.95, rel=0.02)
        status, said = kitchen.run("doctor", "--listen", "2")
        assert status == 0, said
        assert "bulb         switched ON   by local" in kitchen.run("audit")[1]
        refused, said = kitchen.run("setup", "meter")
        assert refused == 1
        assert "stop `hems up` first" in said
        meter.noise, sensor.line = 0.5, fake_meters.zmpt101b(2.0)
        _found_in_the_end(kitchen)
    finally:
        process.terminate()
        assert process.wait(PATIENCE_S) == 0, (kitchen.folder / "log").read_text()


def _power_w(kitchen: Kitchen) -> float:
    """What the home draws, by its own broker."""
    account, give_up_at = kitchen.folder / "var/mqtt.env", time.monotonic() + PATIENCE_S
    while not (account.exists() and len(re.findall(r"\] started\b", (kitchen.folder / "log").read_text())) >= len(SERVICES)):
        assert time.monotonic() < give_up_at, (kitchen.folder / "log").read_text()
        time.sleep(0.05)
    values = dict(line.split("=", 1) for line in account.read_text().splitlines())
    client = PahoClient(MQTTProtocolVersion.MQTTv5, values["MQTT_USER"], values["MQTT_PASSWORD"])
    assert not client.connect(values["MQTT_HOST"], int(values["MQTT_PORT"])).is_failure
    client.subscribe(MAINS.at(Root("cottage")), 1)
    client.until_received(30)
    client.close()
    return Mains.from_wire(client.received[-1][1]).power_w


def _found_in_the_end(kitchen: Kitchen) -> None:
    """The sensor's counts have to reach the doctor first: they are said each ten seconds, and a voltage holds for as long."""
    give_up_at, said = time.monotonic() + PATIENCE_S, ""
    while time.monotonic() < give_up_at:
        status, said = kitchen.run("doctor", "--listen", "13")
        if "could not be read" in said and "no voltage that can be used comes" in said:
            assert status == 1
            return
    raise AssertionError(said)
