"""What was calibrated, and what stood in `hems.yaml` before: JSON lines, for people and for `hems calibrate undo`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter


@dataclass(frozen=True)
class Change:
    """A key of `hems.yaml`, what it was (None where it was not there), and what it was made."""

    key: str
    before: float | None
    after: float


@dataclass(frozen=True)
class Entry:
    """One calibration: when, what was changed, and how far the meter may still be off by its own scatter, as a share."""

    at: str
    changes: tuple[Change, ...]
    uncertainty: float
    undone: bool = False


_ENTRY = TypeAdapter(Entry)


class CalibrationBook:
    """The book in a home's storage folder."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "calibrations.jsonl"

    def add(self, entry: Entry) -> None:
        """Write one.

        Raises:
            OSError: the disk can't take it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            # On a line of its own, whatever a power cut left of the one before.
            file.write("\n" + json.dumps(asdict(entry)) + "\n")

    def last(self) -> Entry | None:
        """The newest calibration that was not undone."""
        undone: list[str] = []
        for entry in reversed(self._entries()):
            if entry.undone:
                undone.append(entry.at)
            elif entry.at not in undone:
                return entry
        return None

    def _entries(self) -> Sequence[Entry]:
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ()
        return [entry for line in lines if (entry := _entry(line)) is not None]


def _entry(line: str) -> Entry | None:
    """None for a line that a power cut tore: the others still tell."""
    try:
        return _ENTRY.validate_json(line)
    except ValueError:
        return None
