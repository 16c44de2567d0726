"""What the notifier must not forget: messages, stopped numbers, what was told and what is held back; one commit for all."""

import asyncio
import contextlib
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from hems.actor.context import Context, Transaction
from hems.actor.logs import Log
from hems.actor.store import NotAccepted
from hems.contracts.alerts import Alert, NotifyMessage
from hems.contracts.catalog import ALERT, NOTIFY_MESSAGE
from services.notifier.domain.desk import DeskState
from services.notifier.domain.home import Memory
from services.notifier.domain.outgoing import Outgoing

_MOST_KEPT = 200
T = TypeVar("T")

_MESSAGE = TypeAdapter(Outgoing)
_INDEX = TypeAdapter(list[str])
_STOPPED = TypeAdapter(dict[str, str])
_MEMORY = TypeAdapter(Memory)
_DESK = TypeAdapter(DeskState)


@dataclass
class Pages:
    """All of it. `messages` by id, the oldest first; `stopped` addresses and why."""

    memory: Memory = field(default_factory=Memory)
    desk: DeskState = field(default_factory=DeskState)
    messages: dict[str, Outgoing] = field(default_factory=dict[str, Outgoing])
    stopped: dict[str, str] = field(default_factory=dict[str, str])


class Entry:
    """What one commit adds."""

    def __init__(self, transaction: Transaction, messages: dict[str, Outgoing], stopped: dict[str, str]) -> None:
        self._transaction = transaction
        self.messages = messages
        self.stopped = stopped
        self.changed: dict[str, Outgoing] = {}

    def write(self, message: Outgoing, at: datetime) -> None:
        """Keep a message as it is now, and say so, once an attempt has an outcome."""
        self.messages[message.id] = message
        self.changed[message.id] = message
        if message.status != "sending":
            self._transaction.accept(NOTIFY_MESSAGE, said(message, at), message_id=f"{message.id}:{message.status}")

    def note(self, message: Outgoing) -> None:
        """Keep a message as it is now; there is nothing to say of it."""
        self.messages[message.id] = message
        self.changed[message.id] = message

    def say(self, message: NotifyMessage) -> None:
        """Say of something that never became a message."""
        self._transaction.accept(NOTIFY_MESSAGE, message, message_id=f"{message.id}:{message.status}")

    def alert(self, alert: Alert) -> None:
        """Raise an alert."""
        self._transaction.accept(ALERT, alert, message_id=alert.id)


class Book:
    """The pages, and the store under them."""

    def __init__(self, context: Context, log: Log) -> None:
        self._context = context
        self._log = log
        self._memory = self._desk = b""
        self.pages = Pages()
        self.changed = asyncio.Event()

    def load(self) -> None:
        """Read what the last run left; what can't be read any more is told, and begins anew."""
        self.pages.memory = self._read("memory", _MEMORY) or Memory()
        self.pages.desk = self._read("desk", _DESK) or DeskState()
        self.pages.stopped = self._read("stopped", _STOPPED) or {}
        index = self._read("messages", _INDEX) or []
        read = ((name, self._read(f"message/{name}", _MESSAGE)) for name in index)
        self.pages.messages = {name: message for name, message in read if message is not None}
        self._memory, self._desk = _MEMORY.dump_json(self.pages.memory), _DESK.dump_json(self.pages.desk)

    @contextlib.contextmanager
    def commit(self) -> Generator[Entry]:
        """Keep all that has changed, and what the entry adds, or nothing.

        Raises:
            NotAccepted: the disk could not take it; the pages are as they were at the last commit.
        """
        pages = self.pages
        try:
            with self._context.store.transaction() as transaction:
                entry = Entry(transaction, dict(pages.messages), dict(pages.stopped))
                yield entry
                memory, desk = _MEMORY.dump_json(pages.memory), _DESK.dump_json(pages.desk)
                self._put(transaction, entry, memory, desk)
        except NotAccepted:
            self._restore()
            raise
        pages.messages, pages.stopped = entry.messages, entry.stopped
        self._memory, self._desk = memory, desk
        if entry.changed:
            self.changed.set()

    def _put(self, transaction: Transaction, entry: Entry, memory: bytes, desk: bytes) -> None:
        if memory != self._memory:
            transaction.put("memory", memory)
        if desk != self._desk:
            transaction.put("desk", desk)
        if entry.stopped != self.pages.stopped:
            transaction.put("stopped", _STOPPED.dump_json(entry.stopped))
        for message in entry.changed.values():
            transaction.put(f"message/{message.id}", _MESSAGE.dump_json(message))
        for old in _superfluous(entry.messages):
            del entry.messages[old]
            transaction.delete(f"message/{old}")
        if list(entry.messages) != list(self.pages.messages):
            transaction.put("messages", _INDEX.dump_json(list(entry.messages)))

    def _restore(self) -> None:
        # In place: the home and the desk hold on to these.
        vars(self.pages.memory).update(vars(_MEMORY.validate_json(self._memory)))
        vars(self.pages.desk).update(vars(_DESK.validate_json(self._desk)))

    def _read(self, key: str, adapter: TypeAdapter[T]) -> T | None:
        raw = self._context.store.get(key)
        if raw is None:
            return None
        try:
            return adapter.validate_json(raw)
        except ValidationError as error:
            self._log.error("a page of the notifier's book can't be read; it begins anew", page=key, error=str(error))
            return None


def said(message: Outgoing, at: datetime) -> NotifyMessage:
    """A message as the others hear of it."""
    return NotifyMessage(
        id=message.id,
        at=at,
        recipient=message.recipient,
        channel=message.channel,
        text=message.text,
        status="queued" if message.status == "sending" else message.status,
        rule=", ".join(message.rules) or None,
        reason=message.reason,
    )


def _superfluous(messages: dict[str, Outgoing]) -> list[str]:
    over = [name for name, message in messages.items() if message.is_over]
    return over[: max(len(over) - _MOST_KEPT, 0)]
