"""Debian packages unpacked into a folder of the project: no root, nothing installed."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from scripts.tell import CACHE, Failed, run, tell

_WORK = CACHE / "debian"


def unpack(package: str, into: Path, *, advice: str) -> None:
    """Download a package and the libraries that this computer lacks for it, and lay their files under `into`.

    Raises:
        Failed: there is no apt, or it can't reach the package; `advice` says what else to do.
    """
    archives = _download(package, advice)
    into.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        run(["dpkg-deb", "--extract", archive, into], advice=advice)


def _download(package: str, advice: str) -> Sequence[Path]:
    folder = _WORK / package
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.deb"):
        old.unlink()
    own = _own_lists()
    # The computer's own package lists may be missing or too old: then a set of our own, perhaps there from last time.
    if not (_downloaded(package, folder, ()) or _downloaded(package, folder, own)):
        tell("  … reading Debian's package lists")
        run(["apt-get", *own, "-qq", "update"], advice=advice)
        if not _downloaded(package, folder, own):
            raise Failed(f"apt-get could not download {package}: {advice}")
    return sorted(folder.glob("*.deb"))


def _downloaded(package: str, folder: Path, options: Sequence[str]) -> bool:
    try:
        names = _missing(package, options)
        subprocess.run(["apt-get", *options, *_NO_SANDBOX, "-qq", "download", *names], cwd=folder, check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return False
    return True


def _missing(package: str, options: Sequence[str]) -> list[str]:
    """The package and those libraries of it that are not installed; other dependencies only matter to a system service."""
    simulated = subprocess.run(
        ["apt-get", *options, "--simulate", "--no-install-recommends", "install", package],
        check=True, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"},
    ).stdout  # fmt: skip
    to_install = re.findall(r"^Inst (\S+)", simulated, flags=re.MULTILINE)
    return [package, *(name for name in to_install if name.startswith("lib") and name != package)]


_NO_SANDBOX = ("-o", "APT::Sandbox::User=root")
"""Started by root, apt would become a user who may not write here."""


def _own_lists() -> list[str]:
    for name in ("lists/partial", "archives/partial"):
        (_WORK / name).mkdir(parents=True, exist_ok=True)
    folders = {"Dir::State::Lists": _WORK / "lists", "Dir::Cache": _WORK, "Dir::Cache::archives": _WORK / "archives"}
    return [*_NO_SANDBOX, *(f"-o{key}={folder}" for key, folder in folders.items())]
