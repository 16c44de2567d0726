"""uv, which installs the locked packages: the computer's own, or one brought into the project's folder."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.debian import unpack
from scripts.tell import CACHE, ROOT, Failed, run, tell

_OLDEST = (0, 8)
_BROUGHT = CACHE / "uv"
_ADVICE = "install uv or python3-pip, check the network, and run this again"


def find_uv() -> Path:
    """The uv on the PATH where it is recent enough, else one in `.cache/uv`, brought by pip.

    Raises:
        Failed: it could not be brought.
    """
    own = shutil.which("uv")
    if own and _version(Path(own)) >= _OLDEST:
        return Path(own)
    brought = _BROUGHT / "bin" / "uv"
    if _version(brought) < _OLDEST:
        tell("  … bringing uv into .cache/uv")
        options = ["--quiet", "--disable-pip-version-check", "--target", _BROUGHT, "--upgrade", "--no-deps", "--only-binary=:all:"]
        run([*_pip(), "install", *options, "--require-hashes", "-r", ROOT / "requirements/uv.txt"], advice=_ADVICE)
    return brought


def uv_environment() -> dict[str, str]:
    """The variables that keep uv within the project: its cache here, no Python build of its own."""
    own = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "CONDA_PREFIX", "UV_SYSTEM_PYTHON"}}
    return {"UV_CACHE_DIR": str(CACHE / "packages"), **own, "UV_PYTHON_DOWNLOADS": "never"}


def _version(program: Path) -> tuple[int, ...]:
    """(0,) where it does not run."""
    try:
        said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return (0,)
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else (0,)


def _pip() -> Sequence[str | Path]:
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        return [sys.executable, "-m", "pip"]
    # Debian's wheel of pip runs without being installed.
    return [sys.executable, _pip_wheel() / "pip"]


def _pip_wheel() -> Path:
    folders = [root / "usr/share/python-wheels" for root in (Path("/"), CACHE / "pip")]
    wheels = [wheel for folder in folders for wheel in folder.glob("pip-*.whl")]
    if not wheels:
        tell("  … bringing pip into .cache/pip")
        unpack("python3-pip-whl", CACHE / "pip", advice=_ADVICE)
        wheels = list(folders[1].glob("pip-*.whl"))
    if not wheels:
        raise Failed(f"Debian's python3-pip-whl holds no pip: {_ADVICE}")
    return wheels[0]
