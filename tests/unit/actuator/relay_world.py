"""One relay in a random world: commands, floods, jumps of the clock, crashes, full disks; and what its board saw.

It drives the code that runs, with a board, a store and a voice that only remember. Time is a number.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, Self, get_args

from hems.actor.store import NotAccepted
from hems.contracts.relays import Level, RelayCommand, RelayResult, RelayState, Source
from services.actuator.domain.admission import EARLIEST, Request, TrustedTime
from services.actuator.domain.audit import Entry
from services.actuator.domain.inbox import Inbox
from services.actuator.domain.rules import RelayRules
from services.actuator.reception import Reception
from services.actuator.switchboard import Clocks, Switchboard

NAME = "load"
SOURCES: tuple[Source, ...] = get_args(Source)
START = datetime(2026, 1, 5, 12, tzinfo=UTC)


@dataclass(eq=False)
class PinEvent:
    """What the board saw: `true_s` is a time that nothing shifts."""

    true_s: float
    level: Level
    event: str
    boot: int


@dataclass
class Said:
    """A command, the circumstances, and what became of it."""

    request: Request
    run: int
    offered_toward_safe: bool
    wall: datetime = START
    newest_persisted: datetime | None = None
    newest_written: datetime = EARLIEST
    disk_failing: bool = False
    pins_before: int = -1
    pins_after: int = -1
    answer: RelayResult | None = None
    answered_s: float = -1.0
    turn: int = -1
    pin_after: Level | None = None
    wanted: Level | None = None


class MemoryBoard:
    """Remembers every change."""

    def __init__(self, world: "World", safe: Level, *, readable: bool) -> None:
        self._world, self._readable = world, readable
        self._safe: Level = safe
        self.level_now: Level = safe

    def __enter__(self) -> Self:
        self._set(self._safe, "claimed")
        return self

    def __exit__(self, *_: object) -> None:
        self._set(self.level_now, "released")

    def switch(self, relay: str, level: Level) -> None:
        self._set(level, "switched")

    def level(self, relay: str) -> Level | None:
        return self.level_now if self._readable else None

    def _set(self, level: Level, event: str) -> None:
        self.level_now = level
        self._world.pins.append(PinEvent(self._world.true_s, level, event, self._world.boot))


class MemoryTrail:
    """Remembers every entry."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)


class MemoryStore:
    """The journal's store: what was committed survives every crash."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.failing = False
        self.outbox: list[RelayResult] = []

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Generator["MemoryStore"]:
        if self.failing:
            raise NotAccepted("full")
        yield self

    def put(self, key: str, value: bytes) -> None:
        self.kept[key] = value

    def accept(self, topic: object, payload: RelayResult, **_: str) -> None:
        self.outbox.append(payload)

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)


class MemoryVoice:
    """Remembers the newest state, and every answer."""

    def __init__(self) -> None:
        self.newest: RelayState | None = None
        self.answers: list[RelayResult] = []

    def state(self, relay: str, state: RelayState) -> None:
        self.newest = state

    def answer(self, relay: str, result: RelayResult) -> None:
        self.answers.append(result)


@dataclass
class World:
    """A relay and its surroundings."""

    rules: RelayRules
    readable: bool = True
    inbox_capacity: int = 3
    true_s: float = 0.0
    boot_true_s: float = 0.0
    boot: int = 0
    run: int = 0
    restless: bool = False
    jump_s: float = 0.0
    jump_scale: float = 1.0
    pins: list[PinEvent] = field(default_factory=list[PinEvent])
    commands: list[Said] = field(default_factory=list[Said])
    heard: list[tuple[float, Source | None]] = field(default_factory=list[tuple[float, Source | None]])
    starts: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    shown: list[tuple[RelayState, Level]] = field(default_factory=list[tuple[RelayState, Level]])

    def __post_init__(self) -> None:
        self.store = MemoryStore()
        self.trail = MemoryTrail()
        self.voice = MemoryVoice()
        self._unanswered: list[Said] = []
        self._turns = 0
        self._newest_written = EARLIEST
        self.start()

    @property
    def monotonic_s(self) -> float:
        """The machine's clock, from its boot."""
        return 1_000.0 + self.true_s - self.boot_true_s

    @property
    def wall(self) -> datetime:
        """The time of day, with its jumps."""
        return START + timedelta(seconds=self.true_s + self.jump_s)

    @property
    def pin(self) -> Level:
        """Where the pin stands."""
        return self.board.level_now

    def start(self) -> None:
        """Start the actuator."""
        self.run += 1
        board: Any = MemoryBoard(self, self.rules.safe, readable=self.readable)
        trail: Any = self.trail
        voice: Any = self.voice
        context: Any = SimpleNamespace(store=self.store, health=SimpleNamespace(work=_ignore, error=_ignore, blind=None), accept=_ignore)
        clocks = Clocks(lambda: self.monotonic_s, lambda: self.wall, boot=str(self.boot), trust=TrustedTime)
        self.board: Any = board
        self.switchboard = Switchboard({NAME: self.rules}, board, trail, voice, context, clocks)
        self.switchboard.__enter__()
        self.reception = Reception(self.switchboard, Inbox(self.inbox_capacity))
        self._note_written()
        self.starts.append((self.true_s, self.boot))
        self.heard.append((self.true_s, None))
        self._look()

    def stop(self) -> None:
        """Stop it in order."""
        self.switchboard.__exit__(None, None, None)

    def restart(self, kind: str) -> None:
        """`stop`, `crash` (the pin keeps its level until the start), or `reboot` (the pins fall, the clock begins anew)."""
        self._unanswered.clear()
        if kind == "stop":
            self.stop()
        if kind == "reboot":
            self.boot += 1
            self.boot_true_s = self.true_s
        self.start()

    def pass_time(self, seconds: float) -> None:
        """Let time pass; the timers run when they are due."""
        end_s = self.true_s + seconds
        self._work_off()
        for _ in range(200):
            due_s = self.switchboard.relays[NAME].next_due_s - 1_000.0 + self.boot_true_s
            if due_s > end_s:
                break
            self.true_s = max(self.true_s, due_s) + 1e-9
            self._step()
        else:
            self.restless = True
        self.true_s = max(end_s, self.true_s)
        self._step()

    def hear(self, *sources: Source) -> None:
        """A sign of life of the broker, and of these sources."""
        self.heard.append((self.true_s, None))
        self.heard.extend((self.true_s, source) for source in sources)
        self.switchboard.heard(sources)

    def say(self, request: Request, *, work_off: bool = True) -> Said:
        """A command comes."""
        relay = self.switchboard.relays[NAME]
        said = Said(request, self.run, not relay.leaves_safety(request))
        self._begin(said)
        self.commands.append(said)
        self.heard.append((self.true_s, None if request.retained else request.source))
        self.heard.append((self.true_s, None))
        before = self._answer_count()
        self.reception.take(NAME, request)
        if self.reception.busy and self._answer_count() == before:
            self._unanswered.append(said)
        else:
            self._settle(said, self._answers_since(before))
        if work_off:
            self._work_off()
        self._look()
        return said

    def _settle(self, said: Said, answers: list[RelayResult]) -> None:
        """The first answer is the command's own; others are for those that it overtook, in order."""
        if answers[0].accepted:
            self._note_written()
        said.answer, said.answered_s, said.turn = answers[0], self.true_s, self._turn()
        said.pins_after, said.pin_after, said.wanted = len(self.pins), self.pin, self.switchboard.relays[NAME].target
        for overtaken, answer in zip(self._unanswered[: len(answers) - 1], answers[1:], strict=True):
            overtaken.answer, overtaken.answered_s, overtaken.turn = answer, self.true_s, self._turn()
            self._unanswered.remove(overtaken)

    def _begin(self, said: Said) -> None:
        newest = self.store.kept.get("newest_time")
        said.wall, said.newest_persisted = self.wall, datetime.fromisoformat(newest.decode()) if newest else None
        said.disk_failing, said.pins_before, said.newest_written = self.store.failing, len(self.pins), self._newest_written

    def _note_written(self) -> None:
        if not self.store.failing:
            self._newest_written = max(self._newest_written, self.wall)

    def _turn(self) -> int:
        self._turns += 1
        return self._turns

    def _work_off(self) -> None:
        while self.reception.busy:
            said, before = self._unanswered.pop(0), self._answer_count()
            self._begin(said)
            self.reception.work_off()
            self._settle(said, self._answers_since(before))

    def _answer_count(self) -> tuple[int, int]:
        return len(self.store.outbox), len(self.voice.answers)

    def _answers_since(self, counts: tuple[int, int]) -> list[RelayResult]:
        return self.store.outbox[counts[0] :] + self.voice.answers[counts[1] :]

    def _step(self) -> None:
        self.switchboard.step()
        self._look()

    def _look(self) -> None:
        self.switchboard.show(NAME)
        assert self.voice.newest is not None
        self.shown.append((self.voice.newest, self.pin))


def random_rules(random: Random) -> RelayRules:
    """A configuration that the settings would take."""
    safe: Level = random.choice(("ON", "OFF"))
    min_off_s = random.choice((0.0, 30.0, 600.0))
    return RelayRules(
        safe=safe,
        resting=random.choice((None, "ON", "OFF")),
        min_on_s=random.choice((0.0, 20.0, 60.0)),
        min_off_s=min_off_s,
        safe_overrides_min_off=random.random() < 0.3,
        max_away_s=random.choice((None, min_off_s + 100.0, min_off_s + 5_000.0)),
        rest_s=random.choice((10.0, 60.0)),
        max_switches_per_hour=random.choice((2, 4, 7, 60)),
        silent_after_s=random.choice((None, 30.0, 300.0)),
        person_holds_s=random.choice((0.0, 60.0, 3_600.0)),
        allow=frozenset(source for source in SOURCES if random.random() < 0.7),
    )


def random_request(random: Random, wall: datetime, *, timed: bool = True) -> Request:
    """A command, often wrong in some way."""
    state = random.choice(("ON", "OFF", "ON", "OFF", "TOGGLE"))
    timed = timed and random.random() < 0.5
    issued_s = random.choice((None, None, None, 0.0, -1.0, -30.0, 4.0, 6.0, -119.0, -121.0, -86_400.0, 86_400.0)) if timed else None
    expires_s = random.choice((None, None, None, 10.0, -1.0, 0.0, 86_400.0)) if timed else None
    command = RelayCommand(
        state=state,
        id=f"id-{random.randrange(12)}" if state == "TOGGLE" or random.random() < 0.5 else None,
        issued_at=None if issued_s is None else wall + timedelta(seconds=issued_s),
        expires_at=None if expires_s is None else wall + timedelta(seconds=expires_s),
        for_s=random.choice((None, None, 1.0, 25.0, 90.0, 1_000.0, 20_000.0)),
    )
    return Request(command, random.choice(SOURCES), retained=random.random() < 0.08)


def live(world: World, random: Random, *, events: int = 25, jumps: bool = True, timed: bool = True, restarts: bool = True) -> World:
    """A random history."""
    for _ in range(random.randrange(4, events)):
        _happen(world, random, jumps=jumps, timed=timed, restarts=restarts)
    world.pass_time(random.choice((1.0, 7_000.0)))
    world.stop()
    return world


def tempted_world(random: Random) -> World:
    """A relay with a longest time away, and somebody who tries to stretch it by short returns."""
    safe: Level = random.choice(("ON", "OFF"))
    rules = RelayRules(safe=safe, max_away_s=100.0, rest_s=random.choice((10.0, 60.0)), allow=frozenset(SOURCES))
    world = World(rules)
    for _ in range(20):
        request = Request(RelayCommand(state=random.choice(("ON", "OFF"))), random.choice(("local", "dashboard")))
        world.say(request)
        world.pass_time(random.choice((1.0, 5.0, 9.0, 30.0, 59.0, 90.0)))
    world.stop()
    return world


def _happen(world: World, random: Random, *, jumps: bool, timed: bool, restarts: bool) -> None:
    kind, jump_s = random.random(), random.choice((-86_400.0, 86_400.0, -400 * 86_400.0, -3.0, 30.0))
    again = random.choice(("stop", "crash", "reboot"))
    sources: list[Source] = [source for source in SOURCES if random.random() < 0.3]
    seconds = random.choice((0.0, 0.5, 3.0, 11.0, 24.0, 45.0, 200.0, 601.0, 3_000.0))
    if kind < 0.42:
        world.say(random_request(random, world.wall, timed=timed))
    elif kind < 0.72:
        world.pass_time(seconds)
    elif kind < 0.80:
        for _ in range(random.randrange(2, 8)):
            world.say(random_request(random, world.wall, timed=timed), work_off=random.random() < 0.3)
    elif kind < 0.88:
        world.hear(*sources)
    elif kind < 0.93 and jumps:
        world.jump_s += jump_s * world.jump_scale
    elif kind < 0.97 and restarts:
        world.restart(again)
    elif kind >= 0.97:
        world.store.failing = not world.store.failing


def random_world(random: Random, **options: Any) -> World:
    """A random relay after a random history."""
    return live(World(random_rules(random), readable=random.random() < 0.8), random, **options)


def known_times(said: Said) -> bool:
    """Whether the wall's time could be believed when a command came."""
    return said.wall >= max(said.newest_persisted or EARLIEST, EARLIEST)


def _ignore(*_: Any, **__: Any) -> None:
    return None
