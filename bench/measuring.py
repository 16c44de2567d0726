"""What the measurements share: a broker, processes, percentiles."""

import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from hems.contracts.access import USERS, access_list
from services.supervisor.broker_configuration import render
from services.supervisor.mosquitto import find_mosquitto
from services.supervisor.passwords import password_file


class BenchBroker:
    """A Mosquitto with the shipped configuration."""

    host = "127.0.0.1"

    def __init__(self, port: int) -> None:
        self.port = port

    def password(self, user: str) -> str:
        """Any user's password."""
        return f"password-of-{user}"


@contextmanager
def broker(inflight: int | None = None) -> Generator[tuple[BenchBroker, Path]]:
    """A running broker, and a folder that goes with it; `inflight` replaces the shipped number of unacknowledged messages."""
    with tempfile.TemporaryDirectory() as name:
        folder, running = Path(name), BenchBroker(_free_port())
        (folder / "data").mkdir()
        (folder / "passwords").write_text(password_file({user: running.password(user) for user in USERS}))
        (folder / "acl").write_text(access_list())
        text = render(port=running.port, data=folder / "data", passwords=folder / "passwords", access=folder / "acl")
        if inflight is not None:
            text = re.sub(r"(?m)^max_inflight_messages .*$", f"max_inflight_messages {inflight}", text)
        (folder / "mosquitto.conf").write_text(text)
        process = subprocess.Popen([find_mosquitto(), "-c", folder / "mosquitto.conf"], stderr=subprocess.DEVNULL)
        try:
            _wait_for(running)
            yield running, folder
        finally:
            process.terminate()
            process.wait()


def percentiles_ms(seconds: Sequence[float]) -> str:
    """`p50 1.10 ms  p99 2.05 ms  (400)`."""
    p50, p99 = np.percentile(np.asarray(seconds) * 1e3, [50, 99])
    return f"p50 {p50:5.2f} ms   p99 {p99:5.2f} ms   ({len(seconds)} of them)"


def resident_mb(pid: int) -> float:
    """The resident set, MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(running: BenchBroker) -> None:
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((running.host, running.port)) == 0:
                return
        time.sleep(0.02)
