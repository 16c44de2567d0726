"""The home's side of the group of feeds: what each should show, what it shows, and what is to be said about the difference."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from hems.contracts.relays import Level, RelayResult
from services.bridge_adafruit.domain.echoes import Echoes, alike
from services.bridge_adafruit.domain.feeds import Feed
from services.bridge_adafruit.domain.gap import Batch, Gap
from services.bridge_adafruit.domain.governor import Governor
from services.bridge_adafruit.domain.instant import Instant
from services.bridge_adafruit.domain.quota import Quota
from services.bridge_adafruit.domain.toggles import Toggle, read_level

COMMAND_HOLDS_S = 10.0
_ANSWER_WITHIN_S = COMMAND_HOLDS_S + 2
_LAST_VALUES_WITHIN_S = 5.0
_SAY_AGAIN_AFTER_S = 900.0
_AFTER_A_COMPLAINT_S = 20.0
_HISTORY = timedelta(minutes=2)


@dataclass(frozen=True)
class Pressed:
    """Somebody wants a relay switched."""

    relay: str
    level: Level


@dataclass(frozen=True)
class Ordered:
    """Somebody wants a hook's action done, by its name in the feed of orders."""

    hook: str


@dataclass(frozen=True)
class _Newest:
    value: str
    at: datetime


class Mirror:
    """Decides what goes out and what comes in. Nothing that a connection begins with is ever a command.

    Args:
        feeds: all of the group's feeds that we show something on.
        quota: the account's points.
        most_kept: points kept of a feed while the cloud is away.
        orders: the key of the feed that takes the names of hooks, if there is one.
    """

    def __init__(self, feeds: Sequence[Feed], quota: Quota, most_kept: int, orders: str | None = None) -> None:
        self._feeds = {feed.key: feed for feed in feeds}
        self._orders = orders
        self._present: frozenset[str] = frozenset()
        self._newest: dict[str, _Newest] = {}
        self._shown: dict[str, str | None] = {}
        self._shown_s: dict[str, float] = {}
        self._toggles = {feed.relay: Toggle() for feed in feeds if feed.relay}
        self._keys = {feed.relay: feed.key for feed in feeds if feed.relay}
        self._echoes = Echoes()
        self._settling_until_s: float | None = None
        paces = {feed.key: feed.every_s for feed in feeds}
        self.governor = Governor(quota, paces)
        self.gap = Gap(quota, most_kept, paces)
        self.quota = quota
        self.online = False
        self.unreadable = 0

    def hear(self, key: str, value: str, at: datetime, now: Instant) -> None:
        """A feed should show a new value, which was true at `at`."""
        if now.at - at > _HISTORY and self._feeds[key].every_s:
            return
        self._newest[key] = _Newest(value, at)
        # A toggle's past is of no use, and a toggle that is filled in might switch.
        if not self.online and self._feeds[key].relay is None and (key in self._present or not self._present):
            self.gap.note(key, value, at)
        self._reconcile(key, now)

    def see(self, relay: str, level: Level, at: datetime, now: Instant) -> None:
        """Where a relay stands."""
        if relay in self._toggles:
            self._toggles[relay].see(level)
            self.hear(self._keys[relay], level, at, now)

    def answer(self, relay: str, result: RelayResult, now: Instant) -> bool | None:
        """The actuator's answer; whether it accepted a command of ours, or None where it is not ours."""
        toggle = self._toggles.get(relay)
        accepted = toggle.answer(result, now.s) if toggle else None
        if accepted is False:
            self._reconcile(self._keys[relay], now)
        return accepted

    def asked(self, relay: str, identity: str, level: Level, now: Instant) -> None:
        """A command is being said."""
        self._toggles[relay].ask(identity, level, now.s + _ANSWER_WITHIN_S)

    def not_asked(self, relay: str, identity: str, now: Instant) -> None:
        """A command could not be said: the toggle goes back."""
        self._toggles[relay].fail(identity)
        self._reconcile(self._keys[relay], now)

    def exist(self, present: Collection[str]) -> None:
        """Which of the feeds there are; nothing is said to others, since a full account counts each as a failure."""
        self._present = frozenset(present) & self._feeds.keys()

    @property
    def engaged(self) -> bool:
        """Whether there is a connection, or one begins."""
        return self.online or self._settling_until_s is not None

    @property
    def present(self) -> frozenset[str]:
        """The feeds that there are."""
        return self._present

    def is_state(self, key: str) -> bool:
        """Whether a feed shows each change at once."""
        return not self._feeds[key].every_s

    def connected(self, now: Instant) -> None:
        """A connection begins. The last values come first; until then nothing is said and nothing is a command."""
        self._echoes.reconnect()
        self._settling_until_s = now.s + _LAST_VALUES_WITHIN_S
        self.online = False

    def disconnected(self) -> None:
        """The connection is over. What waits will be judged anew; what can be filled in is kept for that."""
        self.online, self._settling_until_s = False, None
        for key, waiting in self.governor.waiting.items():
            if self._feeds[key].relay is None:
                self.gap.note(key, waiting.value, waiting.at)
        self.governor.waiting.clear()

    def adopt(self, values: Mapping[str, str], now: Instant) -> None:
        """What feeds show, from the HTTP API or the answer to `/get`. It never switches anything."""
        for key, value in values.items():
            if key in self._feeds:
                self._shown[key], self._shown_s[key] = value, now.s
                if self.online:
                    self._reconcile(key, now)

    def incoming(self, values: Mapping[str, str], now: Instant, *, awake: bool = True) -> list[Pressed | Ordered]:
        """Values that the cloud sends: echoes, the answer to `/get`, or what somebody pressed.

        A toggle, a voice and a feed's webhook each send one value alone; the last values come all together. So several
        at once are never commands, nor is anything before the last values have come.

        Args:
            values: by the feeds' keys in the group.
            now: when they came.
            awake: False where they may have waited while this program stood still: then they only show.
        """
        if self._settling_until_s is not None:
            self.adopt(values, now)
            # One value alone may be a toggle that was pressed meanwhile.
            if len(values) != 1 or len(self._present) < 2:
                self._settle(now)
            return []
        wanted = [self._heard(key, value, now, command=awake and len(values) == 1) for key, value in values.items()]
        return [want for want in wanted if want is not None]

    def tick(self, now: Instant) -> list[str]:
        """Let time pass: relays whose command got no outcome, so that their toggle goes back."""
        if self._settling_until_s is not None and now.s >= self._settling_until_s:
            self._settle(now)
        for key in self._echoes.missed(now.s):
            self._doubt(key, now)
        expired = [relay for relay, toggle in self._toggles.items() if toggle.expire(now.s)]
        for relay in expired:
            self._reconcile(self._keys[relay], now)
        return expired

    def due(self, now: Instant) -> dict[str, str]:
        """What to send now, in one message; tell the outcome by `acknowledged` or `unsure`."""
        if not self.online or self.quota.paused(now.s):
            return {}
        self._put_stale_aside(now)
        chosen = {key: waiting.value for key, waiting in self.governor.take(now.s).items()}
        for key, value in chosen.items():
            self._echoes.expect(key, value, now.s)
        return chosen

    def acknowledged(self, values: Mapping[str, str], now: Instant) -> None:
        """The cloud has them."""
        for key, value in values.items():
            self.quota.end(self.governor.kind(key), now.s)
            # What has come back was noted then, and somebody may have pressed the toggle since.
            if self._echoes.waits(key, value):
                self._shown[key], self._shown_s[key] = value, now.s
            self._reconcile(key, now)

    def unsure(self, values: Mapping[str, str], now: Instant) -> None:
        """No answer came: they may have arrived, which the next connection's last values tell."""
        for key in values:
            self.quota.end(self.governor.kind(key), now.s)
            self._shown[key] = None

    def throttled(self, seconds: float, now: Instant) -> None:
        """Something that was said lately was thrown away; keep silent, then say again what did not come back."""
        self.quota.throttled(seconds, now.s)
        self._doubt_what_is_out(now)

    def complained(self, now: Instant) -> None:
        """Something was not taken, of ours or of another client. Ten failures in a minute are a ban: wait a little."""
        self.quota.pause(_AFTER_A_COMPLAINT_S, now.s)
        self._doubt_what_is_out(now)

    def fill(self, now: Instant) -> Batch | None:
        """The next batch of an outage's points, if there is room for it."""
        if not self.online or any(not self._feeds[key].every_s for key in self.governor.waiting):
            return None
        batch = self.gap.batch(now.at, now.s)
        for point in batch.points if batch else ():
            self._echoes.expect(batch.key if batch else "", point.value, now.s, live=False)
        return batch

    def _heard(self, key: str, value: str, now: Instant, *, command: bool) -> Pressed | Ordered | None:
        if key == self._orders:
            self.quota.foreign(now.s)
            return Ordered(value.strip()) if command else None
        if key not in self._feeds:
            return None
        echo = self._echoes.take(key, value, now.s)
        if echo is None:
            self.quota.foreign(now.s)
        # An echo that others of ours follow is old already.
        if echo is None or (echo and not self._echoes.outstanding(key)):
            self._shown[key], self._shown_s[key] = value, now.s
        pressed = self._pressed(key, value) if command and echo is None else None
        if pressed is None:
            self._reconcile(key, now)
        return pressed

    def _pressed(self, key: str, value: str) -> Pressed | None:
        relay = self._feeds[key].relay
        if relay is None:
            return None
        level = read_level(value)
        self.unreadable += level is None
        return Pressed(relay, level) if level is not None and level != self._toggles[relay].expected else None

    def _settle(self, now: Instant) -> None:
        self._settling_until_s, self.online = None, True
        for key in self._newest:
            self._reconcile(key, now)
        self.gap.drop_newest({key: waiting.value for key, waiting in self.governor.waiting.items()})

    def _doubt_what_is_out(self, now: Instant) -> None:
        for key in self._echoes.missed(now.s, at_once=True):
            self._doubt(key, now)

    def _doubt(self, key: str, now: Instant) -> None:
        self._shown[key] = None
        self._reconcile(key, now)

    def _reconcile(self, key: str, now: Instant) -> None:
        """Let a feed say what it should show, where it shows something else."""
        wanted = self._wanted(key, now)
        if not self.online or wanted is None or key not in self._present:
            self.governor.withdraw(key)
        else:
            self.governor.offer(key, wanted.value, wanted.at, now.s)

    def _wanted(self, key: str, now: Instant) -> _Newest | None:
        feed, newest = self._feeds[key], self._newest.get(key)
        if newest is None or (feed.every_s and now.at - newest.at > _HISTORY):
            return None
        if feed.relay and self._toggles[feed.relay].shows != newest.value:
            return None
        since_s = now.s - self._shown_s.get(key, now.s)
        again = feed.every_s > 0 and since_s >= _SAY_AGAIN_AFTER_S
        return newest if again or not alike(self._shown.get(key), newest.value) else None

    def _put_stale_aside(self, now: Instant) -> None:
        """A value that waited for too long is no longer now: it is filled in with its own time."""
        for key, waiting in list(self.governor.waiting.items()):
            if self._feeds[key].every_s and now.at - waiting.at > _HISTORY:
                self.governor.withdraw(key)
                self.gap.note(key, waiting.value, waiting.at)
