"""What `hems record` writes: JSON lines, the first about the port, then `{"after_s": …, "bytes": "…"}` as they came.

Each byte stands as the character of the same number (Latin-1), so that text in it can be read.
"""

import json
from dataclasses import dataclass
from typing import Any, cast

from services.replay.domain.recording import UnusableRecording


@dataclass(frozen=True)
class Chunk:
    """Bytes, and how long after the recording's beginning they came, s."""

    after_s: float
    data: bytes


def read_chunks(text: str) -> list[Chunk]:
    """Read a recorded port.

    Raises:
        UnusableRecording: the text is no recording, or an empty one.
    """
    header, *lines = text.splitlines() or [""]
    if "hems_port_recording" not in header:
        raise UnusableRecording("its first line is not that of a port's recording; `hems record` makes one")
    chunks = [_chunk(number, line) for number, line in enumerate(lines, start=2) if line.strip()]
    if not chunks:
        raise UnusableRecording("nothing came from the port while it was recorded")
    return chunks


def _chunk(number: int, line: str) -> Chunk:
    try:
        values = cast("dict[str, Any]", json.loads(line))
        return Chunk(float(values["after_s"]), str(values["bytes"]).encode("latin-1"))
    except (ValueError, KeyError, TypeError):
        raise UnusableRecording(f"line {number} is not part of a port's recording: {line[:60]!r}") from None
