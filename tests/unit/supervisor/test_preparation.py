"""What containers find when they start."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from hems.actor.configuration import Configuration
from hems.actor.settings import BrokerSettings, ClockSettings
from hems.contracts.access import USERS
from services.replay.command import DEMO
from services.replay.parquet_file import read_recording
from services.supervisor.plan import DEMO_CONFIGURATION
from services.supervisor.preparation import Preparation, Unprepared, demo_configuration
from services.supervisor.prepare_command import prepare

OWNERS = {name: os.getuid() for name in ("sensor", "notifier", "recorder", "broker", "tls", "postgres")}


def preparation(folder: Path, **wishes: object) -> Preparation:
    """A preparation whose files belong to whoever runs the tests."""
    given: Mapping[str, object] = {"certificate_names": ("localhost",), **wishes}
    return Preparation(folder / "prepared", folder / "state", folder / "person", OWNERS, **given)  # type: ignore[arg-type]


def persons_file(folder: Path, name: str, text: str) -> None:
    """What a person has written."""
    path = folder / "person" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_restart_keeps_passwords_and_certificate(tmp_path: Path) -> None:
    """The second start finds, and leaves, what the first has made."""
    preparation(tmp_path).prepare()
    files = [path for path in (tmp_path / "prepared").rglob("*") if path.is_file() and path.name != "passwords"]
    before = {path: path.read_bytes() for path in files}
    preparation(tmp_path).prepare()
    assert {path: path.read_bytes() for path in files} == before
    assert len(before) > len(USERS)


def test_each_service_reads_its_own_password_and_no_other(tmp_path: Path) -> None:
    """Every user of the broker has a random password, in a folder that only its owner may enter."""
    prepared = preparation(tmp_path)
    prepared.prepare()
    assert len({prepared.password(user) for user in USERS}) == len(USERS)
    folders = [prepared.secrets(user) for user in USERS]
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o500}
    assert {file.stat().st_mode & 0o777 for folder in folders for file in folder.iterdir()} == {0o400}


def test_a_service_finds_its_password_as_a_setting(tmp_path: Path) -> None:
    """The file's name is the setting's: `with-secrets` hands it over as HEMS_BROKER__PASSWORD_FILE."""
    prepared = preparation(tmp_path)
    prepared.prepare()
    (file,) = prepared.secrets("sensor").iterdir()
    settings = BrokerSettings.read({}, {f"{file.name}_FILE": str(file)})
    assert settings.password is not None
    assert settings.password.get_secret_value() == prepared.password("sensor")


def test_a_persons_secret_reaches_the_service_that_it_is_named_after(tmp_path: Path) -> None:
    """`secrets/HEMS_NOTIFIER__…` goes to the notifier; the configuration is copied as it is."""
    persons_file(tmp_path, "secrets/HEMS_NOTIFIER__TWILIO__AUTH_TOKEN", "planted\n")
    persons_file(tmp_path, "hems.yaml", "home: {id: mine}\n")
    prepared = preparation(tmp_path)
    prepared.prepare()
    assert (prepared.secrets("notifier") / "HEMS_NOTIFIER__TWILIO__AUTH_TOKEN").read_text() == "planted"
    assert (tmp_path / "prepared" / "hems.yaml").read_text() == "home: {id: mine}\n"


def test_a_secret_that_belongs_to_nobody_is_named(tmp_path: Path) -> None:
    """A misspelt name is said, with what there is: a secret that is passed over in silence is looked for for hours."""
    persons_file(tmp_path, "secrets/HEMS_TWILIO__TOKEN", "planted")
    with pytest.raises(Unprepared, match=r"HEMS_TWILIO__TOKEN: no service has that secret; .*HEMS_NOTIFIER__"):
        preparation(tmp_path).prepare()


def test_postgres_has_a_password_that_the_recorder_knows(tmp_path: Path) -> None:
    """With the profile there are a password and an address with it; without it, the recorder keeps its own file."""
    prepared = preparation(tmp_path, postgres=True)
    prepared.prepare()
    address = prepared.secrets("recorder") / "HEMS_RECORDER__DATABASE"
    assert (prepared.secrets("postgres") / "password").read_text() in address.read_text()
    preparation(tmp_path).prepare()
    assert not address.exists()


def test_the_demo_begins_anew_where_the_recording_begins(tmp_path: Path) -> None:
    """Nothing of the last demo is left, and its clock starts where the demo's does, in the recording, so many times as fast."""
    (tmp_path / "state" / "recorder").mkdir(parents=True)
    (tmp_path / "state" / "recorder" / "history.db").write_text("old")
    preparation(tmp_path).prepare(demo_speed=60)
    assert list((tmp_path / "state" / "recorder").iterdir()) == []
    clock = Configuration.load(tmp_path / "prepared" / "hems.yaml").section(ClockSettings, {})
    home = read_recording(DEMO)
    assert clock.epoch == Configuration.load(DEMO_CONFIGURATION).section(ClockSettings, {}).epoch
    assert clock.epoch is not None
    assert home.first < clock.epoch < home.last
    assert clock.rate == 60
    assert clock.anchor_s > time.monotonic()


def test_a_demo_that_runs_is_left_alone(tmp_path: Path) -> None:
    """A second start while the sensor writes changes nothing; once it has written nothing for a while, the demo begins anew."""
    assert preparation(tmp_path).prepare(demo_speed=20)
    database = tmp_path / "state" / "sensor" / "sensor.db"
    database.write_text("readings")
    assert not preparation(tmp_path).prepare(demo_speed=20)
    assert database.read_text() == "readings"
    os.utime(database, (0, 0))
    assert preparation(tmp_path).prepare(demo_speed=20)
    assert not database.exists()


def test_the_demo_is_given_its_past_anew_at_each_start(tmp_path: Path) -> None:
    """The recorder finds the days before the demo as its own history; without a past it finds none, and the demo begins all the same."""
    past, history = tmp_path / "past.db", tmp_path / "state/recorder/home/history.db"
    past.write_bytes(b"three days")
    assert preparation(tmp_path, demo_past=past).prepare(demo_speed=20)
    assert history.read_bytes() == b"three days"
    assert (history.stat().st_mode & 0o777, history.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    history.write_bytes(b"three days and what came since")
    assert preparation(tmp_path, demo_past=past).prepare(demo_speed=20)
    assert history.read_bytes() == b"three days"
    assert preparation(tmp_path, demo_past=tmp_path / "none").prepare(demo_speed=20)
    assert not history.exists()


def test_a_demo_switches_nothing_real_and_asks_for_no_password() -> None:
    """Its relays are simulated, and its page is for this computer alone."""
    home = yaml.safe_load(demo_configuration(20, 0))
    assert home["actuator"]["board"] == "simulated"
    assert home["dashboard"] == {"demo": True, "reached_at": "127.0.0.1"}


def test_the_command_prepares_and_shows_the_account(tmp_path: Path) -> None:
    """`hems prepare` takes names with commas between, and `--show-account` prints what an MQTT client needs."""
    folder = str(tmp_path / "prepared")
    done = CliRunner().invoke(prepare, ["--directory", folder, "--tls-name", "localhost,127.0.0.1", "--owner", f"sensor={os.getuid()}"])
    assert done.exit_code == 0, done.output
    shown = CliRunner().invoke(prepare, ["--directory", folder, "--show-account"]).output
    password = (tmp_path / "prepared/secrets/client/HEMS_BROKER__PASSWORD").read_text()
    assert f"MQTT_USER=client\nMQTT_PASSWORD={password}\n" in shown
    assert "give each as NAME=NUMBER" in CliRunner().invoke(prepare, ["--owner", "sensor"]).output
