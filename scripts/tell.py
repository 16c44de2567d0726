"""Lines to the person at the terminal, and the one sentence that ends a failed run."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache"


class Failed(Exception):
    """What went wrong, and what to do about it, in one sentence."""


def tell(line: str) -> None:
    """Say a line at once, so that it stands before what a subprocess says."""
    print(line, flush=True)  # noqa: T201  a person reads it


def run(command: Sequence[str | Path], *, advice: str, environment: Mapping[str, str] | None = None) -> str:
    """What the command wrote to its output; its errors go to the terminal if it fails.

    Raises:
        Failed: it ended with an error, and `advice` says what to do.
    """
    try:
        return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise Failed(f"{command[0]} is missing: {advice}") from None
    except subprocess.CalledProcessError as error:
        sys.stderr.write((error.stdout + error.stderr)[-4_000:])
        raise Failed(f"{Path(command[0]).name} failed, as it says above: {advice}") from None
