"""The steps of `hems setup`, each with a scripted person."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hems.actor.configuration import Configuration
from hems.setting_up.configuration_file import ConfigurationFile
from services.actuator.asking import ask as ask_relays
from services.actuator.settings import ActuatorSettings
from services.actuator.trying import Refused, try_relay
from services.check_config import mistakes
from services.notifier.asking import ask as ask_phone
from services.notifier.settings import NotifierSettings
from services.recorder.asking import ask as ask_tariff
from services.sensor.asking import ask as ask_meter
from services.setup.adafruit import ask as ask_adafruit
from services.setup.adafruit import is_there
from services.setup.home import ask as ask_home
from tests.support import fake_meters
from tests.support.broker import free_port
from tests.support.conversation import Scripted
from tests.support.fake_meters import FakeMeter
from tests.support.twilio_server import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER, running_twilio


class Table:
    """A `hems.yaml` on the kitchen table."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "hems.yaml"
        self.path.write_text(f"# ours\nstorage: {{directory: {folder / 'var'}}}\n")

    def file(self) -> ConfigurationFile:
        return ConfigurationFile(self.path)

    def values(self) -> dict[str, Any]:
        assert self.path.read_text().startswith("# ours\n")
        assert mistakes(self.path) == []
        return yaml.safe_load(self.path.read_text())


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """One for each test."""
    return Table(tmp_path)


def test_the_home(table: Table) -> None:
    """Names and zones that can't be used are asked for again."""
    talk = Scripted(
        {"A name": ["My Home", "cottage"], "time zone": ["Mars", "Europe/Berlin"], "currency": "eur", "voltage": ["400", "230"]}
    )
    ask_home(talk, table.file())
    home = {"id": "cottage", "time_zone": "Europe/Berlin", "currency": "EUR", "nominal_voltage_v": 230}
    assert table.values()["home"] == home
    ask_home(Scripted({}), table.file())
    assert table.values()["home"] == home


def test_the_meter_is_listened_to(table: Table) -> None:
    """A wrong port is told, a reversed clamp is offered to be turned by its sign, and what was calibrated stays."""
    with FakeMeter(table.folder / "m", 38_400, fake_meters.rpict3v1(-700)), FakeMeter(table.folder / "v", 115_200, fake_meters.zmpt101b()):
        ports = {"Port of the meter": [str(table.folder / "v"), str(table.folder / "m")], "Port of a voltage": str(table.folder / "v")}
        talk = Scripted(ports)
        ask_meter(talk, table.file())
        assert "That is not the meter." in talk.text
        meter = table.values()["sensor"]["meter"]
        assert (meter["profile"], meter["mains_channels"], meter["invert"]) == ("rpict3v1", [1], [1])
        assert table.values()["sensor"]["voltage"]["profile"] == "zmpt101b"
        file = table.file()
        file.set("sensor", "meter", "scale", to=1.07)
        file.save()
        ask_meter(Scripted({}), table.file())
        assert table.values()["sensor"]["meter"]["scale"] == 1.07


def test_the_meter_is_listened_to_again(table: Table) -> None:
    """The inputs that stand in hems.yaml are offered, an input that was turned already is no fault, and only a turned one is turned."""
    line = fake_meters.always(b"11 -640.0 900.0 -300.0 3.5 4.5 1.5 231.20")
    with FakeMeter(table.folder / "m", 38_400, line):
        ports = {"Port of the meter": str(table.folder / "m")}
        ask_meter(Scripted({**ports, "Which inputs": "1, 2"}), table.file())
        meter = table.values()["sensor"]["meter"]
        assert (meter["mains_channels"], meter["invert"]) == ([1, 2], [1])
        talk = Scripted({})
        ask_meter(talk, table.file())
        assert table.values()["sensor"]["meter"] == meter
        assert "wrong way round" not in talk.text
        ask_meter(Scripted({"Which inputs": "1, 2, 3"}), table.file())
    meter = table.values()["sensor"]["meter"]
    assert (meter["mains_channels"], meter["invert"]) == ([1, 2, 3], [1, 3])


def test_a_voltage_sensor_that_is_gone_is_taken_out(table: Table) -> None:
    """Where the person says so; its scale stays for the day that it comes back. A home without a meter is told what is missing."""
    table.path.write_text(f"{table.path.read_text()}sensor: {{voltage: {{port: /dev/gone, scale: 1.1}}}}\n")
    talk = Scripted({"Port of": ["none", "none"]})
    ask_meter(talk, table.file())
    assert "No meter is set yet" in talk.text
    assert table.values()["sensor"]["voltage"] == {"port": "/dev/gone", "scale": 1.1}
    ask_meter(Scripted({"Port of": ["none", "none"], "be taken out": "yes"}), table.file())
    assert table.values()["sensor"]["voltage"] == {"scale": 1.1}


def test_relays_are_named_and_tried(table: Table) -> None:
    """Pins that can't be used are refused; each relay is tried for two seconds, and stands safe before and after."""
    talk = Scripted({"hang on": "simulated", "Name of a relay": ["Big Bulb", "bulb"], "Which state": "off"})
    ask_relays(talk, table.file())
    assert table.values()["actuator"]["relays"].keys() == {"bulb"}
    assert [words for words in talk.said if words.startswith("  bulb is")] == ["  bulb is ON", "  bulb is OFF"]
    changes = [json.loads(line) for line in next(table.folder.rglob("relays.jsonl")).read_text().splitlines()]
    assert [change["level"] for change in changes if change["event"] == "switched"] == ["ON", "OFF"]
    on, off = (change["monotonic_s"] for change in changes if change["event"] == "switched")
    assert off - on >= 1.9


def test_what_was_set_of_a_relay_stays(table: Table) -> None:
    """Named again to change one thing, it keeps its limits, its rest and who may switch it; another safe state brings its own."""
    ask_relays(Scripted({"hang on": "simulated", "Name of a relay": "heater", "Which state": "off", "Try": "no"}), table.file())
    file = table.file()
    mine = {"max_on_s": 600, "min_off_s": 900, "resting": "last", "allow": ["local", "dashboard", "load_manager"]}
    for key, value in mine.items():
        file.set("actuator", "relays", "heater", key, to=value)
    file.save()
    ask_relays(Scripted({"Name of a relay": "heater", "a fridge, a freezer": "yes", "Try": "no", "May the page": "no"}), table.file())
    assert table.values()["actuator"]["relays"]["heater"] == {**mine, "safe": "off", "allow": ["local", "load_manager"]}
    ask_relays(Scripted({"Name of a relay": "heater", "Which state": "on", "Try": "no"}), table.file())
    heater = table.values()["actuator"]["relays"]["heater"]
    assert (heater["safe"], heater["resting"], heater["min_off_s"], heater["max_away_s"]) == ("on", "on", 900, 3_600)
    assert "max_on_s" not in heater


def test_pins(table: Table) -> None:
    """The meter's, another relay's, and one that is ON at boot; on a computer without pins nothing is switched by trying."""
    talk = Scripted({
        "hang on": "gpio", "Name of a relay": ["heater", "bulb"], "Pin": ["14", "24", "24", "23"], "Which level": ["low", "high"],
        "Try": ["no", "no"], "Which state": ["off", "off"], "May the page": ["no", "yes"],
    })  # fmt: skip
    ask_relays(talk, table.file())
    assert "BCM 14 can't drive a relay" in talk.text
    assert "BCM 24 drives heater already" in talk.text
    assert "this relay is ON until the actuator starts" in talk.text
    relays = table.values()["actuator"]["relays"]
    assert (relays["heater"]["pin"], relays["bulb"]["pin"], relays["heater"]["allow"]) == (24, 23, ["local"])


def test_another_board_takes_no_relays_away_unasked(table: Table) -> None:
    """They stay with their board, unless the person says that they may go."""
    ask_relays(Scripted({"hang on": "simulated", "Name of a relay": "bulb", "Try": "no"}), table.file())
    ask_relays(Scripted({"hang on": "tasmota"}), table.file())
    assert table.values()["actuator"].keys() == {"board", "relays"}
    assert table.values()["actuator"]["board"] == "simulated"
    ask_relays(Scripted({"hang on": "tasmota", "Take them out": "yes"}), table.file())
    assert table.values()["actuator"] == {"board": "tasmota"}


def test_a_compressor_is_protected(table: Table) -> None:
    """A freezer is safe ON, has its minimum off time, and is not tried unless a lamp stands in its place."""
    talk = Scripted({"hang on": "simulated", "Name of a relay": "freezer", "a fridge, a freezer": "yes", "Try": "yes"})
    ask_relays(talk, table.file())
    freezer = table.values()["actuator"]["relays"]["freezer"]
    assert (freezer["safe"], freezer["min_off_s"]) == ("on", 600)
    assert "must not be switched for seconds" in talk.text
    assert "freezer is OFF" not in talk.text


def test_the_actuators_own_rules_hold_while_trying(tmp_path: Path) -> None:
    """A relay that has had its switches of this hour is not switched, and the audit trail shows who asked."""
    settings = ActuatorSettings.read({"relays": {"bulb": {"max_switches_per_hour": 3}}}, {})
    told: list[str] = []
    try_relay(settings, tmp_path, "home", "bulb", told.append)
    assert told == ["ON", "OFF"]
    with pytest.raises(Refused, match="switches of this hour"):
        try_relay(settings, tmp_path, "home", "bulb", told.append)
    nobody = ActuatorSettings.read({"relays": {"bulb": {"allow": ["dashboard"]}}}, {})
    with pytest.raises(Refused, match="local may not switch"):
        try_relay(nobody, tmp_path / "other", "home", "bulb", told.append)


def test_a_board_that_breaks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pin that another program holds: the library's own exception becomes a sentence."""

    def broken(*_: object) -> None:
        raise RuntimeError("GPIO busy")

    monkeypatch.setattr("services.actuator.trying.board_of", broken)
    with pytest.raises(OSError, match="GPIO busy"):
        try_relay(ActuatorSettings.read({"relays": {"bulb": {}}}, {}), tmp_path, "home", "bulb", lambda _: None)


@pytest.mark.parametrize(
    ("answers", "tariff"),
    [
        ({"Which tariff": "flat", "Price of a kWh": ["27p", "0,27"]}, {"kind": "flat", "per_kwh": 0.27, "standing_charge_per_day": 0}),
        (
            {"Which tariff": "day_night", "begins": "23:30"},
            {"kind": "day_night", "day_per_kwh": 0.3, "night_per_kwh": 0.12, "night_from": "23:30", "night_to": "07:30",
             "standing_charge_per_day": 0},
        ),
        ({"Which tariff": "none"}, None),
    ],
)  # fmt: skip
def test_the_tariff(table: Table, answers: dict[str, str | list[str]], tariff: dict[str, object] | None) -> None:
    """Prices with a comma are taken, pence are not."""
    ask_tariff(Scripted(answers), table.file())
    assert table.values().get("recorder", {}).get("tariff") == tariff


def test_a_phone_by_ntfy(table: Table) -> None:
    """A topic that can be guessed is refused; a server that is away is told, and what was written stays."""
    server = f"http://127.0.0.1:{free_port()}"
    table.path.write_text(f"{table.path.read_text()}notifier: {{ntfy: {{base_url: '{server}'}}}}\n")
    talk = Scripted({"By which way": "ntfy", "Topic": ["home", "our-home-8421"]})
    ask_phone(talk, table.file())
    assert "our-home-8421: " in talk.said[-1]
    assert "Try again later." in talk.said[-1]
    assert table.values()["notifier"]["recipients"]["me"] == {"ntfy": "our-home-8421", "quiet_hours": "22:00-07:00"}


def test_who_wants_no_messages_gets_none(table: Table) -> None:
    """An address that stands there is taken out; whoever changes to ntfy gets no text messages any more."""
    table.path.write_text(f"{table.path.read_text()}notifier: {{recipients: {{me: {{sms: '+447700900123'}}, her: {{ntfy: her-topic}}}}}}\n")
    ask_phone(Scripted({"By which way": "ntfy", "Topic": "our-home-8421", "Send a test": "no"}), table.file())
    assert table.values()["notifier"]["recipients"]["me"] == {"ntfy": "our-home-8421", "quiet_hours": "22:00-07:00"}
    ask_phone(Scripted({"By which way": "none", "Shall that end": "no"}), table.file())
    assert table.values()["notifier"]["recipients"].keys() == {"me", "her"}
    ask_phone(Scripted({"By which way": "none"}), table.file())
    assert table.values()["notifier"]["recipients"].keys() == {"her"}


def test_what_stands_wrongly_in_the_file_is_written_over(table: Table) -> None:
    """A line where a part belongs is a mistake that setting up mends, and no crash."""
    table.path.write_text(f"{table.path.read_text()}notifier: {{recipients: {{me: 7}}}}\nactuator: {{relays: {{bulb: 5}}}}\n")
    ask_phone(Scripted({"By which way": "ntfy", "Topic": "our-home-8421", "Send a test": "no"}), table.file())
    ask_relays(Scripted({"Name of a relay": "bulb", "Try": "no"}), table.file())
    assert table.values()["notifier"]["recipients"]["me"]["ntfy"] == "our-home-8421"
    assert table.values()["actuator"]["relays"]["bulb"]["safe"] == "off"


def test_a_home_that_leaves_the_cloud_is_shown_there_no_more(table: Table) -> None:
    """A no takes username and key out, and nothing else."""
    (table.folder / "key").write_text("k" * 32)
    section = f"{{username: me, key_file: '{table.folder / 'key'}', group: house}}"
    table.path.write_text(f"{table.path.read_text()}bridge_adafruit: {section}\n")
    ask_adafruit(Scripted({"Shall the home be shown": "no"}), table.file())
    assert table.values()["bridge_adafruit"] == {"group": "house"}


def test_the_bridge_is_called_where_it_is() -> None:
    """An installation without it leaves the step out."""
    assert not is_there("services.no_such_bridge.command")
    assert is_there("services.sensor.command")


@pytest.mark.long
async def test_a_phone_by_sms(table: Table) -> None:
    """The token goes into a file of mode 0600 that hems.yaml names, and a test message is sent through the account."""
    async with running_twilio() as twilio:
        file = table.file()
        file.set("notifier", "twilio", "base_url", to=twilio.url)
        file.save()
        numbers = {"Your number": ["07700900123", "+44 7700 900123"], "number of the account": FROM_NUMBER}
        talk = Scripted({"By which way": "sms", "Account SID": ["AC1", ACCOUNT_SID], "Auth token": AUTH_TOKEN, **numbers})
        await asyncio.to_thread(ask_phone, talk, table.file())
        assert twilio.violations == []
        assert len(twilio.bodies("+447700900123")) == 1
    assert "Twilio took it" in talk.text
    assert AUTH_TOKEN not in table.path.read_text()
    account = Configuration.load(table.path).section(NotifierSettings, {}).twilio.account()
    assert account is not None
    assert account.password == AUTH_TOKEN
    assert (table.folder / "var/secrets/twilio_auth_token").stat().st_mode & 0o777 == 0o600
