"""`make chaos`, as a process that a test may kill."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path


@contextlib.contextmanager
def disturbed_home(folder: Path, *arguments: str) -> Generator["subprocess.Popen[str]"]:
    """A run whose first fault has been done; it is killed at the end at the latest.

    Args:
        folder: gets all that the run leaves.
        arguments: more of `python -m tests.chaos`.
    """
    command = [sys.executable, "-m", "tests.chaos", "--seed", "1", "--keep", str(folder), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        said: list[str] = []
        try:
            for line in run.stdout:
                said.append(line)
                if line.startswith("   1 "):
                    break
            else:
                raise AssertionError("".join(said))
            yield run
        finally:
            run.kill()


def kill(run: "subprocess.Popen[str]") -> None:
    """As the kernel does when memory is short: it can't clear up."""
    os.kill(run.pid, signal.SIGKILL)
    run.wait()


def processes_of(folder: Path) -> list[int]:
    """The processes that have to do with a folder, by their command or their environment."""
    found: list[int] = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            number = int(process.name)
            known = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if number != os.getpid() and str(folder).encode() in known:
                found.append(number)
    return found
