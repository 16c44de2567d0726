"""Signs of life for whoever watches the process: systemd's watchdog, and a container's health check."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from hems.actor.health import Health

WORKS = "works"
"""The whole content of the health file while all is well; otherwise the reason stands there."""

_EVERY_S = 5.0


class VitalSigns:
    """Says every five seconds that the service goes round, and whether it can do its work.

    Args:
        health: what stands in its way.
        connected: whether the broker is there.
        environment: `NOTIFY_SOCKET`, as systemd sets it (sd_notify(3)); `HEMS_HEALTH_FILE`, a file that is written anew each time,
            so that its age tells a service that hangs.
    """

    def __init__(self, health: Health, connected: Callable[[], bool], environment: Mapping[str, str]) -> None:
        self._health = health
        self._connected = connected
        self._socket = environment.get("NOTIFY_SOCKET")
        self._file = Path(environment["HEMS_HEALTH_FILE"]) if environment.get("HEMS_HEALTH_FILE") else None

    async def show(self) -> None:
        """Until cancelled."""
        self._notify("READY=1")
        try:
            while True:
                state = self._state()
                # A broker that is away is no reason to be started again: that is what the watchdog would do.
                self._notify(f"WATCHDOG=1\nSTATUS={state}")
                self._write(state)
                await asyncio.sleep(_EVERY_S)
        finally:
            self._notify("STOPPING=1")

    def _state(self) -> str:
        if not self._connected():
            return "no connection to the broker"
        return self._health.blind or WORKS

    def _write(self, state: str) -> None:
        if self._file is None:
            return
        beside = self._file.with_name(f"{self._file.name}.new")
        # On a full disk the old file grows old, which tells enough.
        with contextlib.suppress(OSError):
            beside.write_text(f"{state}\n", encoding="utf-8")
            beside.replace(self._file)

    def _notify(self, words: str) -> None:
        if not self._socket:
            return
        # "@" stands for the zero byte of Linux's abstract namespace.
        address = f"\0{self._socket[1:]}" if self._socket.startswith("@") else self._socket
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifying:
            notifying.setblocking(False)
            notifying.sendto(words.encode(), address)
