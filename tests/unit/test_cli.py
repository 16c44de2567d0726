"""The `hems` command."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from services.check_config import mistakes
from services.cli import main

ROOT = Path(__file__).parents[2]
NAMES = main.list_commands(click.Context(main))


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself(name: str) -> None:
    """`--help` works, says what the command is for, and has an example."""
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) > 4
    assert re.search(rf"Example: [^ ]*(?: [^ ]*/)?hems {name}", " ".join(result.output.split()))


def test_nothing_heavy_is_imported_to_show_the_list() -> None:
    """`hems --help` is quick: no service's libraries are loaded."""
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, services.cli; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "sqlalchemy", "nicegui", "onnxruntime", "twilio"} & set(loaded.stdout.split())


def test_an_unknown_command_is_named() -> None:
    """A misspelt command ends with status 2 and its name."""
    result = CliRunner().invoke(main, ["wacht"])
    assert result.exit_code == 2
    assert "wacht" in result.output


@pytest.mark.parametrize("file", ["hems.example.yaml", "services/supervisor/demo.yaml"])
def test_the_shipped_configurations_have_no_mistakes(file: str) -> None:
    """What people copy is right."""
    assert mistakes(ROOT / file) == []


def test_every_mistake_is_named_with_its_line_and_key(tmp_path: Path) -> None:
    """Wrong values, unknown keys and unknown sections are all found in one run."""
    file = tmp_path / "hems.yaml"
    file.write_text("home: {id: 'A B'}\nsensr: {}\nsensor:\n  meter:\n    baud: fast\n    por: x\n")
    result = CliRunner().invoke(main, ["check-config", str(file)])
    assert result.exit_code == 78
    lines = result.output.splitlines()
    for place in (
        f"{file}:1: home.id:",
        f"{file}:2: sensr: no such section",
        f"{file}:5: sensor.meter.baud:",
        f"{file}:6: sensor.meter.por:",
    ):
        assert any(line.startswith(place) for line in lines), result.output
    assert lines[-1] == "4 mistakes"
