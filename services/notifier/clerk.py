"""Carries out what the rules and the desk decide: candidates in, messages into the outbox, one commit at a time."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

import structlog

from hems.actor.context import Context
from hems.actor.logs import Log
from hems.actor.store import NotAccepted
from hems.contracts.alerts import NotifyMessage
from services.notifier.book import Book, Entry
from services.notifier.domain.desk import Desk, Dropped, Letter
from services.notifier.domain.gsm7 import fit
from services.notifier.domain.home import Home
from services.notifier.domain.outgoing import Outgoing
from services.notifier.domain.rule import Candidate, Rule
from services.notifier.settings import NotifierSettings

_NAMESPACE = UUID("0d1c1bd0-7a5e-5d61-9a4e-3f1f53c1c6a2")
_SAVE_EVERY = timedelta(minutes=10)
_DELIVERY = Rule(name="delivery", template="{message}")
"""What the notifier itself has to say: that somebody else can't be told."""

Find = Callable[[Rule], Iterable[Candidate]]


class Clerk:
    """Applies the rules to what is heard, and writes the letters that the desk decides on.

    Args:
        channels: the names of those that can send; a recipient without one of them gets what `would_send` shows.
    """

    def __init__(self, settings: NotifierSettings, context: Context, book: Book, home: Home, channels: Collection[str]) -> None:
        self._settings = settings
        self._context = context
        self._book = book
        self._home = home
        self._channels = channels
        self._rules = {name: rule.build(name) for name, rule in settings.rules.items()}
        known = {**self._rules, _DELIVERY.name: _DELIVERY}
        self._desk = Desk(known, settings.people(), home.zone, settings.daily_cap, settings.gather)
        self._saved_at = context.clock.now()
        self._log: Log = structlog.get_logger()

    def hear(self, find: Find) -> None:
        """Let every rule hear something that will be heard again; what a full disk can't take is counted."""
        try:
            self._apply(find, always=False)
        except NotAccepted:
            self._context.health.error("decisions_not_kept")

    def take(self, find: Find) -> None:
        """Let every rule hear something that is heard once, and keep what it has changed.

        Raises:
            NotAccepted: the disk could not take it; it has to be heard again.
        """
        self._apply(find, always=True)

    def tick(self) -> None:
        """Time has passed: let the rules hear of it, and write what is due."""
        now = self._context.clock.now()
        try:
            self._apply(lambda rule: rule.on_time(self._home, now), always=False)
            self._write_due(now)
            if now - self._saved_at >= _SAVE_EVERY:
                self.save()
            waiting = sum(message.status in ("queued", "sending") for message in self._book.pages.messages.values())
            self._context.health.gauge("messages_waiting", waiting)
        except NotAccepted:
            self._context.health.error("decisions_not_kept")

    def save(self) -> None:
        """Keep what has changed little by little.

        Raises:
            NotAccepted: the disk could not take it.
        """
        with self._book.commit():
            self._saved_at = self._context.clock.now()

    def mute(self, recipient: str | None, until: datetime) -> None:
        """Send nothing until then.

        Raises:
            NotAccepted: the disk could not take it.
        """
        with self._book.commit():
            self._desk.mute(self._book.pages.desk, recipient, until)
        self._log.info("muted", recipient=recipient or "all", until=until.isoformat())

    def post(self, news: str, recipient: str | None, text: str, *, rule: str, useful_for: timedelta, probe: bool = False) -> None:
        """Write to somebody, or to all, past the desk: a test, an answer. The same news is written once.

        Raises:
            NotAccepted: the disk could not take it.
        """
        now = self._context.clock.now()
        names = [recipient] if recipient else list(self._settings.people())
        with self._book.commit() as entry:
            for name in names:
                letter_id = str(uuid5(_NAMESPACE, f"{news}/{name}"))
                if letter_id not in entry.messages and name in self._settings.people():
                    letter = Letter(letter_id, name, fit(text), (rule,), now, now + useful_for)
                    entry.write(replace(self._outgoing(letter), probe=probe), now)

    def tell_others(self, entry: Entry, recipient: str, news: str, text: str) -> None:
        """Tell all but one recipient, who can't be told."""
        now = self._context.clock.now()
        until = now + timedelta(hours=12)
        found = Candidate(f"delivery:{news}", _DELIVERY.name, f"delivery/{recipient}", news, text, now, until, not_to=recipient)
        self._say_dropped(entry, self._desk.add(self._book.pages.desk, [found]), now)

    def _apply(self, find: Find, *, always: bool) -> None:
        now = self._context.clock.now()
        candidates = [candidate for rule in self._rules.values() for candidate in find(rule)]
        if candidates or always:
            with self._book.commit() as entry:
                self._say_dropped(entry, self._desk.add(self._book.pages.desk, candidates), now)
        if any(candidate.urgent for candidate in candidates):
            self._write_due(now)

    def _write_due(self, now: datetime) -> None:
        letters, dropped = self._desk.tick(self._book.pages.desk, now)
        if not letters and not dropped:
            return
        with self._book.commit() as entry:
            self._say_dropped(entry, dropped, now)
            for letter in letters:
                if letter.id not in entry.messages:
                    entry.write(self._outgoing(letter), now)
        for letter in letters:
            self._log.info("a message is decided on", message=letter.id, to=letter.recipient, rules=letter.rules)

    def _outgoing(self, letter: Letter) -> Outgoing:
        channel, address = self._way_to(letter.recipient)
        return Outgoing(
            id=letter.id,
            recipient=letter.recipient,
            channel=channel,
            address=address,
            text=letter.text,
            rules=letter.rules,
            created_at=letter.created_at,
            useful_until=letter.useful_until,
            due_at=letter.created_at,
            quiet=letter.quiet,
            status="would_send" if channel == "none" else "queued",
        )

    def _way_to(self, recipient: str) -> tuple[str, str]:
        """The first way that is open; one that was stopped, where all are, so that this is said."""
        person = self._settings.recipients.get(recipient)
        ways = [way for way in (person.addresses() if person else ()) if way[0] in self._channels]
        open_ways = [way for way in ways if way[1] not in self._book.pages.stopped]
        return (*open_ways, *ways, ("none", ""))[0]

    def _say_dropped(self, entry: Entry, dropped: Sequence[Dropped], now: datetime) -> None:
        for drop in dropped:
            name = str(uuid5(_NAMESPACE, f"{drop.candidate.id}/{drop.recipient}"))
            channel = self._way_to(drop.recipient)[0]
            entry.say(
                NotifyMessage(
                    id=name,
                    at=now,
                    recipient=drop.recipient,
                    channel=channel,
                    text=drop.candidate.text[:2_000],
                    status="dropped",
                    rule=drop.candidate.rule,
                    reason=drop.reason,
                )
            )
            self._context.health.work("candidates_dropped")
            self._log.info("not told", rule=drop.candidate.rule, to=drop.recipient, reason=drop.reason)
