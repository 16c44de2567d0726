"""The power cap: decided on a filtered power, never on one reading, and with hysteresis."""

from collections import deque
from datetime import datetime, timedelta
from statistics import median

_FEWEST = 3


class PowerFilter:
    """The median of the last `window_s` seconds' readings; unknown with fewer than three."""

    def __init__(self, window_s: float = 30.0) -> None:
        self._window = timedelta(seconds=window_s)
        self._readings: deque[tuple[datetime, float]] = deque()

    def add(self, measured_at: datetime, power_w: float) -> None:
        """A reading; one that is not newer than the last is ignored."""
        if not self._readings or measured_at > self._readings[-1][0]:
            self._readings.append((measured_at, power_w))
            self._forget(measured_at)

    def at(self, now: datetime) -> float | None:
        """The filtered power, W, or None where too little is known; readings from before the clock was set back don't count."""
        self._forget(now)
        return median(power_w for _, power_w in self._readings) if len(self._readings) >= _FEWEST else None

    def begin_anew(self) -> None:
        """A load was switched: what was measured before says nothing about now."""
        self._readings.clear()

    def _forget(self, now: datetime) -> None:
        while self._readings and self._readings[0][0] < now - self._window:
            self._readings.popleft()
        while self._readings and self._readings[-1][0] > now + self._window:
            self._readings.pop()


class PowerCap:
    """Says how the home stands to its limit. Over or under counts only once it has lasted."""

    def __init__(self, *, over_for_s: float = 10.0, under_for_s: float = 120.0, margin: float = 0.1) -> None:
        self._over_for = timedelta(seconds=over_for_s)
        self._under_for = timedelta(seconds=under_for_s)
        self._margin = margin
        self._over_since: datetime | None = None
        self._under_since: datetime | None = None

    def look(self, power_w: float | None, cap_w: float | None, returning_w: float, now: datetime) -> str:
        """`shed`, `restore` or `keep`.

        Args:
            power_w: the filtered power; unknown changes nothing.
            cap_w: the limit of now; None restores at once.
            returning_w: what the next load to come back would draw.
            now: domain time.
        """
        if cap_w is None:
            self._over_since = self._under_since = None
            return "restore"
        if power_w is None:
            self._over_since = self._under_since = None
            return "keep"
        self._over_since = (self._over_since or now) if power_w > cap_w else None
        self._under_since = (self._under_since or now) if power_w + returning_w < cap_w * (1 - self._margin) else None
        if self._over_since is not None and now >= self._over_since + self._over_for:
            return "shed"
        return "restore" if self._under_since is not None and now >= self._under_since + self._under_for else "keep"

    def acted(self) -> None:
        """A load was shed or brought back: look anew before the next."""
        self._over_since = self._under_since = None
