"""Sends what stands in the outbox: each step is written down before the next is taken."""

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Protocol

import structlog

from hems.actor.context import Context
from hems.actor.logs import FaultLog, Log
from hems.actor.store import NotAccepted
from hems.contracts.alerts import Alert
from services.notifier.book import Book, Entry
from services.notifier.domain.hours import DayHours
from services.notifier.domain.outgoing import (
    Accepted,
    Delivered,
    Found,
    Later,
    Outcome,
    Outgoing,
    Rejected,
    after_check,
    after_look_up,
    after_send,
    begin,
    stale,
    wait_s,
)

_LOOK_EVERY_S = 20.0
_DISK_WAIT_S = 1.0


class Channel(Protocol):
    """A way to reach people. Failures are answers, not exceptions."""

    @property
    def name(self) -> str:
        """What it is called in hems.yaml."""
        ...

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Make it ready."""
        ...

    async def send(self, address: str, text: str, useful_for_s: float) -> Outcome:
        """Hand a message over."""
        ...

    async def find(self, address: str, text: str, since: datetime, known: Collection[str]) -> Found | Later:
        """Look whether an attempt since then was taken; `known` ids belong to other messages."""
        ...

    async def check(self, provider_id: str) -> Delivered:
        """Ask how far a message has come."""
        ...


class Delivery:
    """Works on one message at a time: the one that has been due for longest.

    Args:
        tell_others: called within a commit, of what a recipient can no longer be told themself.
        jitter: a number in 0..1, anew at each call.
        look_up_after: an attempt without an answer is looked up no earlier; it may still be on its way.
    """

    def __init__(
        self,
        context: Context,
        book: Book,
        channels: Mapping[str, Channel],
        zone: tzinfo,
        *,
        tell_others: Callable[[Entry, str, str, str], None],
        jitter: Callable[[], float],
        look_up_after: timedelta,
    ) -> None:
        self._context = context
        self._book = book
        self._channels = channels
        self._zone = zone
        self._tell_others = tell_others
        self._jitter = jitter
        self._look_up_after = look_up_after
        self._rests_until: dict[str, datetime] = {}
        self._log: Log = structlog.get_logger()
        self._faults = {name: FaultLog(self._log, f"{name} can't send now; it is tried again", every=20) for name in channels}

    async def run(self) -> None:
        """Open the channels, and work until cancelled."""
        async with contextlib.AsyncExitStack() as stack:
            for channel in self._channels.values():
                await stack.enter_async_context(channel.opened())
            self._take_stock()
            while True:
                self._book.changed.clear()
                if not await self.step():
                    await self._rest_until_due()

    async def step(self) -> bool:
        """Take one step with one message; False where none is due."""
        now = self._context.clock.now()
        due = [message for message in self._book.pages.messages.values() if self._is_due(message, now)]
        if not due:
            return False
        message = min(due, key=lambda message: message.due_at)
        try:
            await self._advance(message, self._channels[message.channel])
        except NotAccepted:
            # Told by the store. What was sent and could not be written stands as `sending`: it is looked up later.
            await self._context.clock.sleep(_DISK_WAIT_S)
        return True

    async def _rest_until_due(self) -> None:
        """Until something new is written, something is due, or for a while: quiet hours and rests end without a word."""
        now = self._context.clock.now()
        waits = [message.due_at - now for message in self._book.pages.messages.values() if not message.is_over and message.due_at > now]
        wait = min([timedelta(seconds=_LOOK_EVERY_S), *waits])
        sleeping = asyncio.ensure_future(self._context.clock.sleep(wait.total_seconds()))
        changing = asyncio.ensure_future(self._book.changed.wait())
        try:
            await asyncio.wait((sleeping, changing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            changing.cancel()
            await asyncio.gather(sleeping, changing, return_exceptions=True)

    async def _advance(self, message: Outgoing, channel: Channel) -> None:
        if message.status == "sent":
            await self._check(message, channel)
        elif message.status == "sending":
            await self._look_up(message, channel)
        else:
            await self._send(message, channel)

    async def _send(self, message: Outgoing, channel: Channel) -> None:
        now = self._context.clock.now()
        ended = stale(message, now) or self._stopped(message)
        if ended is not None:
            self._keep(message, ended, now)
            return
        with self._book.commit() as entry:
            entry.write(started := begin(message, now), now)
        outcome = await channel.send(started.address, started.text, (started.useful_until - now).total_seconds())
        self._take_outcome(started, outcome)

    def _take_outcome(self, message: Outgoing, outcome: Outcome) -> None:
        now = self._context.clock.now()
        after = after_send(message, outcome, now, self._jitter())
        with self._book.commit() as entry:
            entry.write(after, now)
            if isinstance(outcome, Accepted) and message.probe:
                entry.stopped.pop(message.address, None)
            if isinstance(outcome, Rejected):
                self._give_up(entry, after, outcome.reason, stops=outcome.stops_address, now=now)
            if isinstance(outcome, Later) and outcome.account:
                self._tell_of_account(entry, channel=message.channel, reason=outcome.reason, now=now)
        if isinstance(outcome, Later):
            self._rest(message, outcome, now)
        else:
            self._recovered(message.channel)
        self._note(after)

    async def _look_up(self, message: Outgoing, channel: Channel) -> None:
        others = self._book.pages.messages.values()
        known = {other.provider_id for other in others if other.provider_id is not None}
        since = message.sending_at or message.created_at
        found = await channel.find(message.address, message.text, since, known)
        now = self._context.clock.now()
        after = after_look_up(message, found, now, self._jitter())
        self._keep(message, after, now)
        if isinstance(found, Later):
            self._rest(message, found, now)
        elif found.provider_id is not None:
            self._log.info("the provider's list has it: not sent again", message=message.id, provider_id=found.provider_id)
        else:
            why = found.reason or "the provider's list does not have it"
            self._log.warning("an attempt without an answer is made again; in rare cases it arrives twice", message=message.id, why=why)

    async def _check(self, message: Outgoing, channel: Channel) -> None:
        delivered = await channel.check(message.provider_id or "")
        now = self._context.clock.now()
        after = after_check(message, delivered, now)
        with self._book.commit() as entry:
            entry.note(after) if after.status == "sent" else entry.write(after, now)
            if after.status == "undelivered":
                self._give_up(entry, after, delivered.reason or "", stops=delivered.stops_address, now=now)
        if after.status != "sent":
            self._note(after)

    def _stopped(self, message: Outgoing) -> Outgoing | None:
        why = self._book.pages.stopped.get(message.address)
        return replace(message, status="failed", reason=f"nothing is sent there: {why}") if why and not message.probe else None

    def _keep(self, before: Outgoing, after: Outgoing, now: datetime) -> None:
        with self._book.commit() as entry:
            entry.note(after) if after.status == before.status else entry.write(after, now)
        if after.status in ("dropped", "failed"):
            self._note(after)

    def _give_up(self, entry: Entry, message: Outgoing, reason: str, *, stops: bool, now: datetime) -> None:
        what = "Nothing more is sent there" if stops else "This message is lost"
        if stops:
            entry.stopped[message.address] = reason
        sentence = f"{what}: {reason}."
        rule = "notifier.stopped" if stops else "notifier.undelivered"
        entry.alert(_alert(rule, f"{message.recipient} can't be told by {message.channel}", sentence, message.id, now))
        self._tell_others(entry, message.recipient, f"{message.id}/{rule}", f"{message.recipient} can't be told: {reason}.")

    def _tell_of_account(self, entry: Entry, *, channel: str, reason: str, now: datetime) -> None:
        if self._context.health.blind is None:
            entry.alert(_alert("notifier.account", f"No {channel} can be sent", f"{reason}.", f"{channel}-{now.isoformat()}", now))

    def _rest(self, message: Outgoing, later: Later, now: datetime) -> None:
        self._context.health.error("failed_attempts")
        self._faults[message.channel].failed(reason=later.reason, message=message.id, attempts=message.attempts + 1)
        if later.account:
            self._context.health.blind = f"no {message.channel} can be sent: {later.reason}"
        if later.account or later.after_s is not None:
            self._rests_until[message.channel] = now + timedelta(seconds=wait_s(message.attempts, later.after_s, self._jitter()))

    def _recovered(self, channel: str) -> None:
        self._faults[channel].recovered()
        self._rests_until.pop(channel, None)
        self._context.health.blind = None

    def _note(self, message: Outgoing) -> None:
        self._context.health.work(f"messages_{message.status}")
        details = {"message": message.id, "to": message.recipient, "channel": message.channel, "rules": message.rules}
        self._log.info(f"message {message.status}", **details, provider_id=message.provider_id, reason=message.reason)

    def _is_due(self, message: Outgoing, now: datetime) -> bool:
        if message.is_over or message.due_at > now or message.channel not in self._channels:
            return False
        if self._rests_until.get(message.channel, now) > now and stale(message, now) is None:
            return False
        if message.status == "sending":
            return now - (message.sending_at or now) >= self._look_up_after
        quiet = DayHours.parse(message.quiet) if message.quiet else None
        held = message.status == "queued" and quiet is not None and quiet.contain(now, self._zone)
        return not held or stale(message, now) is not None

    def _take_stock(self) -> None:
        """Tell of what the last run left half done, and drop what there is no channel for any more."""
        now = self._context.clock.now()
        for message in [message for message in self._book.pages.messages.values() if not message.is_over]:
            if message.channel not in self._channels:
                self._keep(message, replace(message, status="dropped", reason=f"{message.channel} is no longer set up in hems.yaml"), now)
            elif message.status == "sending":
                self._log.warning("stopped while sending; the provider's list is asked first", message=message.id, to=message.recipient)


def _alert(rule: str, title: str, sentence: str, news: str, now: datetime) -> Alert:
    return Alert(id=f"{rule}-{news}"[:64], rule=rule, severity="warning", title=title[:200], message=sentence[:2_000], at=now)
