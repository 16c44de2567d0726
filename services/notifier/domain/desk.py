"""From candidates to messages: gathering, quiet hours, rate limits, the daily cap. Nothing leaves without a word on why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from uuid import UUID, uuid5

from services.notifier.domain.gsm7 import fit, fold, segments
from services.notifier.domain.hours import DayHours, local_date
from services.notifier.domain.rule import Candidate, Rule

_NAMESPACE = UUID("5f5b2a2c-31a3-5d0e-8b0b-6a6a1d6f5c07")
_MOST_SEEN = 400
_MOST_HELD = 200
_NOTES_KEPT = timedelta(days=8)
_ALREADY_TOLD_FOR = timedelta(hours=2)
_MOST_SEGMENTS = 2


@dataclass(frozen=True)
class Recipient:
    """A person, and when they are left alone."""

    name: str
    quiet: DayHours | None = None


@dataclass(frozen=True)
class Held:
    """A candidate on its way to one recipient."""

    candidate: Candidate
    recipient: str
    ready_at: datetime


@dataclass(frozen=True)
class Note:
    """That something was written to a recipient."""

    rule: str
    recipient: str
    key: str
    at: datetime
    letter: str
    urgent: bool = False


@dataclass(frozen=True)
class Letter:
    """A message that was decided on. `quiet` also holds back a delivery that could not be made at once."""

    id: str
    recipient: str
    text: str
    rules: tuple[str, ...]
    created_at: datetime
    useful_until: datetime
    quiet: str | None = None


@dataclass(frozen=True)
class Dropped:
    """A candidate that one recipient will not get, and why."""

    candidate: Candidate
    recipient: str
    reason: str


@dataclass
class DeskState:
    """What must survive a restart."""

    held: list[Held] = field(default_factory=list[Held])
    notes: list[Note] = field(default_factory=list[Note])
    muted: dict[str, datetime] = field(default_factory=dict[str, datetime])
    seen: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Desk:
    """Decides, at `tick`, what of the held candidates goes out now, and how it is put together."""

    rules: Mapping[str, Rule]
    recipients: Mapping[str, Recipient]
    zone: tzinfo
    daily_cap: int = 10
    gather: timedelta = timedelta(seconds=30)

    def add(self, state: DeskState, candidates: Iterable[Candidate]) -> list[Dropped]:
        """Hold new candidates for their recipients; what was seen before is no news. Past a bound the oldest go."""
        for candidate in candidates:
            if candidate.id in state.seen or candidate.rule not in self.rules:
                continue
            state.seen = [*state.seen[1 - _MOST_SEEN :], candidate.id]
            wait = timedelta(0) if candidate.urgent else self.gather
            state.held += [Held(candidate, name, candidate.at + wait) for name in self._recipients_of(candidate)]
        excess, state.held = state.held[:-_MOST_HELD], state.held[-_MOST_HELD:]
        return [Dropped(held.candidate, held.recipient, "too many messages are waiting") for held in excess]

    def tick(self, state: DeskState, now: datetime) -> tuple[list[Letter], list[Dropped]]:
        """What goes out now, and what never will."""
        state.notes = [note for note in state.notes if now - note.at <= _NOTES_KEPT]
        state.muted = {name: until for name, until in state.muted.items() if until > now}
        letters: list[Letter] = []
        dropped = self._stale(state, now)
        for name in dict.fromkeys(held.recipient for held in state.held):
            due = self._due(state, name, now)
            if due:
                self._write(state, name, due, now, letters, dropped)
        return letters, dropped

    def mute(self, state: DeskState, recipient: str | None, until: datetime) -> None:
        """Send nothing until then: to one recipient, or to all."""
        for name in [recipient] if recipient else list(self.recipients):
            state.muted[name] = until

    def _recipients_of(self, candidate: Candidate) -> list[str]:
        chosen = self.rules[candidate.rule].recipients
        return [name for name in self.recipients if (chosen is None or name in chosen) and name != candidate.not_to]

    def _stale(self, state: DeskState, now: datetime) -> list[Dropped]:
        gone = [
            held
            for held in state.held
            if held.candidate.useful_until <= now or held.candidate.rule not in self.rules or held.recipient not in self.recipients
        ]
        state.held = [held for held in state.held if held not in gone]
        return [Dropped(held.candidate, held.recipient, self._why_stale(state, held, now)) for held in gone]

    def _why_stale(self, state: DeskState, held: Held, now: datetime) -> str:
        if held.candidate.rule not in self.rules or held.recipient not in self.recipients:
            return "its rule or its recipient is no longer in hems.yaml"
        if held.recipient in state.muted:
            return "no longer useful when the mute ended"
        if self._written_today(state, held.recipient, now) >= self.daily_cap:
            return "the daily cap was reached"
        return "no longer useful when the quiet hours ended" if self._is_quiet(held, now) else "no longer useful"

    def _due(self, state: DeskState, name: str, now: datetime) -> list[Held]:
        """All that may go to one recipient now, once the first of it has been gathered for long enough."""
        if name in state.muted:
            return []
        capped = self._written_today(state, name, now) >= self.daily_cap
        waiting = [held for held in state.held if held.recipient == name and not self._is_quiet(held, now)]
        allowed = [held for held in waiting if held.candidate.urgent or not capped]
        return allowed if any(held.ready_at <= now for held in allowed) else []

    def _is_quiet(self, held: Held, now: datetime) -> bool:
        quiet = self._quiet_of(held)
        return quiet is not None and quiet.contain(now, self.zone)

    def _quiet_of(self, held: Held) -> DayHours | None:
        quiet = self.rules[held.candidate.rule].quiet
        if held.candidate.urgent or quiet == "none":
            return None
        return self.recipients[held.recipient].quiet if quiet == "recipient" else quiet

    def _write(self, state: DeskState, name: str, due: list[Held], now: datetime, letters: list[Letter], dropped: list[Dropped]) -> None:
        state.held = [held for held in state.held if held not in due]
        parts = self._limited(state, name, _gathered(due, dropped), now, dropped)
        while parts:
            written = self._written_today(state, name, now)
            last = f"\nThis is the last message today (limit {self.daily_cap})." if written == self.daily_cap - 1 else ""
            if written >= self.daily_cap and not parts[0].held.candidate.urgent:
                state.held += [part.held for part in parts]
                return
            count = _how_many_fit(parts, last, only_urgent=written >= self.daily_cap)
            letter = self._letter(name, parts[:count], last, now)
            letters.append(letter)
            state.notes += [_note(part.held.candidate, letter) for part in parts[:count]]
            parts = parts[count:]

    def _limited(self, state: DeskState, name: str, parts: list["_Part"], now: datetime, dropped: list[Dropped]) -> list["_Part"]:
        allowed: list[_Part] = []
        for part in parts:
            reason = self._why_limited(state, name, part.held.candidate, allowed, now)
            if reason is None:
                allowed.append(part)
            else:
                dropped.append(Dropped(part.held.candidate, name, reason))
        return allowed

    def _why_limited(self, state: DeskState, name: str, candidate: Candidate, allowed: list["_Part"], now: datetime) -> str | None:
        notes = [note for note in state.notes if note.recipient == name]
        if any(note.key == candidate.key and now - note.at <= _ALREADY_TOLD_FOR for note in notes if note.rule != candidate.rule):
            return "already told by another rule"
        limit = self.rules[candidate.rule].limit
        # Urgent ones are counted apart: what is less urgent must not stand in their way.
        alike = (candidate.rule, candidate.urgent)
        count = sum((note.rule, note.urgent) == alike and now - note.at < limit.per for note in notes)
        count += sum((part.held.candidate.rule, part.held.candidate.urgent) == alike for part in allowed)
        return f"its rule's limit is {limit}" if count >= limit.count else None

    def _letter(self, name: str, parts: Sequence["_Part"], last: str, now: datetime) -> Letter:
        candidates = [part.held.candidate for part in parts]
        windows = {self._quiet_of(part.held) for part in parts}
        quiet = windows.pop() if len(windows) == 1 else None
        return Letter(
            id=str(uuid5(_NAMESPACE, "/".join([name, *(candidate.id for candidate in candidates)]))),
            recipient=name,
            text=_composed(parts, last),
            rules=tuple(dict.fromkeys(candidate.rule for candidate in candidates)),
            created_at=now,
            useful_until=max(candidate.useful_until for candidate in candidates),
            quiet=str(quiet) if quiet else None,
        )

    def _written_today(self, state: DeskState, name: str, now: datetime) -> int:
        today = local_date(now, self.zone)
        return len({note.letter for note in state.notes if note.recipient == name and local_date(note.at, self.zone) == today})


@dataclass(frozen=True)
class _Part:
    """One thing in a letter, and how many times it happened while it was gathered."""

    held: Held
    times: int

    @property
    def text(self) -> str:
        text = fold(self.held.candidate.text).strip()
        return text if self.times == 1 else f"{text} ({self.times} times)"


def _note(candidate: Candidate, letter: Letter) -> Note:
    return Note(candidate.rule, letter.recipient, candidate.key, letter.created_at, letter.id, candidate.urgent)


def _gathered(due: list[Held], dropped: list[Dropped]) -> list[_Part]:
    """The newest about each thing, urgent ones first, then the oldest first."""
    newest: dict[str, _Part] = {}
    for held in sorted(due, key=lambda held: held.candidate.at):
        before = newest.get(held.candidate.thing)
        same = before is not None and before.held.candidate.rule == held.candidate.rule
        newest[held.candidate.thing] = _Part(held, before.times + 1 if before and same else 1)
        if before is not None:
            dropped.append(Dropped(before.held.candidate, held.recipient, "gathered into a newer message about the same thing"))
    return sorted(newest.values(), key=lambda part: (not part.held.candidate.urgent, part.held.candidate.at))


def _how_many_fit(parts: Sequence[_Part], last: str, *, only_urgent: bool) -> int:
    """How many of the first parts one message holds; the first always goes, cut if it must be."""
    count = 1
    while count < len(parts) and (parts[count].held.candidate.urgent or not only_urgent):
        if segments("\n".join(part.text for part in parts[: count + 1]) + last) > _MOST_SEGMENTS:
            break
        count += 1
    return count


def _composed(parts: Sequence[_Part], last: str) -> str:
    text = fit("\n".join(part.text for part in parts), _MOST_SEGMENTS)
    while last and segments(text + last) > _MOST_SEGMENTS:
        text = text[:-1]
    return text + last
