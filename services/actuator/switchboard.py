"""The relays with their board, journal and audit trail: everything between a command and its pin, without waiting."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Literal, Protocol, Self

import structlog

from hems.actor.context import Context
from hems.actor.logs import FaultLog, Log
from hems.actor.store import NotAccepted
from hems.contracts.alerts import LIMIT_REACHED, Alert
from hems.contracts.catalog import ALERT
from hems.contracts.relays import Level, RelayResult, RelayState, Source
from services.actuator.domain.admission import Instant, Request, TrustedTime
from services.actuator.domain.audit import Entry, Event
from services.actuator.domain.relay import LIMITS, Answer, Change, Checkpoint, Relay, wall_time_of
from services.actuator.domain.rules import RelayRules
from services.actuator.journal import Journal, Record
from services.actuator.voice import Voice

_LONGEST_REASON = 500
_NOTHING_ASKED = Answer(accepted=True)


class Board(AbstractContextManager["Board"], Protocol):
    """What the relays hang on. Entering it puts every relay into its safe state; leaving it releases them."""

    def switch(self, relay: str, level: Level) -> None:
        """Switch one relay.

        Raises:
            OSError: the board failed.
        """
        ...

    def level(self, relay: str) -> Level | None:
        """Where it stands, or None where that can't be read back.

        Raises:
            OSError: the board failed.
        """
        ...


class AuditTrail(AbstractContextManager["AuditTrail"], Protocol):
    """Where every switch and refusal is written down."""

    def add(self, entry: Entry) -> None:
        """Write one.

        Raises:
            OSError: the disk failed.
        """
        ...


@dataclass(frozen=True)
class Clocks:
    """The times that relays live by.

    Attributes:
        monotonic: real seconds that never jump: what every limit is counted by, also in a simulated home.
        now: the domain's time of day.
        people_now: the time of day in which people's own programs live; the domain's, except in a simulated home.
        rate: how fast `now` runs against `monotonic`.
        boot: names this run of the machine, in which monotonic times compare.
        trust: judges the time of day, given the newest that was persisted.
    """

    monotonic: Callable[[], float]
    now: Callable[[], datetime]
    people_now: Callable[[], datetime] | None = None
    boot: str = ""
    rate: float = 1.0
    trust: Callable[[datetime | None], TrustedTime] = TrustedTime


class Switchboard:
    """Enter it, and every relay is safe; leave it, and every relay is safe before its pin is released."""

    def __init__(
        self, rules: Mapping[str, RelayRules], board: Board, audit: AuditTrail, voice: Voice, context: Context, clocks: Clocks
    ) -> None:
        self._rules = rules
        self._board = board
        self._audit = audit
        self._voice = voice
        self._context = context
        self._clocks = clocks
        self._journal = Journal(context)
        self._trust = TrustedTime(None)
        self._pins: dict[str, Level] = {}
        self._changed_at: dict[str, datetime] = {}
        self._untils: dict[str, tuple[float, datetime]] = {}
        self._stack = contextlib.ExitStack()
        log: Log = structlog.get_logger()
        self._board_faults = {name: FaultLog(log, "the board failed; it is tried again", every=60) for name in rules}
        self._disk_faults = FaultLog(log, "the journal or the audit trail could not be written", every=100)
        self._time_faults = FaultLog(log, "the time of day is not known; commands that carry times are refused", every=10)
        self.relays: dict[str, Relay] = {}

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._board)
            stack.enter_context(self._audit)
            self._trust = self._clocks.trust(self._journal.newest_time())
            for name, rules in self._rules.items():
                self._begin(name, rules)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.make_safe()
        self._stack.close()

    def follow(self, name: str, request: Request) -> bool:
        """Carry out a command, or refuse it, and answer it; True where it was accepted."""
        self._context.health.work("commands")
        relay = self.relays[name]
        before = relay.checkpoint()
        answer = relay.command(request, self._instant(request.source))
        if relay.level == relay.rules.safe and request.command.state != "TOGGLE":
            self._drive(name)  # safety does not wait for the disk
        return self._finish(name, request, answer, before)

    def refuse(self, name: str, source: Source, command_id: str | None, reason: str) -> None:
        """Answer a command that is not followed, and write that down."""
        self._context.health.work("refusals")
        reason = reason[:_LONGEST_REASON]
        self.note(name, "refused", source=source, command_id=command_id, reason=reason)
        self._voice.answer(name, RelayResult(id=command_id, source=source, accepted=False, reason=reason))

    def heard(self, sources: Sequence[Source]) -> None:
        """The broker lives, and with it these sources."""
        for relay in self.relays.values():
            relay.heard(self._clocks.monotonic())
            for source in sources:
                relay.heard(self._clocks.monotonic(), source)

    def switched_by_hand(self, name: str, level: Level) -> None:
        """A device says that somebody switched it there."""
        self._pins[name] = level
        self.relays[name].observe(level, self._clocks.monotonic())
        self._finish(name, None, _NOTHING_ASKED)

    def lost(self, name: str, *, confirmed: bool) -> None:
        """A relay's switch is offline; `confirmed` where it had said that it stands as it was to."""
        relay = self.relays[name]
        relay.lose(self._clocks.monotonic(), confirmed=confirmed)
        if relay.has_changes:
            self._finish(name, None, _NOTHING_ASKED)
        self.show(name)

    def found(self, name: str) -> None:
        """A relay's switch is online, and has yet to confirm where it stands."""
        self.relays[name].offline = False
        self.show(name)

    def step(self) -> None:
        """Do what time asks for, and see that every pin stands where it is to stand."""
        now_s = self._clocks.monotonic()
        for name, relay in self.relays.items():
            relay.step(now_s)
            self._check_pin(name)
            if relay.level == relay.rules.safe:
                self._drive(name)
            if self._pins.get(name) != relay.level or relay.has_changes:
                self._finish(name, None, _NOTHING_ASKED)

    def make_safe(self) -> None:
        """Put every relay into its safe state now."""
        for name, relay in self.relays.items():
            relay.stop("the actuator stops", self._clocks.monotonic())
            self._drive(name)
            if relay.has_changes:
                self._finish(name, None, _NOTHING_ASKED)

    def show(self, name: str) -> None:
        """Publish where a relay stands, if that is news."""
        relay, read_back = self.relays[name], self._read(name)
        state = RelayState(
            state=read_back or relay.level,
            how="commanded" if read_back is None else "read_back",
            changed_at=self._changed_at[name],
            until=self._until(name, relay.until_s),
            source=relay.hold.source if relay.hold else None,
        )
        self._voice.state(name, state)

    def note(self, name: str, event: Event, **details: str | None) -> None:
        """Write to the audit trail; a full disk does not stop a switch."""
        try:
            self._audit.add(Entry(self._clocks.now().isoformat(timespec="milliseconds"), name[:64], event, **details))
        except OSError as error:
            self._disk_faults.failed(error=str(error))

    def keep_time(self) -> bool:
        """Write down how late it is, so that a clock that goes back later is noticed; False while the time is not known."""
        wall = self._clocks.now()
        if not self._trust.known(wall):
            self._time_faults.failed(clock=wall.isoformat(), newest=self._trust.newest.isoformat())
            self._context.health.blind = self._context.health.blind or _untimely(wall, self._trust.newest)
            return False
        if self._time_faults.failing:
            self._time_faults.recovered()
            self._sees_again()
        with contextlib.suppress(NotAccepted):
            self._journal.write_time(wall)
            self._trust.persisted(wall)
        return True

    def _until(self, name: str, until_s: float | None) -> datetime | None:
        if until_s is None:
            return None
        if name not in self._untils or self._untils[name][0] != until_s:
            self._untils[name] = (until_s, wall_time_of(until_s, Instant(self._clocks.monotonic(), self._clocks.now()), self._clocks.rate))
        return self._untils[name][1]

    def _begin(self, name: str, rules: RelayRules) -> None:
        memory, ids = self._journal.recall(name)
        self.relays[name] = Relay(rules, self._clocks.monotonic(), boot=self._clocks.boot, memory=memory, ids=ids)
        self._pins[name], self._changed_at[name] = rules.safe, self._clocks.now()
        if memory is not None and memory.level != rules.safe:
            self.note(name, "switched", state=rules.safe, reason="the actuator has started anew")
        self._write(name, None, _NOTHING_ASKED, durable=False)

    def _finish(self, name: str, request: Request | None, answer: Answer, before: Checkpoint | None = None) -> bool:
        """Journal, pin, answer: in this order for what leaves safety; a pin that is safe already stands."""
        relay = self.relays[name]
        changes = relay.take_changes()
        leaves = relay.level != relay.rules.safe and self._pins.get(name) != relay.level
        said = _result(request, answer) if request and answer.accepted and changes and not leaves else None
        written = self._write(name, request, answer, said, durable=bool(changes)) if changes or answer.accepted else True
        fault = self._drive(name) if written or not leaves else "the journal can't be written; free some disk space"
        if fault is not None and leaves:
            self._give_up(name, request, before)
            answer, changes, written = Answer(accepted=False, reason=f"it can't be done: {fault}"), [], False
        self._tell(name, request, answer, changes, answered=written and said is not None)
        return answer.accepted

    def _give_up(self, name: str, request: Request | None, before: Checkpoint | None) -> None:
        relay = self.relays[name]
        if before is not None and request is not None:
            relay.undo(before, request.command.id)
        else:
            relay.stop("it could not be done", self._clocks.monotonic())
            relay.take_changes()
        self._drive(name)

    def _tell(self, name: str, request: Request | None, answer: Answer, changes: Sequence[Change], *, answered: bool) -> None:
        for change in changes:
            self._context.health.work("switches")
            self._changed_at[name] = self._clocks.now()
            command_id = request.command.id if request and change.source == request.source else None
            self.note(name, "switched", state=change.level, source=change.source, command_id=command_id, reason=change.reason)
            if change.reason in LIMITS:
                self._alarm(LIMIT_REACHED, f"{name} was switched {change.level}", f"{change.reason}.", news=name, severity="info")
        if request is not None and not answer.accepted:
            self.refuse(name, request.source, request.command.id, answer.reason or "")
        elif request is not None and not answered:
            self._answer(name, _result(request, answer), switched=bool(changes))
        self.show(name)

    def _answer(self, name: str, result: RelayResult, *, switched: bool) -> None:
        """The answer to a switch survives us; that to a command that changed nothing is only said."""
        if not (switched and self._journal.keep_answer(name, result, f"{name}-{self._clocks.monotonic()}")):
            self._voice.answer(name, result)

    def _write(self, name: str, request: Request | None, answer: Answer, said: RelayResult | None = None, *, durable: bool) -> bool:
        """Write the journal, and with it the answer, if the pin has moved already."""
        now_s, wall = self._clocks.monotonic(), self._clocks.now()
        new_id = (answer.slot, request.command.id) if request and request.command.id and answer.slot is not None else None
        memory = self.relays[name].memory(now_s)
        try:
            self._journal.write(Record(name, memory, max(wall, self._trust.newest), new_id, said), durable=durable)
        except NotAccepted as error:
            self._disk_faults.failed(error=str(error))
            return False
        self._disk_faults.recovered()
        self._trust.persisted(wall)
        return True

    def _drive(self, name: str) -> str | None:
        """Bring the pin to where the relay is to stand; returns what went wrong."""
        level = self.relays[name].level
        if self._pins.get(name) == level:
            return None
        try:
            self._board.switch(name, level)
        except OSError as error:
            self._board_failed(name, level, str(error))
            return f"the board failed: {error}"
        self._pins[name] = level
        if self._board_faults[name].failing:
            self._board_faults[name].recovered()
            self._sees_again()
        return None

    def _sees_again(self) -> None:
        if not (self._time_faults.failing or any(fault.failing for fault in self._board_faults.values())):
            self._context.health.blind = None

    def _board_failed(self, name: str, level: Level, error: str) -> None:
        self._pins.pop(name, None)  # nobody knows where it stands: it is tried again every second
        self._context.health.error("board_failures")
        self._context.health.blind = f"{name} can't be switched {level}: {error}; check the board"
        if not self._board_faults[name].failing:
            self.note(name, "failed", state=level, reason=error)
            self._alarm("actuator.board", f"{name} can't be switched", self._context.health.blind, news="board", severity="critical")
        self._board_faults[name].failed(relay=name, error=error)

    def _alarm(self, rule: str, title: str, message: str, *, news: str, severity: Literal["info", "critical"]) -> None:
        at = self._clocks.now()
        name = f"{news}-{at.isoformat(timespec='milliseconds')}"
        alert = Alert(id=name, rule=rule, severity=severity, title=title[:200], message=message[:2_000], at=at)
        with contextlib.suppress(NotAccepted):
            self._context.accept(ALERT, alert, message_id=alert.id, durable=True)

    def _check_pin(self, name: str) -> None:
        read_back = self._read(name)
        if read_back is not None and read_back != self._pins.get(name, read_back):
            self._context.health.error("pins_found_elsewhere")
            del self._pins[name]

    def _read(self, name: str) -> Level | None:
        try:
            return self._board.level(name)
        except OSError:
            return None

    def _instant(self, source: Source) -> Instant:
        if source == "local" and self._clocks.people_now is not None:
            return Instant(self._clocks.monotonic(), self._clocks.people_now())
        wall = self._clocks.now()
        return Instant(self._clocks.monotonic(), wall, self._trust.known(wall))


def _untimely(wall: datetime, newest: datetime) -> str:
    return (
        f"the clock says {wall:%Y-%m-%d %H:%M} UTC, and it was {newest:%Y-%m-%d %H:%M} before: commands that carry a time are refused, "
        "the page's and the load manager's too; set the clock, or, if it is right, stop hems and move actuator.db out of the storage's "
        "folder"
    )


def _result(request: Request, answer: Answer) -> RelayResult:
    return RelayResult(id=request.command.id, source=request.source, accepted=answer.accepted, reason=answer.reason)
