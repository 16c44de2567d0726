"""The lock files: complete, hashed, and naming no host."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]
ALWAYS: list[str] = PROJECT["project"]["dependencies"]
OPTIONAL = {"openadr"}
RUN = ALWAYS + [one for name, extra in EXTRAS.items() for one in extra if name not in OPTIONAL]
LOCKS: dict[str, list[str]] = {
    "run": RUN,
    "dev": ALWAYS + [one for extra in EXTRAS.values() for one in extra] + GROUPS["dev"],
    "training": ALWAYS + GROUPS["training"],
    "build": PROJECT["build-system"]["requires"],
    "uv": [],
}


def locked(name: str) -> dict[str, set[str]]:
    """Each package's versions: more than one where platforms or Pythons differ."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", text(name), flags=re.MULTILINE):
        found.setdefault(package, set()).add(version)
    return found


def text(name: str) -> str:
    """A lock file."""
    return (ROOT / "requirements" / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", LOCKS)
def test_all_that_the_project_asks_for_is_locked_at_a_version_that_fits(name: str) -> None:
    """Each requirement of pyproject.toml stands in its lock file, within its bounds: else run `make lock`."""
    versions = locked(name)
    for requirement in map(Requirement, LOCKS[name]):
        assert versions.get(requirement.name.lower()), f"{requirement} is missing from requirements/{name}.txt"
        assert all(requirement.specifier.contains(version) for version in versions[requirement.name.lower()])


@pytest.mark.parametrize("name", LOCKS)
def test_every_version_has_hashes_and_no_file_names_a_host(name: str) -> None:
    """A package is taken for its hash, from wherever the computer gets its packages."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", text(name).strip())
    assert entries
    assert all(re.match(r"[A-Za-z0-9._-]+==\S+", entry) and "--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"https?://|--index|--find-links|@ file", text(name))


def test_what_runs_is_what_is_tested() -> None:
    """Every package has the same versions in run.txt and dev.txt."""
    dev = locked("dev")
    assert {name: versions for name, versions in locked("run").items() if dev.get(name) != versions} == {}


def test_neither_running_nor_testing_brings_tensorflow() -> None:
    """TensorFlow stands in training.txt alone."""
    assert "tensorflow" in locked("training")
    assert not {"tensorflow", "keras", "tf2onnx"} & (locked("run").keys() | locked("dev").keys())


def test_make_run_brings_no_openadr() -> None:
    """It is for those whose grid operator speaks it: `make setup` has it, and an image of its own."""
    assert "openleadr" in locked("dev").keys() & locked("images/openadr").keys()
    assert "openleadr" not in locked("run").keys() | locked("images/load_manager").keys()
