"""The disaggregator: mains power in, appliance states and events out."""

import asyncio
import json
import time
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import structlog

from hems.actor.bus import Input, Received, TryAgain
from hems.actor.context import Context
from hems.actor.logs import FaultLog, Log
from hems.contracts.appliances import ApplianceLabel
from hems.contracts.catalog import APPLIANCE, APPLIANCE_EVENT, APPLIANCE_LABEL, APPLIANCE_TAUGHT, MAINS
from hems.contracts.mains import Mains
from hems.contracts.topic import Topic
from services.disaggregator.domain.home import Home, Step
from services.disaggregator.domain.network import LoadModels, Network
from services.disaggregator.domain.saying import Sayer
from services.disaggregator.domain.telling import event_message, moment, state_message, taught_message
from services.disaggregator.domain.timeliness import CLOCKS_DIFFER_BY, history_after
from services.disaggregator.settings import DisaggregatorSettings

MOST_LABELS = 2_000
_LOOK_EVERY_S = 30.0


class Disaggregator:
    """Tells which appliances run, from the power of the whole home."""

    def __init__(self, settings: DisaggregatorSettings, context: Context, load: LoadModels) -> None:
        self._settings = settings
        self._context = context
        self._load = load
        self._networks: Sequence[Network] = ()
        self._home: Home | None = None
        self._sayer = Sayer()
        self._silent_since = context.clock.now()
        self._history_after = history_after(context.clock.rate)
        self._log: Log = structlog.get_logger()
        self._future = FaultLog(self._log, "a reading from the future", every=100)

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """Readings, which queue while this service is away, and people's words."""
        return (
            Input(MAINS, self._take_reading, durable=True),
            Input(APPLIANCE_LABEL, self._take_label, durable=True),
        )

    @property
    def outputs(self) -> Sequence[Topic[Any]]:
        """States, events, and what people have taught."""
        return (APPLIANCE, APPLIANCE_EVENT, APPLIANCE_TAUGHT)

    async def __aenter__(self) -> Self:
        self._networks, refused = self._load(self._settings.models)
        for reason in refused:
            self._log.error("a model can't be used; the others go on", reason=str(reason))
        health = self._context.health
        health.configuration_error = "; ".join(map(str, refused))[:2_000] or None
        health.blind = None if self._networks else "no model can be used"
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    async def run(self) -> None:
        """Say when no readings come."""
        while True:
            await self._context.clock.sleep(_LOOK_EVERY_S)
            silent_for = self._context.clock.now() - self._silent_since
            if self._networks and silent_for > self._history_after:
                self._context.health.blind = f"no reading since {self._silent_since.isoformat(timespec='seconds')}"

    async def _take_reading(self, received: Received[Mains]) -> None:
        """Commit what follows from a reading before it is acknowledged; then say what holds now."""
        reading, arrived_at = received.payload, received.arrived_at
        if received.retained or not self._networks:
            return  # the broker's copy of the newest is no news, and would overtake what is queued
        if reading.measured_at - arrived_at > CLOCKS_DIFFER_BY:
            self._context.health.error("future_readings")
            self._future.failed(measured_at=reading.measured_at.isoformat(), now=arrived_at.isoformat())
            return
        self._future.recovered()
        self._silent_since = arrived_at
        self._context.health.blind = None
        home = self._home_at(arrived_at)
        steps = self._step(home, reading)
        self._commit(home, steps, arrived_at)
        if steps and arrived_at - reading.measured_at <= self._history_after:
            await self._say(home, steps[-1])

    def _step(self, home: Home, reading: Mains) -> list[Step]:
        began = time.perf_counter()
        steps = home.read(reading.measured_at.timestamp(), reading.power_w)
        health = self._context.health
        if steps:
            health.gauge("step_us", round((time.perf_counter() - began) / len(steps) * 1e6, 1))
        for name, count in home.take_counts().items():
            (health.error if name in ("dropped_readings", "broken_answers") else health.work)(name, count)
        return steps

    def _commit(self, home: Home, steps: list[Step], arrived_at: datetime) -> None:
        events = [event for step in steps for event in step.events]
        saved = home.save()
        try:
            with self._context.store.transaction(durable=bool(events)) as transaction:
                for key, value in saved.items():
                    transaction.put(key, value)
                for event in events:
                    said = event_message(self._context.root.home, event, arrived_at)
                    transaction.accept(APPLIANCE_EVENT, said, message_id=said.id, appliance=event.appliance)
        except TryAgain:
            self._home = None  # what is remembered went ahead of what is kept
            raise
        self._context.health.work("events", len(events))

    async def _say(self, home: Home, step: Step) -> None:
        due = self._sayer.due(home.appliances, step.time_s)
        states = [(appliance.appliance, state_message(appliance, step.time_s)) for appliance in due]
        await asyncio.gather(*(self._context.say(APPLIANCE, state, appliance=name) for name, state in states))

    def _home_at(self, now: datetime) -> Home:
        """The home as it was left; anew where it was left in the future, which no reading would reach."""
        home = self._home or self._restored()
        if home.reading_s is not None and moment(home.reading_s) - now > CLOCKS_DIFFER_BY:
            self._log.warning("the kept state lies in the future; it begins anew", left_at=moment(home.reading_s).isoformat())
            home = Home(self._networks)
        self._home = home
        return home

    def _restored(self) -> Home:
        home = Home(self._networks)
        saved = {key: self._context.store.get(key) for key in home.KEYS}
        try:
            home.restore({key: value for key, value in saved.items() if value is not None})
        except (ValueError, KeyError, TypeError) as error:
            self._log.warning("the kept state can't be read; it begins anew", error=repr(error))
            return Home(self._networks)
        return home

    async def _take_label(self, received: Received[ApplianceLabel]) -> None:
        """A person's word: kept, learnt from while it is fresh, and answered."""
        kept: list[dict[str, Any]] = json.loads(self._context.store.get("labels") or b"[]")
        appliance, label = received.parameters["appliance"], received.payload
        if any(other["id"] == label.id for other in kept):
            return
        # Without a model nothing is learnt, and a home without networks must not be saved over the one that is kept.
        home = self._home_at(received.arrived_at) if self._networks else None
        fresh = label.verdict == "forget" or received.arrived_at - label.at <= self._history_after
        lessons = home.be_told(appliance, label.verdict) if home and fresh else None
        kept.append({"appliance": appliance, **label.model_dump(mode="json")})
        try:
            with self._context.store.transaction() as transaction:
                transaction.put("labels", json.dumps(kept[-MOST_LABELS:]).encode())
                for key, value in home.save().items() if home else ():
                    transaction.put(key, value)
        except TryAgain:
            self._home = None  # what is remembered went ahead of what is kept
            raise
        self._context.health.work("labels")
        answer = taught_message(label.id, lessons, self._context.clock.now())
        await self._context.say(APPLIANCE_TAUGHT, answer, appliance=appliance)
