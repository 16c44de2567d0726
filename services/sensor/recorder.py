"""Writes what comes out of a port, with its times, for a bug report; `hems replay` plays it.

JSON lines: the first about the port, then `{"after_s": …, "bytes": "…"}`, each byte as the character of the same number.
"""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TextIO

from services.sensor.serial_port import Incoming, SerialPort


class Progress(Protocol):
    """Told how many bytes have been written."""

    def __call__(self, byte_count: int) -> None:
        """So many bytes in all."""
        ...


def header(port: str, baud: int, started_at: datetime) -> str:
    """The first line."""
    return json.dumps({"hems_port_recording": 1, "port": port, "baud": baud, "started_at": started_at.isoformat()}) + "\n"


def entry(after_s: float, data: bytes) -> str:
    """One line: bytes, and how long after the beginning they came."""
    return json.dumps({"after_s": round(after_s, 6), "bytes": data.decode("latin-1")}) + "\n"


async def record_port(port: SerialPort, baud: int, path: Path, progress: Progress) -> None:
    """Write until cancelled, each piece at once; a file that is there is left alone until the port is open.

    Raises:
        OSError: the port can't be opened, or is gone; or the file can't be written, whose name it holds then.
    """
    async with port.opened() as incoming:
        with path.open("w", encoding="utf-8") as target:
            await _copy(port, baud, incoming, target, progress)


async def _copy(port: SerialPort, baud: int, incoming: Incoming, target: TextIO, progress: Progress) -> None:
    target.write(header(port.path, baud, datetime.now(UTC)))
    began_s, count = time.monotonic(), 0
    while True:
        data = await incoming.read()
        target.write(entry(time.monotonic() - began_s, data))
        target.flush()
        count += len(data)
        progress(count)
