"""The dashboard: the home's messages in, pages out, and what people press there back onto the bus."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import structlog

from hems.actor.bus import Input, Received
from hems.actor.context import Context
from hems.actor.logs import Log
from hems.contracts.alerts import Alert, NotifyMessage
from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.contracts.catalog import (
    ALERT,
    APPLIANCE,
    APPLIANCE_EVENT,
    APPLIANCE_LABEL,
    CARBON,
    DEMAND,
    DEMAND_EVENT,
    DEMAND_OVERRIDE,
    ENERGY,
    ENERGY_OF,
    HISTORY_QUERY,
    HISTORY_RESULT,
    MAINS,
    NOTIFY_MESSAGE,
    NOTIFY_MUTE,
    NOTIFY_TEST,
    PRICE,
    RELAY,
    RELAY_RESULT,
    RELAY_SET_BY,
    SERVICE_HEALTH,
    SERVICE_STATUS,
)
from hems.contracts.demand import DemandState
from hems.contracts.energy import Energy, Series
from hems.contracts.health import ServiceHealth, ServiceStatus
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayResult, RelayState
from hems.contracts.topic import Topic
from services.dashboard.desk import CLIENT, Desk
from services.dashboard.domain.answers import Unanswered
from services.dashboard.domain.figures import Figures
from services.dashboard.remembering import remember, sums_of_today

_SPACING_S = 0.1
_TICK_S = 0.25
_TICKS_STILL = 20
_TODAY_EVERY_S = 300.0
_RETRY_S = 5.0


class Site(Protocol):
    """Where the pages are served from."""

    async def open(self, desk: Desk) -> None:
        """Take the port.

        Raises:
            hems.actor.configuration.ConfigurationError: it can't be had.
        """
        ...

    async def serve(self) -> None:
        """Serve, until cancelled."""
        ...

    async def refresh(self) -> None:
        """Bring every open page up to date."""
        ...


class Dashboard:
    """Shows the home on a page, live, and takes people's switches, labels and wishes."""

    outputs: Sequence[Topic[Any]] = (
        RELAY_SET_BY, APPLIANCE_LABEL, DEMAND_EVENT, DEMAND_OVERRIDE, HISTORY_QUERY, NOTIFY_TEST, NOTIFY_MUTE,
    )  # fmt: skip

    def __init__(self, context: Context, site: Site, figures: Figures) -> None:
        self._context = context
        self._site = site
        self._figures = figures
        self._desk = Desk(context)
        self._home = self._desk.home
        self._first_connected = asyncio.Event()
        self._log: Log = structlog.get_logger()

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """All that is shown."""
        return (
            Input(MAINS, self._mains),
            Input(APPLIANCE, self._appliance),
            Input(APPLIANCE_EVENT, self._event),
            Input(RELAY, self._relay),
            Input(RELAY_RESULT, self._result),
            Input(ENERGY, self._energy),
            Input(ENERGY_OF, self._energy_of),
            Input(PRICE, self._price),
            Input(CARBON, self._carbon),
            Input(DEMAND, self._demand),
            Input(ALERT, self._alert),
            Input(NOTIFY_MESSAGE, self._message),
            Input(SERVICE_STATUS, self._status),
            Input(SERVICE_HEALTH, self._health),
            Input(HISTORY_RESULT, self._desk.take_answer, fixed={"client": CLIENT}),
        )

    async def __aenter__(self) -> Self:
        await self._site.open(self._desk)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    async def run(self) -> None:
        """Serve the pages, keep them fresh, and ask the recorder for what was before."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._site.serve())
            tasks.create_task(self._refresh())
            tasks.create_task(self._tick())
            tasks.create_task(self._remember())
            tasks.create_task(self._sum_today())

    async def _refresh(self) -> None:
        while True:
            await self._desk.changed.wait()
            self._desk.changed.clear()
            await self._site.refresh()
            self._context.health.work("refreshes")
            await asyncio.sleep(_SPACING_S)  # at most ten times a second; the first change is shown at once

    async def _tick(self) -> None:
        """What changes without a message: the connection, answers that don't come, ages."""
        ticks = 0
        while True:
            connected, ticks = self._context.connected, ticks + 1
            if connected != self._home.connected or self._desk.switching.expire(time.monotonic()) or ticks % _TICKS_STILL == 0:
                self._home.connected = connected
                self._desk.changed.set()
            if connected:
                self._first_connected.set()
            await asyncio.sleep(_TICK_S)

    async def _remember(self) -> None:
        """Once the recorder answers, put what was before this start behind what comes live."""
        await self._first_connected.wait()
        while True:
            with contextlib.suppress(Unanswered):
                await remember(self._desk)
                self._desk.changed.set()
                self._log.info("remembered what was before")
                return
            await asyncio.sleep(_RETRY_S)

    async def _sum_today(self) -> None:
        await self._first_connected.wait()
        while True:
            wait_s = _TODAY_EVERY_S
            try:
                self._home.today = await sums_of_today(self._desk, self._figures.zone)
                self._desk.changed.set()
            except Unanswered:
                wait_s = _RETRY_S * self._context.clock.rate
            await self._context.clock.sleep(wait_s)

    async def _mains(self, received: Received[Mains]) -> None:
        if self._home.see_mains(received.payload, self._context.clock.now()):
            self._news()

    async def _appliance(self, received: Received[ApplianceState]) -> None:
        self._home.see_appliance(received.parameters["appliance"], received.payload)
        self._news()

    async def _event(self, received: Received[ApplianceEvent]) -> None:
        if self._home.see_event(received.parameters["appliance"], received.payload):
            self._news()

    async def _relay(self, received: Received[RelayState]) -> None:
        relay = received.parameters["relay"]
        self._home.see_relay(relay, received.payload)
        self._desk.switching.see(relay, received.payload, time.monotonic())
        self._news()

    async def _result(self, received: Received[RelayResult]) -> None:
        if not received.retained and self._desk.switching.answer(received.parameters["relay"], received.payload, time.monotonic()):
            self._news()

    async def _energy(self, received: Received[Energy]) -> None:
        self._home.energy = received.payload
        self._news()

    async def _energy_of(self, received: Received[Energy]) -> None:
        self._home.see_energy_of(received.parameters["appliance"], received.payload)
        self._news()

    async def _price(self, received: Received[Series]) -> None:
        self._home.price = received.payload

    async def _carbon(self, received: Received[Series]) -> None:
        self._home.carbon = received.payload

    async def _demand(self, received: Received[DemandState]) -> None:
        self._home.demand = received.payload
        self._news()

    async def _alert(self, received: Received[Alert]) -> None:
        self._home.see_alert(received.payload)
        self._news()

    async def _message(self, received: Received[NotifyMessage]) -> None:
        self._home.see_message(received.payload)
        self._news()

    async def _status(self, received: Received[ServiceStatus]) -> None:
        self._home.see_status(received.parameters["service"], received.payload)
        self._news()

    async def _health(self, received: Received[ServiceHealth]) -> None:
        self._home.see_health(received.parameters["service"], received.payload)
        self._news()

    def _news(self) -> None:
        self._context.health.work("messages")
        self._desk.changed.set()
