"""A real PostgreSQL of a test run's own, on a free port, in a folder of its own."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.broker import free_port

_CACHE = Path(__file__).parents[2] / ".cache" / "postgresql"
_PATIENCE_S = 30.0


def find_programs() -> Path | None:
    """The folder of `initdb` and `postgres`: the computer's own, or the one that `make test-postgres` unpacked."""
    installed = [*Path("/usr/lib/postgresql").glob("*/bin"), *_CACHE.glob("usr/lib/postgresql/*/bin")]
    on_path = shutil.which("initdb")
    found = [folder for folder in installed if (folder / "initdb").exists() and (folder / "postgres").exists()]
    return max(found, default=Path(on_path).resolve().parent if on_path else None)


class RealPostgres:
    """A server that a test may stop, kill and start."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._programs = programs
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        self._run("initdb", "--pgdata", str(folder / "data"), "--username", "hems", "--auth", "trust", "--no-sync", "--encoding", "UTF8")

    @property
    def url(self) -> str:
        """Its database."""
        return f"postgresql://hems@127.0.0.1:{self.port}/postgres"

    def new_database(self, name: str) -> str:
        """The address of another database of this server, which is made."""
        command = [self._programs / "createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "hems", name]
        subprocess.run(command, check=True, env=_environment())
        return f"postgresql://hems@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start it, and come back once it takes connections."""
        options = ("-p", str(self.port), "-k", str(self._folder), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off")
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_unprivileged(), self._programs / "postgres", "-D", self._folder / "data", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment(), cwd=self._folder,
            )  # fmt: skip
        give_up_at = time.monotonic() + _PATIENCE_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < give_up_at, (self._folder / "log").read_text()
            time.sleep(0.05)

    def stop(self) -> None:
        """End its connections and stop it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def _answers(self) -> bool:
        ready = [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "hems"]
        return subprocess.run(ready, check=False, env=_environment()).returncode == 0

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*_unprivileged(), self._programs / program, *arguments], check=False, capture_output=True, env=_environment(), cwd=self._folder
        )
        assert done.returncode == 0, done.stderr.decode()


def _unprivileged() -> list[str]:
    """PostgreSQL refuses to run as root."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.getuid() == 0 else []


def _environment() -> dict[str, str]:
    libraries = sorted({str(library.parent) for library in _CACHE.rglob("*.so*")})
    return {**os.environ, "LC_ALL": "C", **({"LD_LIBRARY_PATH": ":".join(libraries)} if libraries else {})}


@contextmanager
def running_postgres(folder: Path) -> Generator[RealPostgres]:
    """A server that runs while the context is open; the test is skipped where the computer has none."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: `make test-postgres` brings one")
    server = RealPostgres(folder, programs)
    server.start()
    try:
        yield server
    finally:
        server.stop()
