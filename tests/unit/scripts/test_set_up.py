"""The set-up that make does by itself. That it works on a bare machine is seen on one; here are its decisions."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import environment
from scripts.environment import prepare
from scripts.uv import uv_environment

ROOT = Path(__file__).parents[3]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What is installed, in order, in an environment of its own that is never really made."""
    purposes: list[str] = []

    def install(purpose: str) -> None:
        purposes.append(purpose)
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin/python").touch()

    monkeypatch.setattr(environment, "_FOLDERS", dict.fromkeys(("run", "dev"), tmp_path))
    monkeypatch.setattr(environment, "_install", install)
    return purposes


def test_a_second_call_installs_nothing(installed: list[str]) -> None:
    """What fits its lock file is left alone."""
    prepare("dev")
    prepare("dev")
    assert installed == ["dev"]


def test_a_32_bit_system_is_refused(installed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install instead, before anything is brought."""
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    with pytest.raises(environment.Failed, match="64-bit Raspberry Pi OS"):
        prepare("run")
    assert installed == []


def test_running_takes_nothing_from_a_development_environment(installed: list[str]) -> None:
    """`make run` after `make test` keeps the tools; `make test` after `make run` adds them."""
    prepare("run")
    prepare("dev")
    prepare("run")
    assert installed == ["run", "dev"]


def test_a_changed_lock_file_is_installed(installed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the fingerprint differs, the environment is made anew."""
    prepare("dev")

    def another(purpose: str) -> str:
        return f"{purpose} of another lock file\n"

    monkeypatch.setattr(environment, "_fingerprint", another)
    prepare("dev")
    assert installed == ["dev", "dev"]


def test_an_environment_whose_python_is_gone_is_made_anew(installed: list[str], tmp_path: Path) -> None:
    """A system upgrade that removes the Python of an environment does not leave it broken."""
    prepare("dev")
    (tmp_path / "bin/python").unlink()
    prepare("dev")
    assert installed == ["dev", "dev"]


def test_uv_stays_within_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """uv brings no Python, knows no active environment, and caches in the project unless the person says where."""
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    variables = uv_environment()
    assert variables["UV_PYTHON_DOWNLOADS"] == "never"
    assert "VIRTUAL_ENV" not in variables
    assert variables["UV_CACHE_DIR"] == str(ROOT / ".cache/packages")


def test_an_old_python_is_told_in_one_sentence() -> None:
    """An older Python says what to do, with no traceback."""
    program = "import sys; sys.version_info = (3, 10, 0); import scripts"
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr == "make: this Python is older than 3.11: say which one to take, such as `make PYTHON=python3.12 setup`\n"


def test_every_target_says_what_it_does() -> None:
    """`make` alone lists every target with a line about it."""
    phony = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    said = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [line.split()[0] for line in said.splitlines()[1:]] == phony.split()[1:]
    assert all(len(line.split()) > 2 for line in said.splitlines()[1:])
