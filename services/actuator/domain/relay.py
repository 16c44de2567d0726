"""One relay: which commands it follows, and what its own timers do."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hems.contracts.relays import Level, Source
from services.actuator.domain.admission import Instant, Request, refusal, waited
from services.actuator.domain.memory import Memory, RecentIds
from services.actuator.domain.rules import BY_THEMSELVES, HOUR_S, RelayRules, opposite

_LOCAL: Source = "local"
SILENT = "the broker or the lease's controller is silent"
LONGEST = "it was away from its safe state for its longest time"
OFFLINE = "its switch is offline"
LIMITS = frozenset({SILENT, LONGEST})
"""Reasons for which a relay ends what somebody asked for."""


@dataclass(frozen=True)
class Answer:
    """What became of a command; the reason says why not, or what is done later. `slot` is where its id is kept."""

    accepted: bool
    reason: str | None = None
    slot: int | None = None


@dataclass(frozen=True)
class Change:
    """The pin has to change, and why. `source` is absent where no command asked for it."""

    level: Level
    source: Source | None
    reason: str


@dataclass(frozen=True)
class Hold:
    """The command in force. `until_s` is None without a lease."""

    source: Source
    since_s: float
    until_s: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """What a command changes in a relay."""

    values: Mapping[str, Any]


_UNDONE = (
    "level", "target", "hold", "_changed_s", "_switched_s", "_away_used_s", "_newest_issued", "_person_until_s", "_last_unleased",
)  # fmt: skip


class Relay:
    """Decides for one relay. Every method takes the time; nothing here looks at a clock.

    It begins in its safe state: whoever makes one puts the pin there.

    Attributes:
        level: where the pin is to stand.
        target: where it goes as soon as its minimum times allow.
        hold: the command in force, if any.
        offline: its switch can't be reached, and is known to be away.
    """

    def __init__(
        self, rules: RelayRules, now_s: float, *, boot: str = "", memory: Memory | None = None, ids: RecentIds | None = None
    ) -> None:
        self.rules = rules
        self.level: Level = rules.safe
        self.target: Level = rules.safe
        self.hold: Hold | None = None
        self.offline = False
        self._boot = boot
        self._changed_s = now_s
        self._switched_s: list[float] = []
        self._away_used_s = 0.0
        self._newest_issued: dict[Source, datetime] = {}
        self._ids = ids or RecentIds()
        self._person_until_s = -math.inf
        self._last_unleased: Level = rules.safe
        self._broker_heard_s = now_s
        self._controller_heard_s: dict[Source, float] = {}
        self._changes: list[Change] = []
        if memory is not None:
            self._remember(memory.in_boot(boot, now_s), now_s)

    @property
    def has_changes(self) -> bool:
        """Whether `take_changes` would give something."""
        return bool(self._changes)

    @property
    def until_s(self) -> float | None:
        """When this state ends by itself, at the latest, on the monotonic clock."""
        return min(self._ends(self._lease_end_s, self._away_end_s), default=None)

    @property
    def next_due_s(self) -> float:
        """When `step` has something to do, if nothing else happens; infinity for never."""
        return min(self._ends(self._lease_end_s, self._away_end_s, self._silent_from_s), default=math.inf)

    def command(self, request: Request, now: Instant) -> Answer:
        """Follow a command, or say why not."""
        now_s, command, source = now.monotonic_s, request.command, request.source
        self.heard(now_s, source if not request.retained else None)
        self.step(now_s)
        reason = refusal(request, self.rules, now) or self._out_of_order(request)
        if reason is not None:
            return Answer(accepted=False, reason=reason)
        if command.id is not None and command.id in self._ids:
            return Answer(accepted=True, reason="done before: the same id switches once")
        wanted = opposite(self.target) if command.state == "TOGGLE" else command.state
        reason = self._outranked(source, now_s) or self._not_now(wanted, now_s) or self._late(request, wanted)
        if reason is not None:
            return Answer(accepted=False, reason=reason)
        return self._accept(request, wanted, now)

    def heard(self, now_s: float, source: Source | None = None) -> None:
        """Something came from the broker, and where it tells, from a controller."""
        self._broker_heard_s = now_s
        if source is not None:
            self._controller_heard_s[source] = now_s

    def step(self, now_s: float) -> None:
        """Do what time asks for: ends of leases, silence, the longest time away, switches that had to wait."""
        if self._silent_from_s is not None and now_s >= self._silent_from_s:
            self._retreat(SILENT, now_s)
        if self._lease_end_s is not None and now_s >= self._lease_end_s:
            self._rest("the lease ended", now_s)
        if self._away_end_s is not None and now_s >= self._away_end_s:
            self._retreat(LONGEST, now_s)
        self._pursue("its minimum time is over", now_s)

    def observe(self, level: Level, now_s: float) -> None:
        """The device was switched by hand: that is the state from now on, and the longest time away counts for it too."""
        if level != self.level:
            self.hold = None
            self.target = self._last_unleased = level
            self._switch(Change(level, None, "switched at the device itself"), now_s)

    def lose(self, now_s: float, *, confirmed: bool) -> None:
        """Its switch is offline. What it has not confirmed of what leaves safety is given up, so that it is not done late."""
        self.offline = True
        if not confirmed and self.target != self.rules.safe:
            self._retreat(f"{OFFLINE}, and had not confirmed", now_s)

    def checkpoint(self) -> Checkpoint:
        """Where it stands, to come back to if a command can't be done."""
        return Checkpoint({name: getattr(self, name) for name in _UNDONE})

    def undo(self, to: Checkpoint, command_id: str | None) -> None:
        """A command could not be done: all is as before, and the same id may come again."""
        vars(self).update(to.values)
        self._changes = []
        if command_id is not None:
            self._ids.forget(command_id)

    def stop(self, reason: str, now_s: float) -> None:
        """Go to safe at once, whatever the minimum times say: the pin is about to be let go."""
        self.hold, self.target = None, self.rules.safe
        if self._away:
            self._switch(Change(self.target, None, reason), now_s)

    def leaves_safety(self, request: Request) -> bool:
        """Whether a command asks for the other state than the safe one."""
        state = request.command.state
        return (opposite(self.target) if state == "TOGGLE" else state) != self.rules.safe

    def take_changes(self) -> list[Change]:
        """What the pin has to do since the last call, in order."""
        changes, self._changes = self._changes, []
        return changes

    def memory(self, now_s: float) -> Memory:
        """What the journal has to keep."""
        return Memory(
            boot=self._boot,
            saved_s=now_s,
            level=self.level,
            changed_s=self._changed_s,
            switched_s=tuple(self._switched_s),
            away_used_s=self._away_used_s,
            newest_issued=dict(self._newest_issued),
            next_slot=self._ids.next_slot,
        )

    @property
    def _away(self) -> bool:
        return self.level != self.rules.safe

    @property
    def _compressor(self) -> bool:
        return self.rules.safe == "ON" and not self.rules.safe_overrides_min_off

    def _ends(self, *ends: float | None) -> list[float]:
        waiting = self._allowed_from(self.target)[0] if self.target != self.level else None
        return [end for end in (*ends, waiting) if end is not None]

    @property
    def _lease_end_s(self) -> float | None:
        return self.hold.until_s if self.hold else None

    @property
    def _away_end_s(self) -> float | None:
        if self.rules.max_away_s is None or not self._away or self.target == self.rules.safe:
            return None
        return self._changed_s + self.rules.max_away_s - self._away_used_s

    @property
    def _silent_from_s(self) -> float | None:
        longest_s, hold = self.rules.silent_after_s, self.hold
        if longest_s is None or self.target == self.rules.safe:
            return None
        from_s = self._broker_heard_s + longest_s
        if hold is None or hold.until_s is None or hold.source == _LOCAL:
            return from_s
        return min(from_s, self._controller_heard_s.get(hold.source, hold.since_s) + min(longest_s, hold.until_s - hold.since_s))

    def _out_of_order(self, request: Request) -> str | None:
        issued_at, newest = request.command.issued_at, self._newest_issued.get(request.source)
        if issued_at is not None and newest is not None and issued_at < newest:
            return f"issued before the newest command from {request.source}, of {newest.isoformat()}"
        return None

    def _outranked(self, source: Source, now_s: float) -> str | None:
        if source in BY_THEMSELVES and now_s < self._person_until_s:
            return f"a person's command goes first, for {math.ceil(self._person_until_s - now_s)} s"
        return None

    def _not_now(self, wanted: Level, now_s: float) -> str | None:
        if wanted == self.rules.safe or wanted == self.level:
            return None
        allowed_s, reason = self._allowed_from(wanted)
        return f"{reason}; wait {math.ceil(allowed_s - now_s)} s" if now_s < allowed_s else None

    def _late(self, request: Request, wanted: Level) -> str | None:
        if wanted == self.rules.safe:
            return None
        return OFFLINE if self.offline else waited(request)

    def _accept(self, request: Request, wanted: Level, now: Instant) -> Answer:
        command, now_s = request.command, now.monotonic_s
        until_s = None if command.for_s is None else now_s + command.for_s
        self.hold, self.target = Hold(request.source, now_s, until_s), wanted
        if until_s is None:
            self._last_unleased = wanted
        if request.source not in BY_THEMSELVES:
            self._person_until_s = now_s + self.rules.person_holds_s if until_s is None else until_s
        self._note_issued(request, now)
        slot = None if command.id is None else self._ids.add(command.id)
        self._pursue(f"{request.source} asked", now_s)
        return Answer(accepted=True, reason=self._deferral(now_s), slot=slot)

    def _note_issued(self, request: Request, now: Instant) -> None:
        issued_at = request.command.issued_at or (now.wall if now.wall_known else None)
        newest = self._newest_issued.get(request.source)
        if issued_at is not None and (newest is None or issued_at > newest):
            self._newest_issued = {**self._newest_issued, request.source: issued_at}

    def _deferral(self, now_s: float) -> str | None:
        if self.offline:
            return f"{OFFLINE}; it is told as soon as it is back"
        if self.target == self.level:
            return None
        allowed_s, reason = self._allowed_from(self.target)
        return f"{reason}; it switches in {math.ceil(allowed_s - now_s)} s"

    def _rest(self, reason: str, now_s: float) -> None:
        self.hold = None
        self.target = self.rules.resting or self._last_unleased
        if self._silent_from_s is not None and now_s >= self._silent_from_s:
            # Nobody is heard: it must not even click on its way.
            self._retreat(SILENT, now_s)
        self._pursue(reason, now_s)

    def _retreat(self, reason: str, now_s: float) -> None:
        """To safe, for good: a later lease must not end in what was cut short here."""
        self.hold = None
        self.target = self._last_unleased = self.rules.safe
        self._pursue(reason, now_s)

    def _pursue(self, reason: str, now_s: float) -> None:
        if self.target != self.level and now_s >= self._allowed_from(self.target)[0]:
            self._switch(Change(self.target, self.hold.source if self.hold else None, reason), now_s)

    def _switch(self, change: Change, now_s: float) -> None:
        if self._away:
            self._away_used_s += now_s - self._changed_s
        elif now_s - self._changed_s >= self.rules.rest_s:
            self._away_used_s = 0.0
        self.level, self._changed_s = change.level, now_s
        self._switched_s = [at_s for at_s in self._switched_s if at_s > now_s - HOUR_S] + [now_s]
        self._changes.append(change)

    def _allowed_from(self, level: Level) -> tuple[float, str]:
        """From when it may switch to a level, and what it waits for."""
        waits = [(-math.inf, "")]
        if level != self.rules.safe:
            waits += [self._minimum(level), self._hourly(), self._rested()]
        elif level == "ON" and self._compressor:
            waits.append(self._minimum(level))
        return max(waits)

    def _minimum(self, level: Level) -> tuple[float, str]:
        if level == "ON":
            return self._changed_s + self.rules.min_off_s, "its minimum off time is not over"
        return self._changed_s + self.rules.min_on_s, "its minimum on time is not over"

    def _hourly(self) -> tuple[float, str]:
        # One switch is kept in reserve for the way back to safe.
        excess = len(self._switched_s) + 2 - self.rules.max_switches_per_hour
        allowed_s = self._switched_s[excess - 1] + HOUR_S if excess > 0 else -math.inf
        return allowed_s, f"it has had its {self.rules.max_switches_per_hour} switches of this hour"

    def _rested(self) -> tuple[float, str]:
        # A compressor that is switched off must have the time to stay off.
        needed_s = self.rules.min_off_s if self._compressor else 0.0
        longest_s = math.inf if self.rules.max_away_s is None else self.rules.max_away_s
        tired = self._away_used_s > 0 and self._away_used_s + needed_s >= longest_s
        return (self._changed_s + self.rules.rest_s if tired else -math.inf), LONGEST

    def _remember(self, memory: Memory, now_s: float) -> None:
        self._switched_s = [at_s for at_s in memory.switched_s if at_s > now_s - HOUR_S]
        self._newest_issued = dict(memory.newest_issued)
        self._away_used_s = memory.away_used_s
        if memory.level != self.rules.safe:
            self._away_used_s += now_s - memory.changed_s
            self._switched_s.append(now_s)


def wall_time_of(at_s: float, now: Instant, rate: float = 1.0) -> datetime:
    """A monotonic time as people read it, by the clocks of now; the wall runs at `rate`."""
    return now.wall + timedelta(seconds=min(at_s - now.monotonic_s, 366 * 86_400.0) * rate)
