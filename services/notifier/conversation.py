"""Answers what people text back. Known numbers only, and a switch only with a code that was sent to that number."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import uuid4

import structlog

from hems.actor.context import Context
from hems.actor.logs import Log
from hems.actor.store import NotAccepted
from hems.contracts.appliances import ApplianceLabel
from hems.contracts.catalog import APPLIANCE_LABEL, RELAY_SET_BY
from hems.contracts.relays import Level, RelayCommand, RelayResult, RelayState
from services.notifier.book import Book
from services.notifier.clerk import Clerk
from services.notifier.domain.account import Incoming
from services.notifier.domain.answers import MENU, Ask, Codes, Confirm, Mute, Switch, last_announced, read, relay_called, status
from services.notifier.domain.home import Home, is_news
from services.notifier.domain.wording import day_and_time, name_of

_MOST_AN_HOUR = 20
_HOUR = timedelta(hours=1)
_USEFUL_FOR = timedelta(minutes=10)
_COMMAND_VALID_FOR = timedelta(seconds=60)


class Inbox(Protocol):
    """Where people's messages come in."""

    async def incoming(self) -> list[Incoming]:
        """The newest, the oldest of them first; none while it can't be asked."""
        ...


@dataclass(frozen=True)
class _Asked:
    """A switch that a person confirmed; `until` is when the command is no longer followed."""

    person: str
    relay: str
    state: Level
    until: datetime


class Conversation:
    """Looks into the inbox now and then, and answers each message once.

    Args:
        people: each recipient's name, by their number.
    """

    def __init__(self, context: Context, book: Book, clerk: Clerk, home: Home, inbox: Inbox, people: Mapping[str, str]) -> None:
        self._context = context
        self._book = book
        self._clerk = clerk
        self._home = home
        self._inbox = inbox
        self._people = people
        self._codes = Codes()
        self._relays: dict[str, RelayState] = {}
        self._switching: dict[str, _Asked] = {}
        self._puzzled_at: dict[str, datetime] = {}
        self._log: Log = structlog.get_logger()

    async def run(self, poll_every: timedelta) -> None:
        """Look until cancelled."""
        while True:
            await self._context.clock.sleep(poll_every.total_seconds())
            self._tell_of_silence()
            for message in await self._inbox.incoming():
                try:
                    await self._hear(message)
                except NotAccepted:
                    self._context.health.error("answers_not_kept")

    def note_relay(self, relay: str, state: RelayState) -> None:
        """Where a relay stands."""
        self._relays[relay] = state

    def note_result(self, relay: str, result: RelayResult) -> None:
        """Tell the person who asked for a switch what has come of it."""
        asked = self._switching.pop(result.id or "", None)
        if asked is not None and result.source == "sms":
            outcome = f"is {asked.state}" if result.accepted else "refused"
            self._reply(f"result/{result.id}", asked.person, f"{name_of(relay)} {outcome}{f': {result.reason}' if result.reason else ''}.")

    def _tell_of_silence(self) -> None:
        """A person who confirmed a switch is told, too, where nobody has answered while the command was good."""
        now = self._context.clock.now()
        for name, asked in [(name, asked) for name, asked in self._switching.items() if now >= asked.until]:
            try:
                self._reply(
                    f"result/{name}",
                    asked.person,
                    f"No answer for {name_of(asked.relay)} within a minute; it may not have been switched. STATUS shows where it stands.",
                )
                del self._switching[name]
            except NotAccepted:
                self._context.health.error("answers_not_kept")

    async def _hear(self, message: Incoming) -> None:
        person, now = self._people.get(message.sender), self._context.clock.now()
        if message.id in self._book.pages.memory.answered:
            return
        self._book.pages.memory.note_answered(message.id)
        if person is None or not is_news(message.at, now) or self._too_many(person, now):
            self._clerk.save()
            self._context.health.work("messages_ignored")
            self._log.info("a message is not answered", known=person is not None, at=message.at.isoformat())
            return
        text = await self._answer(person, message, now)
        if text is None:
            self._clerk.save()
        else:
            self._reply(message.id, person, text)

    async def _answer(self, person: str, message: Incoming, now: datetime) -> str | None:
        asked = read(message.text)
        if isinstance(asked, Mute):
            self._clerk.mute(person, now + asked.length)
            return f"Muted until {day_and_time(now + asked.length, now, self._home.zone)}." if asked.length else "Messages come again."
        if isinstance(asked, Switch):
            return self._ask_for_code(person, asked, now)
        if isinstance(asked, Confirm):
            return await self._switch(person, asked.code, now)
        return self._told(person, asked, now)

    def _told(self, person: str, asked: Ask, now: datetime) -> str | None:
        if asked.what == "status":
            return status(self._home, self._relays)
        if asked.what == "wrong":
            return self._label(person, now)
        if asked.what == "unknown":
            # An answering machine at the other end would otherwise talk with us for ever.
            if now - self._puzzled_at.get(person, now - _HOUR) < _HOUR:
                return None
            self._puzzled_at[person] = now
        return MENU

    def _label(self, person: str, now: datetime) -> str:
        appliance = last_announced(self._book.pages.desk.notes, person)
        if appliance is None:
            return "No appliance was announced to you lately."
        label = ApplianceLabel(id=str(uuid4()), at=now, verdict="wrong", source="sms")
        self._context.accept(APPLIANCE_LABEL, label, message_id=label.id, durable=True, appliance=appliance)
        return f"Thank you. Noted: the last announcement of {name_of(appliance)} was wrong."

    def _ask_for_code(self, person: str, asked: Switch, now: datetime) -> str:
        relay = relay_called(asked.relay, self._relays)
        if relay is None:
            return f"There is no relay {asked.relay}; there are: {', '.join(sorted(self._relays)) or 'none'}."
        code = f"{secrets.randbelow(10_000):04d}"
        self._codes.ask(person, Switch(relay, asked.state), code, now)
        return f"Reply {code} within 5 minutes to switch {name_of(relay)} {asked.state}."

    async def _switch(self, person: str, code: str, now: datetime) -> str | None:
        switch = self._codes.confirm(person, code, now)
        if switch is None:
            return "That code is not valid, or no longer."
        command = RelayCommand(state=switch.state, id=str(uuid4()), issued_at=now, expires_at=now + _COMMAND_VALID_FOR)
        self._switching[command.id or ""] = _Asked(person, switch.relay, switch.state, now + _COMMAND_VALID_FOR)
        await self._context.say(RELAY_SET_BY, command, relay=switch.relay, source="sms")
        self._log.info("a switch was confirmed by SMS", relay=switch.relay, state=switch.state, by=person)
        return None

    def _too_many(self, person: str, now: datetime) -> bool:
        messages = self._book.pages.messages.values()
        lately = [message for message in messages if message.recipient == person and now - message.created_at < _HOUR]
        return sum("answer" in message.rules for message in lately) >= _MOST_AN_HOUR

    def _reply(self, news: str, person: str, text: str) -> None:
        self._clerk.post(f"answer/{news}", person, text, rule="answer", useful_for=_USEFUL_FOR)
