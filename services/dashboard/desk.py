"""What the pages may do: read the home, ask about the past, and say what people press."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Literal
from uuid import uuid4

from hems.actor.bus import Received
from hems.actor.context import Context
from hems.actor.store import NotAccepted
from hems.contracts.alerts import NotifyMute, NotifyTest
from hems.contracts.appliances import ApplianceLabel
from hems.contracts.catalog import (
    APPLIANCE_LABEL,
    DEMAND_EVENT,
    DEMAND_OVERRIDE,
    HISTORY_QUERY,
    NOTIFY_MUTE,
    NOTIFY_TEST,
    RELAY_SET_BY,
)
from hems.contracts.demand import DemandEvent, DemandLevel, DemandOverride
from hems.contracts.energy import HistoryQuery, HistoryResult
from hems.contracts.relays import Level, RelayCommand
from services.dashboard.domain.answers import Answer, Pieces, Unanswered
from services.dashboard.domain.home import Home
from services.dashboard.domain.switching import Switching

CLIENT = "dashboard"

_COMMAND_HOLDS_S = 10.0
_PATIENCE_S = 15.0
_AT_ONCE = 4

Resolution = Literal["raw", "1min", "15min", "1h", "1d", "auto"]


class Desk:
    """The home as it is shown, and the ways to ask and to say."""

    def __init__(self, context: Context) -> None:
        self.home = Home()
        self.switching = Switching()
        self.changed = asyncio.Event()
        self._context = context
        self._waiting: dict[str, tuple[Pieces, asyncio.Future[Answer]]] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    @property
    def context(self) -> Context:
        """The service's surroundings."""
        return self._context

    def now(self) -> datetime:
        """Domain time, UTC."""
        return self._context.clock.now()

    async def ask(self, what: str, start: datetime, end: datetime, resolution: Resolution = "auto", points: int = 1_000) -> Answer:
        """Ask the recorder.

        Raises:
            Unanswered: it refuses, or says nothing for a while.
        """
        query = HistoryQuery(id=uuid4().hex, client=CLIENT, what=what, start=start, end=end, resolution=resolution, points=points)
        async with self._room:
            answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            self._waiting[query.id] = (Pieces(), answered)
            try:
                await self._context.say(HISTORY_QUERY, query)
                async with asyncio.timeout(_PATIENCE_S if self.home.online.get("recorder") else 3.0):
                    return await answered
            except TimeoutError:
                raise Unanswered("") from None
            finally:
                del self._waiting[query.id]

    async def take_answer(self, received: Received[HistoryResult]) -> None:
        """A piece of an answer."""
        pieces, answered = self._waiting.get(received.payload.id, (None, None))
        if pieces is None or answered is None or answered.done():
            return
        try:
            if (answer := pieces.add(received.payload)) is not None:
                answered.set_result(answer)
        except Unanswered as refusal:
            answered.set_exception(refusal)

    async def switch(self, relay: str, wanted: Level, for_s: float | None = None) -> None:
        """Ask the actuator to switch; what becomes of it shows in `switching`. A command is only worth something now."""
        now, identity = self.now(), uuid4().hex
        expires = now + timedelta(seconds=_COMMAND_HOLDS_S * max(self._context.clock.rate, 1))
        self.switching.ask(relay, identity, wanted, time.monotonic())
        self.changed.set()
        if not self._context.connected:
            self.switching.fail(relay, identity, "there is no connection to the broker", time.monotonic())
            return
        command = RelayCommand(state=wanted, id=identity, issued_at=now, expires_at=expires, for_s=for_s)
        await self._context.say(RELAY_SET_BY, command, relay=relay, source=CLIENT)
        self._context.health.work("commands")

    def label(self, appliance: str, verdict: Literal["on", "off", "wrong"]) -> bool:
        """Keep a person's word, and say it until the broker has it; False where the disk can't take it."""
        label = ApplianceLabel(id=uuid4().hex, at=self.now(), verdict=verdict, source=CLIENT)
        try:
            self._context.accept(APPLIANCE_LABEL, label, message_id=label.id, appliance=appliance, durable=True)
        except NotAccepted:
            return False
        return True

    async def demand(self, level: DemandLevel, for_s: float) -> bool:
        """Ask for less for a while, or with `normal` take it back; False without a connection."""
        now = self.now()
        event = DemandEvent(id=uuid4().hex, level=level, starts_at=now, ends_at=now + timedelta(seconds=for_s), source=CLIENT)
        await self._context.say(DEMAND_EVENT, event)
        return self._context.connected

    async def opt_out(self, *, event: str | None = None, relay: str | None = None) -> bool:
        """Opt out of an event, or for one relay; False without a connection."""
        await self._context.say(DEMAND_OVERRIDE, DemandOverride(id=uuid4().hex, event=event, relay=relay))
        return self._context.connected

    async def send_test(self) -> bool:
        """Ask for a test message; False without a connection."""
        await self._context.say(NOTIFY_TEST, NotifyTest(id=uuid4().hex))
        return self._context.connected

    async def mute(self, until: datetime) -> bool:
        """Ask for silence; False without a connection."""
        await self._context.say(NOTIFY_MUTE, NotifyMute(id=uuid4().hex, until=until))
        if self._context.connected:
            self.home.muted_until = until
        return self._context.connected
