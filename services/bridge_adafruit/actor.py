"""Mirrors the home on an Adafruit IO dashboard, and brings home what is pressed there, what webhooks ask and what voices say."""

import asyncio
import contextlib
import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import uuid4

import structlog

from hems.actor.bus import Input, Received
from hems.actor.context import Context
from hems.actor.logs import FaultLog, Log
from hems.actor.store import NotAccepted
from hems.contracts.alerts import Alert
from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.contracts.catalog import (
    ALERT,
    APPLIANCE,
    APPLIANCE_EVENT,
    DEMAND,
    DEMAND_EVENT,
    ENERGY,
    ENERGY_OF,
    MAINS,
    NOTIFY_MUTE,
    RELAY,
    RELAY_RESULT,
    RELAY_SET_BY,
)
from hems.contracts.demand import DemandState
from hems.contracts.energy import Energy
from hems.contracts.mains import Mains
from hems.contracts.payload import Payload
from hems.contracts.relays import RelayResult, RelayState
from services.bridge_adafruit.cloud import Api, Cloud
from services.bridge_adafruit.domain.feeds import APPLIANCES, Feed, Running, written
from services.bridge_adafruit.domain.hooks import Action, Call, Gate, Hook, Refusal, SwitchRelay
from services.bridge_adafruit.domain.instant import Instant
from services.bridge_adafruit.domain.mirror import Mirror, Ordered, Pressed
from services.bridge_adafruit.domain.quota import Quota
from services.bridge_adafruit.domain.triggers import Triggers
from services.bridge_adafruit.hands import Hands
from services.bridge_adafruit.mirroring import Mirroring
from services.bridge_adafruit.settings import BridgeAdafruitSettings
from services.bridge_adafruit.telling import Recipes, Telling

_NEWS_FOR = timedelta(minutes=2)
_NO_ACCOUNT = "no Adafruit IO account is set: there is no dashboard in the cloud"
_NO_ADDRESS = "end the program that has it, or set bridge_adafruit.hooks_host and hooks_port"
_OPEN_AGAIN_AFTER_S = 10.0
_ADVICE = "set bridge_adafruit.username and key_file in hems.yaml; docs/adafruit.md says how"


class Door(Protocol):
    """Where webhooks come in."""

    def opened(self, answer: Any) -> AbstractAsyncContextManager[None]:
        """Serve until the end."""
        ...


class BridgeAdafruit:
    """The way to the cloud, and back."""

    outputs = (RELAY_SET_BY, DEMAND_EVENT, NOTIFY_MUTE, ALERT)

    def __init__(
        self,
        settings: BridgeAdafruitSettings,
        context: Context,
        *,
        feeds: Sequence[Feed] = (),
        cloud: Cloud | None = None,
        api: Api | None = None,
        hooks: Mapping[str, Hook] | None = None,
        door: Door | None = None,
        recipes: Recipes | None = None,
    ) -> None:
        self._context = context
        self._log: Log = structlog.get_logger()
        self._feeds = tuple(feeds)
        self._hands = Hands(context)
        self._running = Running()
        self._actions: Mapping[str, Action] = settings.actions()
        self._gate, self._door = Gate(hooks or {}), door if hooks else None
        self._shut = sorted(settings.hooks.keys() - (hooks or {}).keys())
        self._triggers = Triggers(settings.ifttt.rules())
        self._telling = Telling(context, recipes, random.random) if recipes else None
        self._mirror = Mirror(self._feeds, Quota(settings.points_per_minute), settings.kept_points, settings.orders)
        self._alarmed: set[str] = set()
        self._refusals = FaultLog(self._log, "a toggle was refused; it goes back", every=20)
        self._shut_out = FaultLog(self._log, "no webhook can come in; it is tried again", every=60)
        self._mirroring: Mirroring | None = None
        if cloud is not None and api is not None:
            self._mirroring = Mirroring(
                context,
                self._mirror,
                cloud,
                api,
                take=self._take,
                alarm=self._alarm,
                reconnect_s=settings.mqtt.reconnect_s,
                jitter=random.random,
            )

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """The state of the home as it is now: nothing here is worth hearing late."""
        return (
            Input(MAINS, self._on_mains),
            Input(ENERGY, self._on_energy),
            Input(ENERGY_OF, self._on_energy_of),
            Input(APPLIANCE, self._on_appliance),
            Input(APPLIANCE_EVENT, self._on_event),
            Input(RELAY, self._on_relay),
            Input(RELAY_RESULT, self._on_result),
            Input(DEMAND, self._on_demand),
            Input(ALERT, self._on_alert),
        )

    async def __aenter__(self) -> Self:
        if self._mirroring is not None:
            self._mirroring.load()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._mirroring is not None:
            self._mirroring.save()

    async def run(self) -> None:
        """The conversation with the cloud, the door for webhooks, and what IFTTT is told: each where it is set up."""
        if self._shut:
            self._log.warning("hooks without a secret stay shut", hooks=self._shut, advice="docs/adafruit.md says how to give them one")
        async with asyncio.TaskGroup() as tasks:
            if self._door is not None:
                tasks.create_task(self._keep_open(self._door))
            if self._telling is not None:
                tasks.create_task(self._telling.run())
            if self._mirroring is not None:
                tasks.create_task(self._mirroring.run())
            else:
                self._log.info(_NO_ACCOUNT, advice=_ADVICE)
            await asyncio.Event().wait()

    async def _keep_open(self, door: Door) -> None:
        """An address that can't be had shuts webhooks out, and nothing else."""
        while True:
            try:
                async with door.opened(self.answer):
                    self._shut_out.recovered()
                    await asyncio.Event().wait()
            except OSError as error:
                self._context.health.error("hooks_address_failures")
                self._shut_out.failed(reason=str(error), advice=_NO_ADDRESS)
            await self._context.clock.sleep(_OPEN_AGAIN_AFTER_S)

    async def answer(self, call: Call) -> Refusal | dict[str, object]:
        """A webhook's call: judge it, and do it."""
        verdict = self._gate.judge(call, self._now())
        if isinstance(verdict, Refusal):
            self._context.health.error(f"hooks_refused_{verdict.status}")
            return verdict
        if verdict.repeated:
            return {"done": False, "note": "this id was done before"}
        # Before it is done: the same request may come a second time while this one waits for its relay.
        self._gate.done(verdict.hook, call.body)
        said = await self._hands.do(verdict.hook.action, "webhook")
        if isinstance(said, Refusal):
            self._gate.undone(verdict.hook, call.body)
            self._context.health.error(f"hooks_refused_{said.status}")
            return said
        self._context.health.work("hooks")
        self._log.info("a webhook was taken", hook=verdict.hook.name, source=call.source)
        return dict(said)

    async def _take(self, wanted: Sequence[Pressed | Ordered]) -> None:
        for want in wanted:
            if isinstance(want, Pressed):
                await self._press(want)
            else:
                await self._order(want.hook)

    async def _press(self, pressed: Pressed) -> None:
        identity, now = uuid4().hex, self._now()
        self._mirror.asked(pressed.relay, identity, pressed.level, now)
        if not self._hands.connected:
            self._mirror.not_asked(pressed.relay, identity, now)
            self._refusals.failed(relay=pressed.relay, reason="there is no connection to the home's broker")
            return
        await self._hands.switch(SwitchRelay(pressed.relay, pressed.level), "adafruit", identity)

    async def _order(self, name: str) -> None:
        action = self._actions.get(name)
        if action is None:
            self._context.health.error("unknown_orders")
            self._log.warning("no hook has the name that was ordered", order=name[:64], known=sorted(self._actions))
        elif isinstance(action, SwitchRelay):
            await self._hands.switch(action, "adafruit", uuid4().hex)
        else:
            await self._hands.do(action, "adafruit")

    async def _on_mains(self, received: Received[Mains]) -> None:
        self._show("mains", received.payload, received.payload.measured_at)

    async def _on_energy(self, received: Received[Energy]) -> None:
        self._show("energy", received.payload, received.payload.as_of)

    async def _on_energy_of(self, received: Received[Energy]) -> None:
        self._show(f"energy/{received.parameters['appliance']}", received.payload, received.payload.as_of)

    async def _on_appliance(self, received: Received[ApplianceState]) -> None:
        appliance, state, now = received.parameters["appliance"], received.payload, received.arrived_at
        if now - state.observed_at > _NEWS_FOR:
            return
        self._show(f"appliance/{appliance}", state, state.observed_at)
        text = self._running.hear(appliance, state.running)
        self._write((feed for feed in self._feeds if feed.topic == APPLIANCES), text, state.observed_at)

    async def _on_relay(self, received: Received[RelayState]) -> None:
        self._mirror.see(received.parameters["relay"], received.payload.state, received.arrived_at, self._now())
        self._wake()

    async def _on_result(self, received: Received[RelayResult]) -> None:
        relay, result = received.parameters["relay"], received.payload
        self._hands.take(result)
        accepted = self._mirror.answer(relay, result, self._now())
        if accepted is False:
            self._context.health.error("toggles_refused")
            self._refusals.failed(relay=relay, reason=result.reason)
        self._wake()

    async def _on_demand(self, received: Received[DemandState]) -> None:
        self._show("demand", received.payload, received.arrived_at)
        self._tell(self._triggers.on_demand(received.payload, received.arrived_at, retained=received.retained))

    async def _on_event(self, received: Received[ApplianceEvent]) -> None:
        self._tell(self._triggers.on_event(received.parameters["appliance"], received.payload, received.arrived_at))

    async def _on_alert(self, received: Received[Alert]) -> None:
        self._tell(self._triggers.on_alert(received.payload, received.arrived_at))

    def _show(self, topic: str, payload: Payload, at: Any) -> None:
        for feed in self._feeds:
            if feed.topic == topic:
                self._write((feed,), written(feed, getattr(payload, feed.shows)), at)

    def _write(self, feeds: Any, text: str | None, at: Any) -> None:
        for feed in feeds:
            if text is not None:
                self._mirror.hear(feed.key, text, at, self._now())
        self._wake()

    def _tell(self, triggers: Any) -> None:
        if self._telling is not None:
            self._telling.add(triggers)

    def _wake(self) -> None:
        if self._mirroring is not None:
            self._mirroring.wake()

    def _now(self) -> Instant:
        return Instant(self._context.clock.now(), self._context.clock.monotonic())

    def _alarm(self, rule: str, title: str, message: str) -> None:
        """Raise an alert, once a run of the service and rule."""
        if rule in self._alarmed:
            return
        self._alarmed.add(rule)
        alert = Alert(id=uuid4().hex, rule=rule, severity="warning", title=title, message=message, at=self._context.clock.now())
        with contextlib.suppress(NotAccepted):
            self._context.accept(ALERT, alert, message_id=alert.id)
