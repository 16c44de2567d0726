"""Changing `hems.yaml`: what people wrote stays, and nothing is written that has mistakes."""

from pathlib import Path

import pytest
import yaml

from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.settings import BrokerSettings, HomeSettings
from hems.setting_up.configuration_file import ConfigurationFile
from hems.setting_up.private_file import write_private

WRITTEN = """\
# My home.
home:
  id: cottage   # as on the door
  currency: 'EUR'

# the attic's
broker: {host: 10.0.0.2, port: 1883}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file as a person wrote it."""
    path = tmp_path / "hems.yaml"
    path.write_text(WRITTEN)
    return path


def test_comments_order_and_quotes_stay(path: Path) -> None:
    """Only what is set changes."""
    file = ConfigurationFile(path)
    file.set("broker", "port", to=18_883)
    file.save(BrokerSettings)
    assert path.read_text() == WRITTEN.replace("1883}", "18883}")


def test_a_file_that_was_not_there_is_made(tmp_path: Path) -> None:
    """The sections that are set, and what each value means to the services."""
    file = ConfigurationFile(tmp_path / "hems.yaml")
    file.set("home", "id", to="cottage")
    file.set("notifier", "recipients", "me", to={"sms": "+447700900123", "quiet_hours": "22:00-07:00"})
    file.save(HomeSettings)
    assert yaml.safe_load(file.path.read_text()) == {
        "home": {"id": "cottage"},
        "notifier": {"recipients": {"me": {"sms": "+447700900123", "quiet_hours": "22:00-07:00"}}},
    }


@pytest.mark.parametrize("text", ["22:00", "on", "off", "no", "1e3", "0x10", "null", "2024-01-01", "a: b", "# no", "[x]", "+44", ""])
def test_a_text_is_read_back_as_the_same_text(text: str, tmp_path: Path) -> None:
    """The services read YAML 1.1, in which `22:00` is a number and `off` is false."""
    file = ConfigurationFile(tmp_path / "hems.yaml")
    file.set("home", "id", to=text)
    assert yaml.safe_load(file.text()) == {"home": {"id": text}}


def test_mistakes_are_not_written(path: Path) -> None:
    """The file stays as it was, and the mistake is named."""
    file = ConfigurationFile(path)
    file.set("home", "id", to="My Home")
    with pytest.raises(ConfigurationError, match=r"hems.yaml:3: home.id"):
        file.save(HomeSettings)
    assert path.read_text() == WRITTEN
    assert [entry.name for entry in path.parent.iterdir()] == ["hems.yaml"]


def test_what_is_no_configuration_is_refused(tmp_path: Path) -> None:
    """A list, or no YAML at all, is not written over."""
    for text in ("- a\n", "home: [\n"):
        (tmp_path / "hems.yaml").write_text(text)
        with pytest.raises(ConfigurationError):
            ConfigurationFile(tmp_path / "hems.yaml")


def test_values_are_taken_out(path: Path) -> None:
    """One that is not there is no failure."""
    file = ConfigurationFile(path)
    file.remove("home", "currency")
    file.remove("sensor", "meter", "port")
    assert file.get("home") == {"id": "cottage"}
    assert file.get("home", "id", "x") is None


def test_the_files_rights_stay_and_a_secrets_file_is_private(path: Path) -> None:
    """A group that may read hems.yaml still may; a secret is its owner's alone, also where the file was there."""
    path.chmod(0o664)
    file = ConfigurationFile(path)
    file.set("home", "id", to="hut")
    file.save(HomeSettings)
    assert path.stat().st_mode & 0o777 == 0o664
    secret = path.parent / "secrets" / "token"
    for text in ("one", "two"):
        write_private(secret, text)
        assert (secret.read_text(), secret.stat().st_mode & 0o777) == (text, 0o600)


def test_hems_yaml_names_a_secrets_file(path: Path) -> None:
    """`password_file` in the file is read as `password`; one that can't be read is named with its line."""
    write_private(path.parent / "password", "s3cret\n")
    path.write_text(f"broker:\n  password_file: {path.parent / 'password'}\n")
    password = Configuration.load(path).section(BrokerSettings, {}).password
    assert password is not None
    assert password.get_secret_value() == "s3cret"
    path.write_text("broker:\n  password_file: nowhere\n")
    with pytest.raises(ConfigurationError, match=r"hems.yaml:2: broker.password_file: the file nowhere can't be read: No such file"):
        Configuration.load(path).section(BrokerSettings, {})


def test_only_secrets_come_from_files(path: Path) -> None:
    """`host_file` is an unknown key: what is no secret belongs into hems.yaml itself."""
    path.write_text("broker:\n  host_file: x\n")
    with pytest.raises(ConfigurationError, match="host_file: no such key"):
        Configuration.load(path).section(BrokerSettings, {})


def test_the_environment_goes_over_a_secrets_file(path: Path) -> None:
    """As over any other key."""
    write_private(path.parent / "password", "file")
    path.write_text(f"broker: {{password_file: {path.parent / 'password'}}}\n")
    password = Configuration.load(path).section(BrokerSettings, {"HEMS_BROKER__PASSWORD": "environment"}).password
    assert password is not None
    assert password.get_secret_value() == "environment"
