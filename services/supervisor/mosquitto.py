"""Mosquitto as a process of ours."""

import asyncio
import contextlib
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

from services.supervisor.processes import end_with_parent

_UNPACKED = Path(".cache/mosquitto/run")
"""Where `make setup` unpacks it, from the repository's root, if the computer has none."""
_ADMINISTRATORS_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
_ROOT = Path(__file__).parents[2]


class BrokerNotFound(RuntimeError):
    """There is no Mosquitto; the message says what to do."""


class BrokerFailed(RuntimeError):
    """Mosquitto ended, or never listened; the message is what it said."""


def find_mosquitto() -> Path:
    """The program: `HEMS_MOSQUITTO` if set, else from the PATH, the system folders, or what `make setup` unpacked.

    Raises:
        BrokerNotFound: it is nowhere.
    """
    named = os.environ.get("HEMS_MOSQUITTO")
    found = shutil.which(named) if named else shutil.which("mosquitto") or shutil.which("mosquitto", path=_ADMINISTRATORS_PATH)
    found = found or shutil.which(str(_ROOT / _UNPACKED))
    if found is None:
        raise BrokerNotFound("Mosquitto was not found: run `make setup`, or `apt install mosquitto`")
    return Path(found)


class Mosquitto:
    """A broker that runs while the context is open. What it says, a line at a time, goes to `log`."""

    def __init__(self, configuration: Path, *, host: str, port: int, log: Callable[[str], None], patience_s: float = 5.0) -> None:
        self._configuration, self._host, self._port, self._log, self._patience_s = configuration, host, port, log, patience_s
        self._process: Process | None = None
        self._drain: asyncio.Task[None] | None = None
        self._last_lines: deque[str] = deque(maxlen=3)

    async def __aenter__(self) -> Self:
        """Start it, and come back once it takes connections.

        Raises:
            BrokerNotFound: there is no Mosquitto.
            BrokerFailed: it ended, or did not listen within `patience_s`.
        """
        if await self._somebody_listens():
            raise BrokerFailed(f"{self._host}:{self._port} is taken by another program: choose another port")
        # A group of its own: a Ctrl-C at the terminal must not stop the broker before its clients.
        self._process = await asyncio.create_subprocess_exec(
            find_mosquitto(),
            "-c",
            self._configuration,
            stdin=DEVNULL,
            stdout=DEVNULL,
            stderr=PIPE,
            start_new_session=True,
            preexec_fn=end_with_parent,
        )
        self._drain = asyncio.create_task(self._say_lines(self._process))
        try:
            async with asyncio.timeout(self._patience_s):
                await self._until_it_listens(self._process)
        except TimeoutError:
            await self._stop()
            raise BrokerFailed(f"Mosquitto did not listen on {self._host}:{self._port} within {self._patience_s:g} s") from None
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._started().pid

    async def ended(self) -> int:
        """Wait for it to end by itself; its exit status, negative where a signal ended it."""
        return await self._started().wait()

    def _started(self) -> Process:
        if self._process is None:
            raise RuntimeError("the broker was not started")
        return self._process

    async def _say_lines(self, process: Process) -> None:
        assert process.stderr is not None  # noqa: S101  it was asked for
        async for line in process.stderr:  # an undrained pipe would block the broker
            self._last_lines.append(line.decode(errors="replace").rstrip())
            self._log(self._last_lines[-1])

    async def _until_it_listens(self, process: Process) -> None:
        while process.returncode is None:
            if await self._somebody_listens():
                return
            await asyncio.sleep(0.02)
        if self._drain:
            await self._drain
        raise BrokerFailed(f"Mosquitto ended with status {process.returncode}: {' / '.join(self._last_lines)}")

    async def _somebody_listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            return False
        writer.close()
        return True

    async def _stop(self) -> None:
        if self._process is None or self._drain is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        # wait_for, since asyncio.timeout of Python 3.11.2 (Debian 12) says no TimeoutError in a task that is being cancelled.
        try:
            await asyncio.wait_for(self._process.wait(), self._patience_s)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._drain
