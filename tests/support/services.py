"""Services as real processes, on a real broker, that a test may kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.broker import RealBroker
from tests.support.end_with_us import end_with_us

_PATIENCE_S = 30.0


class ServiceProcess:
    """`python -m services.<name>`, its log in a file."""

    def __init__(self, name: str, environment: Mapping[str, str], log: Path, *arguments: str) -> None:
        self.name = name
        self._environment = {**os.environ, **environment}
        self._log = log
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """All that it has said, over its restarts."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """The running process."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended, by itself or by us."""
        return self._process is None or self._process.poll() is not None

    def start(self) -> None:
        """Start it; `wait_for` tells when it has come up."""
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", f"services.{self.name}", *self._arguments]
            self._process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=end_with_us
            )

    def kill(self) -> None:
        """As `kill -9`."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        return self._end(signal.SIGTERM)

    def wait(self) -> int:
        """Wait until it ends by itself; its exit status."""
        assert self._process is not None, f"{self.name} is not running"
        return self._process.wait(_PATIENCE_S)

    def wait_for(self, words: str, times: int = 1) -> None:
        """Wait until its log has these words."""
        give_up_at = time.monotonic() + _PATIENCE_S
        while self.log.count(words) < times:
            assert self._process is not None
            assert self._process.poll() is None, self.log
            assert time.monotonic() < give_up_at, self.log
            time.sleep(0.01)

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(number)
        status = self._process.wait(_PATIENCE_S)
        self._process = None
        return status


def environment_of(service: str, broker: RealBroker, directory: Path, home: str) -> dict[str, str]:
    """What a service is given: its broker user, and a folder of its own for state."""
    return {
        "HEMS_CONFIG": "",
        "HEMS_LOG_FORMAT": "json",
        "HEMS_HOME__ID": home,
        "HEMS_BROKER__HOST": broker.host,
        "HEMS_BROKER__PORT": str(broker.port),
        "HEMS_BROKER__PASSWORD": broker.password(service),
        "HEMS_STORAGE__DIRECTORY": str(directory),
    }
