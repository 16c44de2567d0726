"""The account's points a minute, shared out.

Adafruit IO counts every value that reaches it, over MQTT and HTTP together, in a sliding minute, by all of the account's clients. A point
of ours is counted here from before it is sent until a minute after it was acknowledged: however long it was on its way, it has left their
minute when it leaves ours.
"""

from collections import Counter, deque
from enum import Enum
from typing import Final

PERIOD_S: Final = 60.0
_LEAST: Final = 10
_RECOVERS_PER_S: Final = 0.02 / 60


class Kind(Enum):
    """What a point is for; the first goes first."""

    STATE = "state"
    SLOW = "slow"
    FILL = "fill"
    FOREIGN = "foreign"


class Quota:
    """How many points may still be sent.

    A tenth of the limit is left for what people press: a toggle counts too, and would be lost in a full minute. A tenth belongs to the
    slow values, so that states that change all the time don't starve them.

    Args:
        limit: points a minute.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[Kind] = Counter()
        self._ended: deque[tuple[float, Kind, int]] = deque()
        self._counted: Counter[Kind] = Counter()
        self._paused_until_s = float("-inf")
        self._trust = 1.0
        self._trust_s = 0.0

    def limit(self, now_s: float) -> int:
        """Points a minute that we allow ourselves now: fewer after a throttle notice, and slowly more again."""
        trust = min(1.0, self._trust + (now_s - self._trust_s) * _RECOVERS_PER_S)
        return max(_LEAST, int(self._limit * trust)) if self._limit > _LEAST else self._limit

    def used(self, now_s: float, *kinds: Kind) -> int:
        """Points of these kinds, or of all, in the minute that ends now."""
        while self._ended and self._ended[0][0] <= now_s:
            _, kind, count = self._ended.popleft()
            self._counted[kind] -= count
        return sum(self._open[kind] + self._counted[kind] for kind in kinds or tuple(Kind))

    def paused(self, now_s: float) -> bool:
        """Whether a throttle notice forbids anything now."""
        return now_s < self._paused_until_s

    def admits(self, kind: Kind, now_s: float) -> bool:
        """Whether one more point of this kind may go now."""
        if self.paused(now_s):
            return False
        limit, used, slow, fill = self.limit(now_s), self.used(now_s), self.used(now_s, Kind.SLOW), self.used(now_s, Kind.FILL)
        share = max(1, limit // 10)
        if kind is Kind.STATE:
            return used < limit - share - max(0, share - slow)
        if kind is Kind.SLOW:
            return used < limit - share and (used - fill < limit // 2 or slow < share)
        return fill < limit // 3 and used < limit * 4 // 5

    def tightness(self, now_s: float) -> float:
        """0 while there is plenty, 1 when only the slow values' own share is left."""
        limit = self.limit(now_s)
        return min(1.0, max(0.0, (self.used(now_s) - self.used(now_s, Kind.FILL)) / (limit / 2) * 2 - 1))

    def begin(self, kind: Kind) -> None:
        """A point is about to be sent."""
        self._open[kind] += 1

    def end(self, kind: Kind, now_s: float, count: int = 1) -> None:
        """So many points were acknowledged, or will never be."""
        self._open[kind] -= count
        self._note(kind, count, now_s)

    def open(self, kind: Kind) -> int:
        """Points of a kind that were begun and not ended."""
        return self._open[kind]

    def give_back(self, kind: Kind) -> None:
        """A point that was begun is not sent after all."""
        self._open[kind] -= 1

    def foreign(self, now_s: float, count: int = 1) -> None:
        """Somebody else of the account has sent points."""
        self._note(Kind.FOREIGN, count, now_s)

    def learn(self, limit: int, active: int, now_s: float) -> None:
        """What Adafruit IO itself says of the account: its limit, and the points of the minute."""
        self._limit = min(self._limit, limit) if limit > 0 else self._limit
        self.foreign(now_s, max(0, active - self.used(now_s)))

    def pause(self, seconds: float, now_s: float) -> None:
        """Keep silent so long: going on after a notice is what leads to a ban."""
        self._paused_until_s = max(self._paused_until_s, now_s + seconds + 1)

    def throttled(self, seconds: float, now_s: float) -> None:
        """Keep silent so long, and be more careful for a while: somebody else uses the account too."""
        self._trust = max(0.5, self.limit(now_s) / self._limit * 0.8)
        self._trust_s = now_s
        self.pause(seconds, now_s)

    def _note(self, kind: Kind, count: int, now_s: float) -> None:
        if count:
            self._ended.append((now_s + PERIOD_S, kind, count))
            self._counted[kind] += count
