"""`python3 -m scripts.lock [--upgrade]`: pyproject.toml's dependencies, resolved for every platform, with hashes."""

import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.tell import ROOT, Failed, run, tell
from scripts.uv import find_uv, uv_environment

_REQUIREMENTS = ROOT / "requirements"
_ADVICE = "check pyproject.toml and the network, and run this again"
_UV = "uv>=0.8"
_OPTIONAL = ("openadr",)
"""Extras that `make run` does without."""


def lock(*options: str) -> None:
    """Write every lock file. Versions that still fit are kept, unless `--upgrade` is given."""
    project = str(ROOT / "pyproject.toml")
    _compile("run", [project, *_each("--extra", *(extra for extra in _extras() if extra not in _OPTIONAL))], options)
    _compile("dev", [project, "--all-extras", *_each("--group", "dev", "bench", "browser"), *_versions_of("run")], options)
    for image in images():
        _compile(f"images/{image}", [project, "--extra", image, *_versions_of("dev" if image in _OPTIONAL else "run")], options)
    _compile("training", [project, *_each("--extra", "disaggregator", "replay", "cli"), "--group", "training"], options)
    _compile_list("build", tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"], options)
    _compile_list("uv", [_UV], options)


def images() -> list[str]:
    """The extras that containers are made of, a lock file each: an image holds only what its own service needs."""
    return [extra for extra in _extras() if extra != "cli"]


def _extras() -> list[str]:
    extras: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return list(extras)


def _versions_of(name: str) -> list[str]:
    return ["--constraints", str(_REQUIREMENTS / f"{name}.txt")]


def _each(option: str, *values: str) -> list[str]:
    return [argument for value in values for argument in (option, value)]


def _compile(name: str, sources: list[str], options: tuple[str, ...]) -> None:
    tell(f"  … requirements/{name}.txt")
    form = ["--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-emit-index-url"]
    command = [find_uv(), "pip", "compile", *form, *sources, *options, "--output-file", f"requirements/{name}.txt"]
    run(command, advice=_ADVICE, environment=uv_environment())


def _compile_list(name: str, requirements: list[str], options: tuple[str, ...]) -> None:
    with TemporaryDirectory() as folder:
        listed = Path(folder) / f"{name}.in"
        listed.write_text("\n".join(requirements))
        _compile(name, ["--no-annotate", str(listed)], options)


if __name__ == "__main__":
    try:
        lock(*sys.argv[1:])
    except Failed as failure:
        sys.exit(f"make: {failure}")
