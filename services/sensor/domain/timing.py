"""When a reading was taken, and when silence means that something is wrong."""

from dataclasses import dataclass
from datetime import datetime, timedelta

_TICK = timedelta(microseconds=1)
_SMALL_STEP = timedelta(seconds=5)


class ReadingTimes:
    """Times that tell readings apart: a reading's time is its identity, so no two may share one.

    A clock that is set back by up to 5 s (as time servers do) is waited for, a microsecond a reading; one that is set
    back farther was wrong before, and is followed.
    """

    def __init__(self) -> None:
        self._last: datetime | None = None

    def after(self, now: datetime) -> datetime:
        """The time of a line whose last byte has come now."""
        if self._last is not None and self._last - _SMALL_STEP < now <= self._last:
            now = self._last + _TICK
        self._last = now
        return now


@dataclass
class Silence:
    """How long no valid line has come, on a clock that never jumps, s."""

    silent_after_s: float
    since_s: float
    silent: bool = False

    def line(self, now_s: float) -> bool:
        """A valid line has come. True where that ends a silence that was told."""
        self.since_s = now_s
        ended, self.silent = self.silent, False
        return ended

    def begins(self, now_s: float) -> bool:
        """True once, when the silence has lasted long enough to be told."""
        if self.silent or now_s - self.since_s < self.silent_after_s:
            return False
        self.silent = True
        return True
