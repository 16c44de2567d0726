"""Other `hems` commands, run as a person would run them."""

import os
import subprocess
import sys
from pathlib import Path

_LONGEST_S = 120.0


def run_hems(*arguments: str, configuration: Path) -> tuple[int, str]:
    """Run `hems …` with this configuration: its exit status, and what it said."""
    command = [sys.executable, "-m", "services.cli", *arguments]
    environment = {**os.environ, "HEMS_CONFIG": str(configuration.absolute())}
    try:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            check=False, timeout=_LONGEST_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return 1, f"`hems {arguments[0]}` gave no answer within {_LONGEST_S:.0f} s"
    return done.returncode, done.stdout.strip()
