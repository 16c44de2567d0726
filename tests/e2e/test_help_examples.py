"""The example in a command's `--help` works as it stands there, save that its port is a pty."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from services.cli import main
from tests.support import fake_meters
from tests.support.broker import free_port
from tests.support.fake_meters import FakeMeter

ANSWERS = {"calibrate power": "\n\n\nyes\n", "setup": "\n\nnone\nno\n"}
EXPECTED = {
    "detect": (0, "a voltage sensor (zmpt101b)"),
    "setup": (0, "hems.yaml is ready"),
    "calibrate": (0, "sensor.voltage.scale"),
    "calibrate voltage": (0, "sensor.voltage.scale"),
    "calibrate power": (1, "the power rose by"),
    "calibrate undo": (0, "sensor.voltage.scale"),
    "doctor": (0, "report.tar.gz is for a bug report"),
    "record": (0, "written to meter.jsonl"),
}
"""What each comes to: a load that nobody switches on is refused."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a home in it, and its meters."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEMS_CONFIG", raising=False)
    meter = {"port": str(tmp_path / "meter"), "profile": "rpict3v1"}
    settings = {"broker": {"port": free_port()}, "sensor": {"meter": meter, "voltage": {"port": str(tmp_path / "voltage")}}}
    (tmp_path / "hems.yaml").write_text(yaml.safe_dump(settings))
    with (
        FakeMeter(tmp_path / "meter", 38_400, fake_meters.rpict3v1(), every_s=0.01),
        FakeMeter(tmp_path / "voltage", 115_200, fake_meters.zmpt101b(225.0), every_s=0.01),
    ):
        yield tmp_path


def example(name: str) -> list[str]:
    """The words of the example in its help, after `hems`."""
    helped = " ".join(CliRunner().invoke(main, [*name.split(), "--help"], terminal_width=200).output.split())
    found = re.search(rf"Example: hems ({name}[^.]*(?:\.[^ .]+)*[^.]*?)(?: (?:Options|Commands):|$)", helped)
    assert found, helped
    return found[1].split()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_example_works(name: str, home: Path) -> None:
    """It is run as it stands."""
    port = str(home / "voltage")
    words = [port if word.startswith("/dev/") else word for word in example(name)]
    limits = {"record": ["--for", "0.3"], "doctor": ["--listen", "1"]}.get(name, [])
    if name == "calibrate undo":
        CliRunner().invoke(main, ["calibrate", "voltage", "231.4", "--yes"])
    result = CliRunner().invoke(main, [*words, *limits], input=ANSWERS.get(name, "yes\n"))
    status, said = EXPECTED[name]
    assert (result.exit_code, said in result.output) == (status, True), result.output


def test_every_command_of_the_first_hour_is_tried() -> None:
    """A subcommand that is added gets an example, too."""
    group = main.get_command(click.Context(main), "calibrate")
    assert isinstance(group, click.Group)
    assert {name.removeprefix("calibrate ") for name in EXPECTED if name.startswith("calibrate ")} == set(group.commands)


def every_command(group: click.Group = main, above: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Each command and each of its subcommands, by name."""
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield " ".join((*above, name)), command
        if isinstance(command, click.Group):
            yield from every_command(command, (*above, name))


@pytest.mark.parametrize("name", [name for name, _ in every_command()])
def test_every_example_can_be_typed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command of the program has one, whose options and arguments are those that it takes; nothing is run."""
    command, helped = dict(every_command())[name], CliRunner().invoke(main, [*name.split(), "--help"], terminal_width=200).output
    found = re.search(r"Example: (?:sudo )?(?:\S*/)?hems ([^\n]+)", helped)
    assert found, helped
    words = found[1].partition(" > ")[0].split()
    assert words[: len(name.split())] == name.split()
    monkeypatch.chdir(tmp_path)
    for word in words:
        if "." in word and "/" not in word:
            (tmp_path / word).touch()
    try:
        command.make_context(name, words[len(name.split()) :]).close()
    except click.BadParameter as error:
        if "does not exist" not in error.message:  # a file of the example's computer is missing here, and nothing else is wrong
            raise
