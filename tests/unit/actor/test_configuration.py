"""One hems.yaml, the environment over it, and mistakes that say where they are."""

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.settings import BrokerSettings, ClockSettings, HomeSettings, Section, StorageSettings
from services.supervisor.broker_configuration import base_configuration


class Meter(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str = "/dev/a"
    baud: int = 9_600
    log_file: str | None = None


class Example(Section):
    section: ClassVar[str] = "example"

    token: SecretStr | None = None
    pin: SecretStr = Field(default=SecretStr("0000"), min_length=4)
    meter: Meter = Meter()
    meters: dict[str, Meter] = {}
    channels: list[int] = [1]


def _configuration(folder: Path, text: str) -> Configuration:
    path = folder / "hems.yaml"
    path.write_text(text)
    return Configuration.load(path)


def _mistakes(folder: Path, text: str, environment: dict[str, str] | None = None, kind: type[Section] = Example) -> list[Mistake]:
    with pytest.raises(ConfigurationError) as caught:
        _configuration(folder, text).section(kind, environment or {})
    return list(caught.value.mistakes)


def _places(mistakes: list[Mistake]) -> list[tuple[int | None, str]]:
    return [(mistake.line, mistake.key) for mistake in mistakes]


def test_everything_has_a_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With no file, every general section is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEMS_CONFIG", raising=False)
    configuration = Configuration.load()
    assert configuration.section(HomeSettings, {}).id == "home"
    assert configuration.section(BrokerSettings, {}).port == 18_883
    assert configuration.section(ClockSettings, {}).epoch is None


def test_the_environment_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HEMS_CONFIG says where it is; hems.yaml here comes next."""
    (tmp_path / "hems.yaml").write_text("home: {id: here}")
    (tmp_path / "other.yaml").write_text("home: {id: other}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEMS_CONFIG", "")
    assert Configuration.load().section(HomeSettings, {}).id == "here"
    monkeypatch.setenv("HEMS_CONFIG", "other.yaml")
    assert Configuration.load().section(HomeSettings, {}).id == "other"


def test_the_environment_goes_over_the_file_key_by_key(tmp_path: Path) -> None:
    """A nested key is replaced alone; its neighbours stay as the file has them."""
    configuration = _configuration(tmp_path, "example:\n  meter: {port: /dev/b, baud: 1200}\n")
    settings = configuration.section(Example, {"HEMS_EXAMPLE__METER__PORT": "/dev/c", "HEMS_OTHER__METER__PORT": "no"})
    assert settings.meter == Meter(port="/dev/c", baud=1_200)


def test_a_list_in_the_environment_is_json() -> None:
    """What is no single value is written as JSON."""
    assert Example.read({}, {"HEMS_EXAMPLE__CHANNELS": "[2, 3]"}).channels == [2, 3]


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    """`…_FILE` names a file; its last line end is not part of the secret. It works in a map of sections too."""
    (tmp_path / "token").write_text("s3cret\n")
    settings = Example.read(
        {}, {"HEMS_EXAMPLE__TOKEN_FILE": str(tmp_path / "token"), "HEMS_EXAMPLE__METERS__A__PORT_FILE": str(tmp_path / "token")}
    )
    assert settings.token is not None
    assert settings.token.get_secret_value() == "s3cret"
    assert settings.meters["a"].port == "s3cret"


def test_a_key_that_ends_so_is_no_secret_file() -> None:
    """Where the section has a key of that very name, the value is the value."""
    assert BrokerSettings.read({}, {"HEMS_BROKER__CA_FILE": "/etc/ca.pem"}).ca_file == "/etc/ca.pem"
    assert Example.read({}, {"HEMS_EXAMPLE__METER__LOG_FILE": "/var/log/meter"}).meter.log_file == "/var/log/meter"


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("example:\n  meter:\n    baud: fast\n", [(3, "example.meter.baud")]),
        ("example:\n  meter:\n    bauds: 1\n", [(3, "example.meter.bauds")]),
        ("example:\n\n  metre: {}\n  channels: [1, x]\n", [(4, "example.channels.1"), (3, "example.metre")]),
        ("example:\n  channels:\n    - 1\n    - {}\n", [(4, "example.channels.1")]),
        ("example:\n  meter: 7\n", [(2, "example.meter")]),
        ("example: [1]\n", [(1, "example")]),
        ("home: {}\nexample: 3\n", [(2, "example")]),
        ("example:\n  1: 2\n", [(2, "example.1")]),
        ("example:\n  on: 2\n", [(1, "example.True")]),
        ("example: &all\n  meter: *all\n", [(None, "file")]),
    ],
)
def test_every_mistake_has_its_line_and_key(tmp_path: Path, text: str, places: list[tuple[int | None, str]]) -> None:
    """Wrong types and unknown keys are named where they stand."""
    mistakes = _mistakes(tmp_path, text)
    assert sorted(_places(mistakes), key=str) == sorted(places, key=str)
    assert all(mistake.file == str(tmp_path / "hems.yaml") for mistake in mistakes)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("example: {channels: [1]}\nhome: {id: x}\nexample: {channels: [2]}\n", [(3, "example")]),
        ("example:\n  meter:\n    port: /dev/a\n    baud: 1\n    port: /dev/b\n", [(5, "example.meter.port")]),
        ("example:\n  list: [{a: 1, a: 2}]\nother: {}\nother: {}\n", [(2, "example.list.0.a"), (4, "other")]),
    ],
)
def test_what_stands_twice_is_a_mistake(tmp_path: Path, text: str, places: list[tuple[int | None, str]]) -> None:
    """YAML would take the last and say nothing, so that half of what a person wrote does not count."""
    mistakes = _mistakes(tmp_path, text)
    assert _places(mistakes) == places
    assert all("already" in mistake.message for mistake in mistakes)


def test_a_mistake_reads_as_an_editor_can_follow_it(tmp_path: Path) -> None:
    """file:line: key: what is wrong."""
    (mistake,) = _mistakes(tmp_path, "example:\n  metre: {}\n")
    assert str(mistake) == f"{tmp_path / 'hems.yaml'}:2: example.metre: no such key"
    (mistake,) = _mistakes(tmp_path, "example:\n  meter: /dev/ttyUSB0\n")
    assert mistake.message == "has keys of its own: they go below it, indented"
    (mistake,) = _mistakes(tmp_path, "home: {time_zone: Mars}\n", kind=HomeSettings)
    assert mistake.message == "'Mars' is not a time zone; one is 'Europe/London'"


@pytest.mark.parametrize(
    "text", ["home: [", "home: {id: }}", "a: b: c", "\tx: 1", "home: {when: 2025-13-45}", "a: *b", "\x00", "home: !!python/object:os {}"]
)
def test_what_is_not_yaml_is_said_so(tmp_path: Path, text: str) -> None:
    """Whatever stands in the file, the answer is a mistake and not a crash."""
    with pytest.raises(ConfigurationError, match="is not YAML"):
        _configuration(tmp_path, text)


@pytest.mark.parametrize("text", ["- home\n", "home\n", "7\n"])
def test_a_file_without_sections_is_a_mistake(tmp_path: Path, text: str) -> None:
    """A list or a word is no configuration."""
    with pytest.raises(ConfigurationError, match="holds no sections"):
        _configuration(tmp_path, text)


def test_an_empty_file_or_section_is_all_defaults(tmp_path: Path) -> None:
    """Nothing but comments leaves everything as it is."""
    assert _configuration(tmp_path, "# nothing\n").section(Example, {}) == Example.read({}, {})
    assert _configuration(tmp_path, "example:\n  # nothing\n").section(Example, {}) == Example.read({}, {})


def test_a_missing_or_unreadable_file_is_a_mistake(tmp_path: Path) -> None:
    """A file that was named must be there, and be text."""
    with pytest.raises(ConfigurationError, match="can't be read"):
        Configuration.load(tmp_path / "none.yaml")
    (tmp_path / "hems.yaml").write_bytes(b"home: \xff\xfe")
    with pytest.raises(ConfigurationError, match="can't be read"):
        Configuration.load(tmp_path / "hems.yaml")


def test_a_misspelt_section_is_found(tmp_path: Path) -> None:
    """A section that no service reads is named, with its line."""
    configuration = _configuration(tmp_path, "home: {}\nsenser: {}\n")
    (mistake,) = configuration.unknown_sections(["home", "sensor"])
    assert (mistake.line, mistake.key) == (2, "senser")
    assert "home, sensor" in mistake.message


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HEMS_EXAMPLE__METER__BAUD", "fast"),
        ("HEMS_EXAMPLE__METRE__BAUD", "1"),
        ("HEMS_EXAMPLE__METER__BAUDS", "1"),
        ("HEMS_EXAMPLE__TOKEN_FILE", "/nowhere/token"),
        ("HEMS_EXAMPLE__TOKEN_FILE", "/"),
        ("HEMS_EXAMPLE__METRE_FILE", "/etc/hostname"),
    ],
)
def test_a_mistake_in_the_environment_names_its_variable(tmp_path: Path, variable: str, value: str) -> None:
    """It is not blamed on the file, even where the file has that key."""
    (mistake,) = _mistakes(tmp_path, "example:\n  meter: {baud: 1200}\n", {variable: value})
    assert (mistake.file, mistake.line, mistake.key) == ("environment", None, variable)


def test_a_secret_file_that_is_no_text_is_a_mistake(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are said to be so."""
    (tmp_path / "token").write_bytes(b"\xff\xfe\x00")
    (mistake,) = _mistakes(tmp_path, "", {"HEMS_EXAMPLE__TOKEN_FILE": str(tmp_path / "token")})
    assert "not text" in mistake.message


def test_json_that_is_none_is_a_mistake(tmp_path: Path) -> None:
    """A variable that should hold a list, and doesn't, is no crash."""
    (mistake,) = _mistakes(tmp_path, "", {"HEMS_EXAMPLE__CHANNELS": "[1"})
    assert mistake.file == "environment"
    assert "channels" in mistake.message


def test_a_secret_never_shows(tmp_path: Path) -> None:
    """Neither a mistake nor the settings themselves show it, wherever it came from."""
    (tmp_path / "pin").write_text("s3c")
    said = [
        str(_mistakes(tmp_path, "example: {pin: s3c, token: {s3c: 1}}\n")),
        str(_mistakes(tmp_path, "", {"HEMS_EXAMPLE__PIN": "s3c"})),
        str(_mistakes(tmp_path, "", {"HEMS_EXAMPLE__PIN_FILE": str(tmp_path / "pin")})),
        repr(Example.read({"token": "s3c"}, {})),
    ]
    assert not [text for text in said if "s3c" in text]


def test_time_zones_and_ids_are_checked(tmp_path: Path) -> None:
    """What would break every topic or every tariff is refused at the start."""
    text = "home:\n  id: My Home\n  time_zone: Europe/Lundon\n"
    assert _places(_mistakes(tmp_path, text, kind=HomeSettings)) == [(2, "home.id"), (3, "home.time_zone")]


def test_rows_are_kept_for_twice_the_brokers_autosave() -> None:
    """What a killed broker forgot can still be said again: the two settings belong together."""
    autosave_s = next(int(line.split()[1]) for line in base_configuration().splitlines() if line.startswith("autosave_interval "))
    assert StorageSettings.read({}, {}).keep_said_s >= 2 * autosave_s
