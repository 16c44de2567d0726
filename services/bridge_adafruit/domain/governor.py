"""Which of the waiting values goes next: states at once, slow values in turn, always the newest of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.bridge_adafruit.domain.quota import Kind, Quota

_SLOWEST = 4.0


@dataclass(frozen=True)
class Waiting:
    """The newest value of a feed, and since when (s) the feed has had something to say."""

    value: str
    at: datetime
    since_s: float


class Governor:
    """Coalesces what waits, and lets it go as the quota admits.

    Args:
        quota: what may be sent.
        paces: for each feed the least time between two points, s; 0 is a state, which goes at once.
    """

    def __init__(self, quota: Quota, paces: Mapping[str, float]) -> None:
        self._quota = quota
        self._paces = dict(paces)
        self._sent_s: dict[str, float] = {}
        self.waiting: dict[str, Waiting] = {}
        self.coalesced = 0

    def offer(self, key: str, value: str, at: datetime, now_s: float) -> None:
        """A feed has a new value; one that still waits is replaced, and keeps its place."""
        known = self.waiting.get(key)
        self.coalesced += known is not None and known.value != value
        self.waiting[key] = Waiting(value, at, known.since_s if known else now_s)

    def withdraw(self, key: str) -> None:
        """A feed has nothing to say any more."""
        self.waiting.pop(key, None)

    def take(self, now_s: float) -> dict[str, Waiting]:
        """What is to be sent now, each point begun in the quota; `settle` them when they are answered."""
        chosen: dict[str, Waiting] = {}
        states = sorted((key for key in self.waiting if not self._paces[key]), key=lambda key: self.waiting[key].since_s)
        slow = sorted((key for key in self.waiting if self._paces[key]), key=lambda key: -self._due(key, now_s))
        for key in (*states, *(key for key in slow if self._due(key, now_s) >= self._stretch(now_s))):
            if not self._quota.admits(self.kind(key), now_s):
                continue
            self._quota.begin(self.kind(key))
            self._sent_s[key] = now_s
            chosen[key] = self.waiting.pop(key)
        return chosen

    def kind(self, key: str) -> Kind:
        """A state, or a slow value."""
        return Kind.SLOW if self._paces[key] else Kind.STATE

    def _due(self, key: str, now_s: float) -> float:
        """How many of its paces ago the feed was last heard of: it grows until it is the greatest."""
        return (now_s - self._sent_s.get(key, float("-inf"))) / self._paces[key]

    def _stretch(self, now_s: float) -> float:
        return 1 + (_SLOWEST - 1) * self._quota.tightness(now_s)
