"""The newest lines of all processes of a home in one file, for `hems watch` runs and for a bug report."""

import contextlib
import io
import os
from pathlib import Path

_MOST_BYTES = 1_000_000


class LogFile:
    """Two pieces on the disk at most, `hems.log` and the one before it. What a full disk does not take is lost, and nothing else.

    Args:
        path: the file; its folder is made.
        most_bytes: of one piece.
    """

    def __init__(self, path: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._file: io.FileIO | None = None

    def write(self, line: str) -> None:
        """Append a line."""
        with contextlib.suppress(OSError):
            file = self._file or self._opened()
            file.write(f"{line}\n".encode(errors="replace"))
            if file.tell() > self._most_bytes:
                self._turn(file)

    def close(self) -> None:
        """Close it; the next line opens it again."""
        file, self._file = self._file, None
        with contextlib.suppress(OSError):
            if file is not None:
                file.close()

    def _opened(self) -> io.FileIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Its owner's alone, since it tells of a home; and nothing waits in memory that a full disk would refuse for ever.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = io.FileIO(descriptor, "ab")
        return self._file

    def _turn(self, file: io.FileIO) -> None:
        self._file = None
        file.close()
        self._path.replace(self._path.with_name(f"{self._path.name}.1"))
