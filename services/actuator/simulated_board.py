"""Relays that exist in a file: each change and its time, one JSON line each."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from hems.contracts.relays import Level


class SimulatedBoard:
    """Writes what a real board would do; tests read the file to see what was kept.

    A line holds `monotonic_s` (the machine's clock that never jumps), `at`, `relay`, `level`, and `event`: claimed,
    switched or released.
    """

    def __init__(self, path: Path, safe: Mapping[str, Level]) -> None:
        self._path = path
        self._levels = dict(safe)
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("a", buffering=1, encoding="utf-8")
        for relay in self._levels:
            self._log("claimed", relay)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for relay in self._levels:
            self._log("released", relay)
        if self._file is not None:
            self._file.close()

    def switch(self, relay: str, level: Level) -> None:
        """Change a relay."""
        self._levels[relay] = level
        self._log("switched", relay)

    def level(self, relay: str) -> Level | None:
        """Read it back."""
        return self._levels[relay]

    def _log(self, event: str, relay: str) -> None:
        line = {
            "monotonic_s": time.monotonic(),
            "at": datetime.now(UTC).isoformat(),
            "relay": relay,
            "level": self._levels[relay],
            "event": event,
        }
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
