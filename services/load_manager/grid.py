"""Stays in touch with a grid operator: hears what is asked for, answers who takes part, and waits where nobody is there."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import structlog

from hems.actor.context import Context
from hems.actor.logs import FaultLog, Log
from hems.actor.store import NotAccepted
from hems.contracts.catalog import DEMAND_EVENT
from hems.contracts.demand import DemandEvent
from services.load_manager.domain.demand import Demands
from services.load_manager.domain.grid import GridEvent, news, opted_out

_FIRST_WAIT_S, _LONGEST_WAIT_S = 2.0, 300.0
_LOGGED_EVERY = 100
_MOST_FOLLOWED = 200


class OperatorAway(Exception):
    """Nobody answers, or with nothing that helps; the message says what was seen."""


class NotRegistered(OperatorAway):
    """The operator does not know us, or not any more."""


class AnswerRefused(Exception):
    """The operator does not take an answer to an event: it may have forgotten it."""


@dataclass(frozen=True)
class Sample:
    """The mains' power at a time, W."""

    at: datetime
    power_w: float


class Operator(Protocol):
    """Somebody who asks for less from afar. Whatever goes wrong there is an OperatorAway."""

    def opened(self, power: Callable[[], Sample | None], told: Callable[[bool], None]) -> AbstractAsyncContextManager[None]:
        """Be ready until the end. `power` gives what is reported, None where it is not known; `told` hears whether a report arrived."""
        ...

    @property
    def poll_s(self) -> float:
        """How often the operator wants to be asked, real seconds."""
        ...

    async def register(self) -> None:
        """Make ourselves known, also anew."""
        ...

    async def events(self) -> Sequence[GridEvent]:
        """All that the operator has for us now; raises NotRegistered."""
        ...

    async def poll(self) -> Sequence[GridEvent]:
        """What is new; raises NotRegistered."""
        ...

    async def answer(self, event: GridEvent, *, takes_part: bool) -> None:
        """Say whether we take part in an event; raises AnswerRefused."""
        ...


@dataclass(frozen=True)
class Household:
    """What the operator's wishes meet at home.

    Attributes:
        demands: the events and opt-outs in force.
        power: the mains' power now, None where it is not known.
        takes_part: whether it takes part unless a person says otherwise.
    """

    demands: Callable[[], Demands]
    power: Callable[[], Sample | None]
    takes_part: bool = True


class Grid:
    """Says the operator's events to all, as anybody's demand events, and tells the operator what people decided."""

    def __init__(self, context: Context, operator: Operator, household: Household, jitter: Callable[[], float]) -> None:
        self._context = context
        self._operator = operator
        self._household = household
        self._jitter = jitter
        self._registered = False
        self._synced = False
        self._wait_s = _FIRST_WAIT_S
        self._answered_at: datetime | None = None
        self._on_their_way: dict[str, DemandEvent] = {}
        self._followed: dict[str, tuple[GridEvent, bool]] = {}
        self._log: Log = structlog.get_logger()
        self._faults = FaultLog(self._log, "the OpenADR server can't be used", every=_LOGGED_EVERY)
        self._refusals = FaultLog(self._log, "the OpenADR server takes no answer to an event", every=_LOGGED_EVERY)

    async def run(self) -> None:
        """Until cancelled."""
        async with self._operator.opened(self._household.power, self._reported):
            while True:
                await self._pause(await self._try())

    def heard(self, event: DemandEvent) -> None:
        """What we said has come back as an event, and stands among the demands."""
        if self._on_their_way.get(event.id) == event:
            del self._on_their_way[event.id]

    async def _pause(self, seconds: float) -> None:
        # The operator lives in real time, also where the home is simulated.
        await self._context.clock.sleep(seconds * self._context.clock.rate)

    async def _try(self) -> float:
        """One round; how long to wait for the next, real seconds."""
        try:
            await self._round()
        except (OperatorAway, NotAccepted) as reason:
            return self._failed(reason)
        self._wait_s = _FIRST_WAIT_S
        self._answered_at = self._context.clock.now()
        self._context.health.gauge("openadr_away_s", 0)
        self._faults.recovered()
        return self._operator.poll_s

    def _failed(self, reason: Exception) -> float:
        self._context.health.error("openadr_failures")
        now, rate = self._context.clock.now(), self._context.clock.rate
        self._answered_at = self._answered_at or now
        self._context.health.gauge("openadr_away_s", round((now - self._answered_at).total_seconds() / rate))
        self._faults.failed(reason=str(reason))
        # What was on its way when it failed may be lost: next time all events are asked for.
        self._synced = False
        self._registered = self._registered and not isinstance(reason, NotRegistered)
        wait_s, self._wait_s = self._wait_s, min(2 * self._wait_s, _LONGEST_WAIT_S)
        return wait_s * (0.8 + 0.4 * self._jitter())

    async def _round(self) -> None:
        was_registered = self._registered
        try:
            await self._exchange()
        except NotRegistered:
            if not was_registered:
                raise
            # It is there, and has forgotten us, such as by a new start: no reason to wait.
            self._registered = False
            await self._exchange()

    async def _exchange(self) -> None:
        if not self._registered:
            await self._operator.register()
            self._registered = True
            self._synced = False
            self._context.health.work("openadr_registrations")
        for event in await (self._operator.poll() if self._synced else self._operator.events()):
            await self._take(event)
        self._synced = True
        await self._answer_anew()

    async def _take(self, event: GridEvent) -> None:
        takes_part = self._takes_part(event)
        if self._followed.get(event.family) != (event, takes_part):
            self._note(event, takes_part=takes_part)
        self._say(event if self._household.takes_part else replace(event, is_test=True))
        if event.wants_answer and (event.is_cancelled or not event.is_over(self._context.clock.now())):
            await self._answer(event, takes_part=takes_part)
        self._followed[event.family] = (event, takes_part)

    def _note(self, event: GridEvent, *, takes_part: bool) -> None:
        """Servers may list an event at every poll: it is told of once."""
        self._log.info("an OpenADR event", id=event.id, modification=event.modification, cancelled=event.is_cancelled, opt_in=takes_part)
        self._context.health.work("openadr_events")
        if not event.steps and not event.is_cancelled:
            self._context.health.error("openadr_events_without_a_level")

    def _say(self, event: GridEvent) -> None:
        known = {demand.id: demand for demand in self._household.demands().events} | self._on_their_way
        for demand in news(event, known, self._context.clock.now()):
            self._context.accept(DEMAND_EVENT, demand, message_id=f"{demand.id}/{event.modification}", durable=True)
            self._on_their_way[demand.id] = demand

    def _takes_part(self, event: GridEvent) -> bool:
        """By the settings, by what people said of it, and only in what is understood."""
        return self._household.takes_part and bool(event.steps) and not opted_out(event, self._household.demands().opted_out)

    async def _answer_anew(self) -> None:
        """What a person has decided since the last answer."""
        now = self._context.clock.now()
        current = [(key, given) for key, given in self._followed.items() if not given[0].is_over(now)]
        self._followed = dict(current[-_MOST_FOLLOWED:])
        for key, (event, told) in list(self._followed.items()):
            takes_part = self._takes_part(event)
            if takes_part != told and event.wants_answer:
                await self._answer(event, takes_part=takes_part)
                self._followed[key] = (event, takes_part)

    async def _answer(self, event: GridEvent, *, takes_part: bool) -> None:
        try:
            await self._operator.answer(event, takes_part=takes_part)
        except AnswerRefused as reason:
            self._context.health.error("openadr_answers_refused")
            self._refusals.failed(id=event.id, reason=str(reason))
        else:
            self._context.health.work("openadr_opt_ins" if takes_part else "openadr_opt_outs")
            self._refusals.recovered()

    def _reported(self, arrived: bool) -> None:
        if arrived:
            self._context.health.work("openadr_reports")
        else:
            self._context.health.error("openadr_reports_lost")
