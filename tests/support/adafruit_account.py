"""An account at Adafruit IO as it behaves: feeds and their points, a quota in a sliding minute, throttle notices and bans.

Both stand-ins are made of it: the one in memory, for a clock that a test moves, and the real broker with its HTTP API.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from hems.actor.clock import Clock

_PERIOD_S = 60.0
_PATIENT_WITH = 3
"""So many values after a notice are a ban."""


@dataclass(frozen=True)
class Held:
    """A point of a feed."""

    created_at: datetime
    value: str


@dataclass
class AdafruitAccount:
    """What one account holds, and who listens to it.

    Attributes:
        limit: points a minute.
        feeds: the points of each feed, by its key in the group, in the order in which they came.
        arrivals: when (s) each point came, over MQTT and HTTP.
        notices: all that was said on `throttle` and `errors`.
        bans: when (s) each ban began.
        away: it can't be reached.
        listeners: told of values by key, and of notices by `throttle` or `errors` and their text.
        throws_away: so many of the next messages are throttled, whatever the quota.
    """

    clock: Clock
    limit: int = 30
    feeds: dict[str, list[Held]] = field(default_factory=dict[str, list[Held]])
    arrivals: list[float] = field(default_factory=list[float])
    notices: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    bans: list[float] = field(default_factory=list[float])
    away: bool = False
    knows_key: bool = True
    throws_away: int = 0
    on_values: list[Callable[[Mapping[str, str]], None]] = field(default_factory=list[Callable[[Mapping[str, str]], None]])
    on_notice: list[Callable[[str, str], None]] = field(default_factory=list[Callable[[str, str], None]])
    on_ban: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])
    _window: deque[float] = field(default_factory=deque[float])
    _strikes: int = 0
    _banned_until_s: float = float("-inf")

    @property
    def banned(self) -> bool:
        """Whether all clients are shut out now."""
        return self.clock.monotonic() < self._banned_until_s

    def shown(self, key: str) -> str | None:
        """What a feed shows: the point with the newest time."""
        held = self.feeds.get(key)
        return max(reversed(held), key=lambda point: point.created_at).value if held else None

    def last_values(self) -> dict[str, str]:
        """What `/get` answers: the feeds that hold something."""
        return {key: value for key in self.feeds if (value := self.shown(key)) is not None}

    def active(self) -> int:
        """Points of the minute that ends now."""
        now_s = self.clock.monotonic()
        while self._window and self._window[0] <= now_s - _PERIOD_S:
            self._window.popleft()
        return len(self._window)

    def take(self, values: Mapping[str, str]) -> bool:
        """Values over MQTT, from any client; False where they were thrown away."""
        if self.banned:
            return False
        unknown = sorted(values.keys() - self.feeds.keys())
        if unknown:
            self.say("errors", f"{unknown[0]} could not be created: the account has too many feeds")
            return False
        if not self._admitted(len(values)):
            return False
        for key, value in values.items():
            self.feeds[key].append(Held(self.clock.now(), value))
        for listener in list(self.on_values):
            listener(values)
        return True

    def fill(self, key: str, points: list[Held]) -> bool:
        """Points over HTTP, with times of their own; they are told to all who listen, as any others."""
        if not self._admitted(len(points)):
            return False
        self.feeds[key] += points
        for point in points:
            for listener in list(self.on_values):
                listener({key: point.value})
        return True

    def press(self, key: str, value: str) -> bool:
        """A person, a voice or a feed's webhook sets one feed."""
        return self.take({key: value})

    def say(self, topic: str, text: str) -> None:
        """A notice to all who listen."""
        self.notices.append((topic, text))
        for listener in list(self.on_notice):
            listener(topic, text)

    def ban(self) -> None:
        """Shut every client out: 30 s, longer each time."""
        now_s = self.clock.monotonic()
        seconds = 30 * (len(self.bans) + 1)
        self.bans.append(now_s)
        self._banned_until_s = now_s + seconds
        self._strikes = 0
        self.say("errors", f"tester has been banned temporarily, {seconds} seconds until ban is lifted")
        for listener in list(self.on_ban):
            listener()

    def _admitted(self, count: int) -> bool:
        now_s = self.clock.monotonic()
        if self.active() + count > self.limit or self.throws_away:
            self.throws_away -= bool(self.throws_away)
            self._strikes += 1
            wait_s = int(_PERIOD_S - (now_s - self._window[0])) + 1 if self._window else 5
            self.say("throttle", f"tester data rate limit reached, {wait_s} seconds until throttle released")
            if self._strikes > _PATIENT_WITH:
                self.ban()
            return False
        self._strikes = 0
        self._window.extend(now_s for _ in range(count))
        self.arrivals.extend(now_s for _ in range(count))
        return True


def busiest_minute(arrivals: list[float]) -> int:
    """The most points in any sliding minute."""
    window: deque[float] = deque()
    most = 0
    for arrival_s in sorted(arrivals):
        window.append(arrival_s)
        while window[0] <= arrival_s - _PERIOD_S:
            window.popleft()
        most = max(most, len(window))
    return most
