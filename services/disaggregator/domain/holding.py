"""Readings put in order, home by home, where a broker may hand over older ones after newer ones.

Some brokers (NATS among them) give a returning reader what is new at once, and what it had not acknowledged only after a
while. So a reading that leaves a hole behind the one before it waits for what may be missing.
"""

from bisect import insort
from collections.abc import Callable, Set
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

Follows = Callable[[str, float | None, float], bool]
"""Home, the time of its last reading that was let through (None: the last that it has taken), this reading's time."""


class _Held(NamedTuple):
    time_s: float
    arrival: int
    until_s: float


class HoldBack(Generic[T]):
    """Lets a home's readings through in order of their time: at once where none is missing, else after `patience_s`."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s
        self._held: dict[str, list[_Held]] = {}
        self._items: dict[int, T] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def homes(self) -> Set[str]:
        """Those of whom a reading waits."""
        return self._held.keys()

    def take_all(self) -> list[T]:
        """Let go of every reading that waits, in the order in which they came."""
        items = list(self._items.values())
        self._items.clear()
        self._held.clear()
        return items

    def put(self, home: str, time_s: float, item: T, now_s: float) -> None:
        """Take a reading. `now_s` is a clock that never jumps, as in `ready`."""
        self._arrivals += 1
        self._items[self._arrivals] = item
        insort(self._held.setdefault(home, []), _Held(time_s, self._arrivals, now_s + self._patience_s))

    def ready(self, now_s: float, follows: Follows) -> list[T]:
        """The readings that may be read now, each home's in order."""
        found: list[T] = []
        for home, held in list(self._held.items()):
            count = self._passable(home, held, now_s, follows)
            found.extend(self._items.pop(entry.arrival) for entry in held[:count])
            del held[:count]
            if not held:
                del self._held[home]
        return found

    def _passable(self, home: str, held: list[_Held], now_s: float, follows: Follows) -> int:
        waited = max((count for count, entry in enumerate(held, 1) if now_s >= entry.until_s), default=0)
        last_s = held[waited - 1].time_s if waited else None
        for count, entry in enumerate(held[waited:], waited):
            if not follows(home, last_s, entry.time_s):
                return count
            last_s = entry.time_s
        return len(held)
