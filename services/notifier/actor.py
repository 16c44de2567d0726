"""Hears the home, lets the rules judge it, and sees that each message that comes of it arrives once."""

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

import structlog

from hems.actor.bus import Input, Received
from hems.actor.context import Context
from hems.actor.logs import Log
from hems.actor.settings import HomeSettings
from hems.actor.store import NotAccepted
from hems.contracts.alerts import Alert, NotifyMute, NotifyTest
from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.contracts.catalog import (
    ALERT,
    APPLIANCE,
    APPLIANCE_EVENT,
    APPLIANCE_LABEL,
    DEMAND,
    DEMAND_EVENT,
    ENERGY,
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
from hems.contracts.demand import DemandEvent, DemandState
from hems.contracts.energy import Energy, Series
from hems.contracts.health import ServiceHealth, ServiceStatus
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayResult, RelayState
from services.notifier.book import Book
from services.notifier.clerk import Clerk
from services.notifier.conversation import Conversation, Inbox
from services.notifier.delivery import Channel, Delivery
from services.notifier.domain.appliance_rules import note_state
from services.notifier.domain.home import NEWS_FOR, Home, is_news
from services.notifier.domain.wording import clock_time
from services.notifier.settings import NotifierSettings

_LOOK_EVERY_S = 5.0
_HEALTH_EVERY = timedelta(seconds=10)


class Notifier:
    """Tells people what the home uses and does: few messages, each once."""

    outputs = (ALERT, NOTIFY_MESSAGE, RELAY_SET_BY, APPLIANCE_LABEL)

    def __init__(
        self,
        settings: NotifierSettings,
        context: Context,
        channels: Mapping[str, Channel],
        place: HomeSettings,
        inbox: Inbox | None = None,
    ) -> None:
        self._context = context
        self._log: Log = structlog.get_logger()
        self._book = Book(context, self._log)
        zone, now = ZoneInfo(place.time_zone), context.clock.now()
        # Health is said by the real clock; a simulated one makes it rarer.
        pulse = max(NEWS_FOR, 3 * _HEALTH_EVERY * context.clock.rate)
        self._home = Home(zone, place.currency, began=now, since=now, memory=self._book.pages.memory, pulse=pulse)
        self._clerk = Clerk(settings, context, self._book, self._home, channels)
        self._delivery = Delivery(
            context,
            self._book,
            channels,
            zone,
            tell_others=self._clerk.tell_others,
            jitter=random.random,
            look_up_after=timedelta(seconds=settings.twilio.look_up_after_s),
        )
        self._poll_every = settings.answers.poll_every
        people = {person.sms: name for name, person in settings.recipients.items() if person.sms is not None}
        self._conversation = Conversation(context, self._book, self._clerk, self._home, inbox, people) if inbox else None

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """What is worth a message is heard even when it was said while the notifier was away; then it may be history."""
        return (
            Input(MAINS, self._on_mains),
            Input(APPLIANCE, self._on_state),
            Input(APPLIANCE_EVENT, self._on_event, durable=True),
            Input(ENERGY, self._on_energy),
            Input(PRICE, self._on_price),
            Input(RELAY, self._on_relay),
            Input(RELAY_RESULT, self._on_relay_result),
            Input(DEMAND_EVENT, self._on_demand_event, durable=True),
            Input(DEMAND, self._on_demand),
            Input(ALERT, self._on_alert, durable=True),
            Input(NOTIFY_TEST, self._on_test),
            Input(NOTIFY_MUTE, self._on_mute, durable=True),
            Input(SERVICE_STATUS, self._on_status),
            Input(SERVICE_HEALTH, self._on_health),
        )

    async def __aenter__(self) -> Self:
        self._book.load()
        self._home.memory = self._book.pages.memory
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(NotAccepted):
            self._clerk.save()

    async def run(self) -> None:
        """Let time pass for the rules, and deliver."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._delivery.run())
            tasks.create_task(self._keep_looking())
            if self._conversation is not None and self._poll_every is not None:
                tasks.create_task(self._conversation.run(self._poll_every))

    async def _keep_looking(self) -> None:
        while True:
            await self._context.clock.sleep(_LOOK_EVERY_S)
            self._clerk.tick()

    async def _on_mains(self, received: Received[Mains]) -> None:
        mains, now = received.payload, received.arrived_at
        self._clerk.hear(lambda rule: rule.on_mains(self._home, mains, now))
        if is_news(mains.measured_at, now):
            self._home.mains_at, self._home.power_w = mains.measured_at, mains.power_w

    async def _on_state(self, received: Received[ApplianceState]) -> None:
        appliance, now = received.parameters["appliance"], received.arrived_at
        note_state(self._home, appliance, received.payload, now)
        self._clerk.hear(lambda rule: rule.on_state(self._home, appliance, received.payload, now))

    async def _on_event(self, received: Received[ApplianceEvent]) -> None:
        appliance, event = received.parameters["appliance"], received.payload
        if event.kind == "finished":
            self._home.note_run(appliance, event.id, event.at, event.energy_kwh)
        self._clerk.take(lambda rule: rule.on_event(self._home, appliance, event, received.arrived_at))

    async def _on_energy(self, received: Received[Energy]) -> None:
        self._home.note_energy(received.payload)
        self._clerk.hear(lambda rule: rule.on_energy(self._home, received.payload, received.arrived_at))

    async def _on_price(self, received: Received[Series]) -> None:
        self._home.note_prices(received.payload, received.arrived_at)

    async def _on_relay(self, received: Received[RelayState]) -> None:
        if self._conversation is not None:
            self._conversation.note_relay(received.parameters["relay"], received.payload)

    async def _on_relay_result(self, received: Received[RelayResult]) -> None:
        relay = received.parameters["relay"]
        if not received.retained:
            self._clerk.hear(lambda rule: rule.on_relay_result(self._home, relay, received.payload, received.arrived_at))
            if self._conversation is not None:
                self._conversation.note_result(relay, received.payload)

    async def _on_demand_event(self, received: Received[DemandEvent]) -> None:
        if not received.retained:
            self._clerk.take(lambda rule: rule.on_demand_event(self._home, received.payload, received.arrived_at))

    async def _on_demand(self, received: Received[DemandState]) -> None:
        self._home.demand = received.payload

    async def _on_alert(self, received: Received[Alert]) -> None:
        if not received.retained:
            self._clerk.take(lambda rule: rule.on_alert(self._home, received.payload, received.arrived_at))

    async def _on_test(self, received: Received[NotifyTest]) -> None:
        if not received.retained:
            at = clock_time(received.arrived_at, self._home.zone)
            text = f"Test from the home energy system at {at}: messages reach you."
            request = received.payload
            self._clerk.post(request.id, request.recipient, text, rule="test", useful_for=timedelta(minutes=10), probe=True)

    async def _on_mute(self, received: Received[NotifyMute]) -> None:
        if not received.retained:
            self._clerk.mute(received.payload.recipient, received.payload.until)

    async def _on_status(self, received: Received[ServiceStatus]) -> None:
        service, home = received.parameters["service"], self._home
        if received.payload.online:
            home.memory.online[service] = True
            home.offline_since.pop(service, None)
            if not received.retained:
                home.heard_at[service] = received.arrived_at
        elif home.memory.online.get(service):
            home.offline_since.setdefault(service, received.arrived_at)

    async def _on_health(self, received: Received[ServiceHealth]) -> None:
        if is_news(received.payload.at, received.arrived_at):
            self._home.heard_at[received.parameters["service"]] = received.arrived_at
