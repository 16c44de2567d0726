"""`python3 -m scripts.environment run|dev|training`: a virtual environment with the locked packages, and Mosquitto.

Everything lies in the project's own `.venv` and `.cache`. A second call only compares fingerprints.
"""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from scripts.debian import unpack
from scripts.tell import CACHE, ROOT, Failed, run, tell
from scripts.uv import find_uv, uv_environment
from services.supervisor.mosquitto import BrokerNotFound, find_mosquitto

_FOLDERS = {"run": ROOT / ".venv", "dev": ROOT / ".venv", "training": CACHE / "training"}
_ADVICE = "check the network, and run this again"
_SMALL = (
    "hems needs a 64-bit system, and this one has 32 bits: the network that names appliances has no build for it. "
    "Install the 64-bit Raspberry Pi OS; a Pi 3, 4 and 5 has the processor for it"
)
_NO_BROKER = "install it, such as with `apt install mosquitto`, and run this again"


def prepare(purpose: str) -> None:
    """Make the environment for `run`, `dev` or `training` what its lock file says.

    Raises:
        Failed: something could not be brought.
    """
    if sys.maxsize <= 2**32:
        raise Failed(_SMALL)
    with _alone():
        purpose = _widened(purpose)
        stamp = _FOLDERS[purpose] / "hems-environment"
        if not stamp.exists() or stamp.read_text() != _fingerprint(purpose) or not _python(purpose).exists():
            _install(purpose)
            stamp.write_text(_fingerprint(purpose))
        if purpose != "training":
            _bring_mosquitto()


def _widened(purpose: str) -> str:
    """What was set up for development stays so: `make run` takes nothing away."""
    stamp = _FOLDERS["dev"] / "hems-environment"
    return "dev" if purpose == "run" and stamp.exists() and stamp.read_text().startswith("dev ") else purpose


def _fingerprint(purpose: str) -> str:
    files = [ROOT / "pyproject.toml", ROOT / "requirements/build.txt", _lock(purpose)]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return f"{purpose} {sys.version_info.major}.{sys.version_info.minor} {digest}\n"


def _lock(purpose: str) -> Path:
    return ROOT / "requirements" / f"{purpose}.txt"


def _python(purpose: str) -> Path:
    return _FOLDERS[purpose] / "bin/python"


def _install(purpose: str) -> None:
    folder = _FOLDERS[purpose]
    tell(f"Setting up {folder.relative_to(ROOT)} from requirements/{purpose}.txt")
    uv = find_uv()
    if not _fits(folder):
        _uv(uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder)
    python = ("--quiet", "--python", _python(purpose))
    _uv(uv, "pip", "sync", *python, "--require-hashes", _lock(purpose))
    _uv(uv, "pip", "install", *python, "--no-deps", "--build-constraints", ROOT / "requirements/build.txt", "--editable", ROOT)


def _fits(folder: Path) -> bool:
    """Whether there is a virtual environment of this very Python version."""
    command = [folder / "bin/python", "-c", "import sys; print(sys.version_info[:2])"]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == str(sys.version_info[:2])
    except (OSError, subprocess.CalledProcessError):
        return False


def _uv(uv: Path, *arguments: str | Path) -> None:
    run([uv, *arguments], advice=_ADVICE, environment=uv_environment())


def _bring_mosquitto() -> None:
    try:
        find_mosquitto()
    except BrokerNotFound:
        tell("Unpacking Mosquitto into .cache/mosquitto, since this computer has none")
        folder = CACHE / "mosquitto"
        unpack("mosquitto", folder, advice=_NO_BROKER)
        _write_starter(folder)


def _write_starter(folder: Path) -> None:
    """A program that starts the unpacked Mosquitto with the libraries that came with it."""
    libraries = sorted({str(library.parent.relative_to(folder)) for library in folder.rglob("*.so*")})
    path = ":".join(f"$here/{library}" for library in libraries)
    starter = folder / "run"
    starter.write_text(
        '#!/bin/sh\nhere=$(cd "$(dirname "$0")" && pwd)\n'
        f'LD_LIBRARY_PATH="{path}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" exec "$here/usr/sbin/mosquitto" "$@"\n'
    )
    starter.chmod(0o755)
    said = subprocess.run([starter, "-h"], capture_output=True, text=True, check=False)
    if "mosquitto version" not in said.stdout:
        starter.unlink()
        raise Failed(f"Mosquitto does not run from .cache/mosquitto ({said.stderr.strip()}): {_NO_BROKER}")


@contextmanager
def _alone() -> Generator[None]:
    """Two `make`s at once wait for each other."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "environment.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Prepare what the command line names, or say in one sentence why not."""
    try:
        prepare(sys.argv[1])
    except Failed as failure:
        sys.exit(f"make: {failure}")


if __name__ == "__main__":
    main()
