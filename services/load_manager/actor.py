"""Hears demand, meters and relays; says leased commands, and what is in force."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import structlog

from hems.actor.bus import Input, Received
from hems.actor.context import Context
from hems.actor.logs import Log
from hems.actor.store import NotAccepted
from hems.contracts.catalog import CARBON, DEMAND, DEMAND_EVENT, DEMAND_OVERRIDE, MAINS, PRICE, RELAY, RELAY_RESULT, RELAY_SET_BY
from hems.contracts.demand import DemandEvent, DemandOverride, DemandState
from hems.contracts.energy import Series
from hems.contracts.mains import Mains
from hems.contracts.payload import MalformedPayload
from hems.contracts.relays import RelayCommand, RelayResult, RelayState
from services.load_manager.domain.manager import Manager, Order, Standing
from services.load_manager.domain.schedules import SunAt
from services.load_manager.domain.times import in_domain_time
from services.load_manager.grid import Grid, Household, Operator, Sample
from services.load_manager.settings import LoadManagerSettings

_KEY = "standing"
_LOOK_EVERY_S = 1.0
_COMMAND_LIVES_S = 30.0
_OLD = timedelta(minutes=2)
_SAID_AGAIN = timedelta(seconds=60)


class LoadManager:
    """Sheds loads when the grid or the household asks for less, and brings them back."""

    outputs = (RELAY_SET_BY, DEMAND, DEMAND_EVENT)

    def __init__(
        self, settings: LoadManagerSettings, context: Context, zone: tzinfo, sun_at: SunAt, operator: Operator | None = None
    ) -> None:
        self._context = context
        self._zone = zone
        self._sun_at = sun_at
        self._plan = settings.plan()
        self._kept: Standing | None = None
        self._shown: DemandState | None = None
        self._shown_at: datetime | None = None
        self._log: Log = structlog.get_logger()
        self._manager = Manager(self._plan, zone, sun_at)
        self._sample: Sample | None = None
        household = Household(lambda: self._manager.standing.demands, self._power, settings.openadr.opt_in)
        self._grid = None if operator is None else Grid(context, operator, household, random.random)

    async def __aenter__(self) -> Self:
        """Take up where the last run ended."""
        self._manager = Manager(self._plan, self._zone, self._sun_at, self._recalled())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nothing to do: leases end by themselves."""

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """What is asked for waits for us; readings and states count only as they are now."""
        return (
            Input(DEMAND_EVENT, self._on_event, durable=True),
            Input(DEMAND_OVERRIDE, self._on_override, durable=True),
            Input(MAINS, self._on_mains),
            Input(RELAY, self._on_relay),
            Input(PRICE, self._on_price),
            Input(CARBON, self._on_carbon),
            Input(RELAY_RESULT, self._on_result),
        )

    async def run(self) -> None:
        """Decide every second, and stay in touch with the grid operator where there is one."""
        async with asyncio.TaskGroup() as tasks:
            if self._grid is not None:
                tasks.create_task(self._grid.run())
            tasks.create_task(self._decide())

    async def _decide(self) -> None:
        while True:
            now = self._context.clock.now()
            for order in self._manager.decide(now):
                await self._say(order, now)
            self._keep(durable=False)
            await self._show(now)
            await self._context.clock.sleep(_LOOK_EVERY_S)

    async def _on_event(self, received: Received[DemandEvent]) -> None:
        if received.retained:
            self._context.health.error("retained_demand_events")
            return
        if self._grid is not None:
            self._grid.heard(received.payload)
        event = in_domain_time(received.payload, self._context.clock.now(), self._context.clock.rate, datetime.now(UTC))
        self._log.info("a demand event", id=event.id, level=event.level, starts_at=event.starts_at.isoformat(), reason=event.reason)
        self._context.health.work("demand_events")
        demands = self._manager.standing.demands.with_event(event, self._context.clock.now())
        self._manager.standing = self._manager.standing.model_copy(update={"demands": demands})
        self._keep(durable=True)

    async def _on_override(self, received: Received[DemandOverride]) -> None:
        demands = self._manager.standing.demands.with_override(received.payload, self._context.clock.now())
        self._log.info("a person opts out", event_id=received.payload.event, relay=received.payload.relay)
        self._context.health.work("overrides")
        self._manager.standing = self._manager.standing.model_copy(update={"demands": demands})
        self._keep(durable=True)

    async def _on_mains(self, received: Received[Mains]) -> None:
        reading = received.payload
        if not received.retained and received.arrived_at - reading.measured_at < _OLD:
            self._manager.filter.add(reading.measured_at, reading.power_w)
            self._sample = Sample(reading.measured_at, reading.power_w)

    def _power(self) -> Sample | None:
        """The newest reading, where it is of now."""
        fresh = self._sample is not None and self._context.clock.now() - self._sample.at < _OLD
        return self._sample if fresh else None

    async def _on_relay(self, received: Received[RelayState]) -> None:
        self._manager.see(received.parameters["relay"], received.payload, self._context.clock.now())

    async def _on_price(self, received: Received[Series]) -> None:
        self._manager.series["cheapest"] = received.payload.values

    async def _on_carbon(self, received: Received[Series]) -> None:
        self._manager.series["greenest"] = received.payload.values

    async def _on_result(self, received: Received[RelayResult]) -> None:
        result = received.payload
        if result.source == "load_manager" and not result.accepted and not received.retained:
            self._context.health.work("refusals")
            self._log.info("a relay's order was refused", relay=received.parameters["relay"], reason=result.reason)
            self._manager.refused(received.parameters["relay"], self._context.clock.now())

    async def _say(self, order: Order, now: datetime) -> None:
        # The actuator counts a lease in real seconds, also in a simulated home.
        rate = self._context.clock.rate
        command = RelayCommand(
            state=order.state,
            id=str(uuid4()),
            issued_at=now,
            expires_at=now + timedelta(seconds=_COMMAND_LIVES_S * rate),
            for_s=None if order.for_s is None else max(order.for_s / rate, 0.1),
        )
        self._context.health.work("orders")
        await self._context.say(RELAY_SET_BY, command, relay=order.relay, source="load_manager")

    async def _show(self, now: datetime) -> None:
        state = self._manager.shown(now)
        quiet = self._shown is not None and state == self._shown.model_copy(
            update={"saved_kwh": state.saved_kwh, "saved_how": state.saved_how}
        )
        if quiet and self._shown_at is not None and (now < self._shown_at + _SAID_AGAIN or state == self._shown):
            return
        self._shown, self._shown_at = state, now
        await self._context.say(DEMAND, state.model_copy(update={"as_of": now}))

    def _keep(self, *, durable: bool) -> None:
        standing = self._manager.standing.model_copy(update={"saved_kwh": self._manager.savings.done_kwh})
        if standing == self._kept:
            return
        try:
            with self._context.store.transaction(durable=durable) as transaction:
                transaction.put(_KEY, standing.to_wire())
            self._kept = standing
        except NotAccepted:
            if durable:
                raise  # the event comes again
            self._context.health.error("standing_not_kept")

    def _recalled(self) -> Standing | None:
        kept = self._context.store.get(_KEY)
        try:
            return Standing.from_wire(kept) if kept else None
        except MalformedPayload as error:
            self._log.error("what was kept can't be read; it begins anew", reason=str(error))
            return None
