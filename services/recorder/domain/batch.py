"""When readings that wait are written together."""

from dataclasses import dataclass

MOST_WAITING = 20
"""The broker hands out no more before some are acknowledged."""
_BURST = 5
_IDLE_S = 0.2


@dataclass
class Batch:
    """Each few seconds; at once when the broker holds more back; soon after a burst, however few the broker hands out."""

    commit_every_s: float
    most_waiting: int = MOST_WAITING
    waiting: int = 0
    first_at_s: float = 0.0
    newest_at_s: float = 0.0

    def add(self, at_s: float) -> None:
        """Another waits."""
        self.first_at_s = self.first_at_s if self.waiting else at_s
        self.newest_at_s = at_s
        self.waiting += 1

    def take(self) -> None:
        """They are being written."""
        self.waiting = 0

    def due_in_s(self, now_s: float) -> float | None:
        """How long to wait before writing, or None where nothing waits."""
        if not self.waiting:
            return None
        if self.waiting >= self.most_waiting:
            return 0.0
        due_s = self.first_at_s + self.commit_every_s
        if self.waiting >= _BURST:
            due_s = min(due_s, self.newest_at_s + _IDLE_S)
        return max(0.0, due_s - now_s)
