"""A bridge's mirror and an Adafruit IO account over a long time in a moment: no sockets, delays drawn at random."""

import heapq
import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hems.contracts.relays import Level, RelayResult
from hems.testing.clocks import START
from services.bridge_adafruit.domain.feeds import DEFAULTS, Feed, fitting
from services.bridge_adafruit.domain.instant import Instant
from services.bridge_adafruit.domain.mirror import Mirror, Pressed
from services.bridge_adafruit.domain.quota import Quota
from tests.support.adafruit_account import AdafruitAccount


class StepClock:
    """A clock that the simulation sets."""

    rate = 1.0
    seconds = 0.0

    def now(self) -> datetime:
        """The simulation's time."""
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """The simulation's seconds."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Nobody sleeps here."""
        raise NotImplementedError


@dataclass
class World:
    """The home, the mirror and the account.

    Attributes:
        latencies_s: how long each relay's change took to be shown.
        commands: what was asked of the relays, and when (s).
        refuses: whether the home's actuator refuses a command.
        most_delay_s: of a message on its way, there or back.
    """

    relays: tuple[str, ...]
    limit: int
    seed: int = 1
    most_delay_s: float = 0.4
    most_feeds: int | None = None
    latencies_s: list[float] = field(default_factory=list[float])
    commands: list[tuple[float, Pressed]] = field(default_factory=list[tuple[float, Pressed]])
    refuses: Callable[[Pressed], bool] = lambda pressed: False

    def __post_init__(self) -> None:
        self.clock = StepClock()
        self.random = random.Random(self.seed)
        self.feeds: tuple[Feed, ...] = fitting(DEFAULTS, self.relays, self.most_feeds)[0]
        self.account = AdafruitAccount(self.clock, self.limit, feeds={feed.key: [] for feed in self.feeds})
        self.mirror = Mirror(self.feeds, Quota(self.limit), 60)
        self.levels: dict[str, Level] = dict.fromkeys(self.relays, "OFF")
        self._changed_s: dict[str, float] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._turn = itertools.count()
        self._busy: Mapping[str, str] = {}
        self._life = 0
        self.connected = False
        self._arrived: dict[str, float] = {}
        self.account.on_values.append(self._echo)
        self.account.on_notice.append(self._notice)

    def now(self) -> Instant:
        """Now."""
        return Instant(self.clock.now(), self.clock.seconds)

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something after a while; what is equally late keeps its order."""
        heapq.heappush(self._events, (self.clock.seconds + seconds, next(self._turn), what))

    def every(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something again and again."""

        def again() -> None:
            what()
            self.later(seconds, again)

        self.later(seconds, again)

    def connect(self) -> None:
        """A connection begins, and its last values come."""
        self.connected = True
        self.mirror.exist(self.account.feeds)
        self.mirror.connected(self.now())
        self._echo(self.account.last_values())

    def drop(self) -> None:
        """The connection breaks; what is on its way up may still arrive, what comes down does not."""
        self._life += 1
        self.connected = False
        self._arrived.clear()
        if self._busy:
            self.mirror.unsure(self._busy, self.now())
            self._busy = {}
        self.mirror.disconnected()

    def run(self, seconds: float) -> None:
        """Let the time pass."""
        end_s = self.clock.seconds + seconds
        while self._events and self._events[0][0] <= end_s:
            self.clock.seconds, _, what = heapq.heappop(self._events)
            what()
            self.speak()
        self.clock.seconds = end_s

    def relay(self, relay: str, level: Level) -> None:
        """A relay changes."""
        if self.levels[relay] != level:
            self._changed_s[relay] = self.clock.seconds
        self.levels[relay] = level
        self.mirror.see(relay, level, self.clock.now(), self.now())

    def show(self, key: str, value: str) -> None:
        """A feed should show something."""
        self.mirror.hear(key, value, self.clock.now(), self.now())

    def tick(self) -> None:
        """A second has passed."""
        self.mirror.tick(self.now())

    def speak(self) -> None:
        """Send what is due: one message at a time, its answer after a delay."""
        values = {} if self._busy or not self.connected else self.mirror.due(self.now())
        if values:
            self._busy = values
            self._in_order("up", lambda: self._arrive(values))

    def _arrive(self, values: Mapping[str, str]) -> None:
        self.account.take(values)
        if values is self._busy:
            self._in_order("down", lambda: self._answered(values))

    def _answered(self, values: Mapping[str, str]) -> None:
        self._busy = {}
        self.mirror.acknowledged(values, self.now())

    def _echo(self, values: Mapping[str, str]) -> None:
        for relay, level in self.levels.items():
            if values.get(relay) == level and relay in self._changed_s:
                self.latencies_s.append(self.clock.seconds - self._changed_s.pop(relay))
        if self.connected:
            self._in_order("down", lambda: self._heard(dict(values)))

    def _notice(self, topic: str, text: str) -> None:
        del topic, text
        if self.connected:
            self._in_order("down", lambda: self.mirror.throttled(20, self.now()))

    def _heard(self, values: Mapping[str, str]) -> None:
        for pressed in self.mirror.incoming(values, self.now()):
            assert isinstance(pressed, Pressed)
            self.commands.append((self.clock.seconds, pressed))
            identity = str(len(self.commands))
            self.mirror.asked(pressed.relay, identity, pressed.level, self.now())
            self.later(0.05, lambda pressed=pressed, identity=identity: self._actuate(pressed, identity))

    def _actuate(self, pressed: Pressed, identity: str) -> None:
        accepted = not self.refuses(pressed)
        self.mirror.answer(pressed.relay, RelayResult(id=identity, source="adafruit", accepted=accepted), self.now())
        if accepted:
            self.relay(pressed.relay, pressed.level)
            self._changed_s.pop(pressed.relay, None)

    def _in_order(self, way: str, what: Callable[[], None]) -> None:
        """TCP: what is sent later never comes earlier, and nothing comes down on a later connection."""
        life = self._life
        lost = way == "up" and self.random.random() < 0.5
        at_s = max(self.clock.seconds + self.random.uniform(0.01, self.most_delay_s), self._arrived.get(way, 0.0))
        self._arrived[way] = at_s

        def deliver() -> None:
            if life == self._life or (way == "up" and not lost):
                what()

        heapq.heappush(self._events, (at_s, next(self._turn), deliver))
