"""The commands that wait: a full queue may lose one that leaves safety, never one that returns to it."""

from collections import deque
from dataclasses import dataclass

from services.actuator.domain.admission import Request


@dataclass(frozen=True)
class Waiting:
    """A command for a relay."""

    relay: str
    request: Request


class Inbox:
    """Commands away from safe, first come, first served. Commands toward it never wait, so that none can be lost."""

    def __init__(self, capacity: int = 256) -> None:
        self._capacity = capacity
        self._waiting: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, entry: Waiting) -> bool:
        """Queue a command away from safe; False where the queue is full."""
        if len(self._waiting) >= self._capacity:
            return False
        self._waiting.append(entry)
        return True

    def overtake(self, relay: str) -> list[Waiting]:
        """A command toward safe has come: what waited for that relay came before it, and is not done any more."""
        overtaken = [entry for entry in self._waiting if entry.relay == relay]
        self._waiting = deque(entry for entry in self._waiting if entry.relay != relay)
        return overtaken

    def take(self) -> Waiting | None:
        """The next one."""
        return self._waiting.popleft() if self._waiting else None
