"""`python3 -m scripts.nats`: a NATS server for many homes, unpacked into `.cache/nats` where the computer has none."""

import shutil
import subprocess
import sys
from pathlib import Path

from scripts.debian import unpack
from scripts.tell import CACHE, Failed, tell

_FOLDER = CACHE / "nats"
_PROGRAM = _FOLDER / "usr" / "sbin" / "nats-server"
_ADVICE = "install it, such as with `apt install nats-server`, and run this again"


def find_nats() -> Path | None:
    """The computer's own nats-server, or the one that was unpacked; None where there is neither."""
    installed = shutil.which("nats-server", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin") or shutil.which("nats-server")
    return Path(installed) if installed else _PROGRAM if _PROGRAM.exists() else None


def bring() -> None:
    """Unpack it, unless there is one.

    Raises:
        Failed: it could not be brought.
    """
    if find_nats() is not None:
        return
    tell("Unpacking the NATS server into .cache/nats, since this computer has none")
    unpack("nats-server", _FOLDER, advice=_ADVICE)
    said = subprocess.run([_PROGRAM, "--version"], capture_output=True, text=True, check=False)
    if "nats-server" not in said.stdout:
        raise Failed(f"the NATS server does not run from .cache/nats ({said.stderr.strip()}): {_ADVICE}")


if __name__ == "__main__":
    try:
        bring()
    except Failed as failure:
        sys.exit(f"make: {failure}")
