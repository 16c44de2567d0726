"""Readings as they come: in order, at a typical interval, with gaps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_INTERVAL_S = 60.0
SHORTEST_GAP_S = 30.0
_BEYOND_A_GAP = 1.5
_UNUSUAL = 0.25
_UNUSUAL_IN_A_ROW = 5


@dataclass(slots=True)
class Cadence:
    """How often the meter speaks. Five unusual intervals in a row change it to their median."""

    interval_s: float | None = None
    _unusual_s: list[float] = field(default_factory=list[float])

    @property
    def gap_s(self) -> float:
        """Longer silences are gaps: they are never filled."""
        return max(SHORTEST_GAP_S, _BEYOND_A_GAP * (self.interval_s or 0.0))

    def observe(self, elapsed_s: float) -> None:
        """Note the time between two readings."""
        if elapsed_s > _BEYOND_A_GAP * LONGEST_INTERVAL_S:
            return
        if self.interval_s is None:
            self.interval_s = min(elapsed_s, LONGEST_INTERVAL_S)
        elif abs(elapsed_s - self.interval_s) <= _UNUSUAL * self.interval_s:
            self._unusual_s.clear()
        else:
            self._note_unusual(elapsed_s)

    def _note_unusual(self, elapsed_s: float) -> None:
        self._unusual_s.append(elapsed_s)
        if len(self._unusual_s) >= _UNUSUAL_IN_A_ROW:
            self.interval_s = min(sorted(self._unusual_s)[_UNUSUAL_IN_A_ROW // 2], LONGEST_INTERVAL_S)
            self._unusual_s.clear()

    def save(self) -> dict[str, Any]:
        """The state, as JSON takes it."""
        return {"interval_s": self.interval_s, "unusual_s": list(self._unusual_s)}

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> "Cadence":
        """Go on where `save` was called."""
        return cls(saved["interval_s"], list(saved["unusual_s"]))
