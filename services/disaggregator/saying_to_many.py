"""What is said to many homes: events and changes at once, the minute's repetitions at leisure."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hems.actor.bus import Bus, Disconnected, Refused
from hems.actor.health import Health
from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.contracts.catalog import APPLIANCE, APPLIANCE_EVENT
from hems.contracts.topic import Root
from services.disaggregator.domain.home import Step
from services.disaggregator.domain.saying import Appliance, Sayer
from services.disaggregator.domain.telling import event_message, state_message

_SLICE_S = 0.25
_SLICES = 80
"""The repetitions of a minute go out within some twenty seconds: every home's fall on the same moments of the clock."""


@dataclass
class Said:
    """What one batch says to one home."""

    events: list[tuple[str, ApplianceEvent]] = field(default_factory=list[tuple[str, ApplianceEvent]])
    changes: dict[str, ApplianceState] = field(default_factory=dict[str, ApplianceState])
    repetitions: dict[str, ApplianceState] = field(default_factory=dict[str, ApplianceState])

    @property
    def is_urgent(self) -> bool:
        """Whether anything can't wait."""
        return bool(self.events or self.changes)

    def add_events(self, home: str, steps: Iterable[Step], arrived_at: datetime) -> None:
        """The events of some steps."""
        self.events.extend((event.appliance, event_message(home, event, arrived_at)) for step in steps for event in step.events)

    def add_states(self, appliances: Sequence[Appliance], sayer: Sayer, time_s: float) -> None:
        """The states that are due; of each appliance the newest."""
        changed = {appliance.appliance for appliance in appliances if sayer.has_changed(appliance)}
        for appliance in sayer.due(appliances, time_s):
            name = appliance.appliance
            at_once = name in changed or name in self.changes
            (self.changes if at_once else self.repetitions)[name] = state_message(appliance, time_s)


class Speech:
    """Says it, under `<prefix>/<home>`, over a connection that comes and goes.

    It is not one that readings come by: what is not read from a busy connection are the answers to what was said, too.
    """

    def __init__(self, prefix: str, health: Health) -> None:
        self._prefix = prefix
        self._health = health
        self._later: dict[str, bytes] = {}
        self._bus: Bus | None = None
        self._connected = asyncio.Event()
        self._failed = asyncio.Event()

    async def lend(self, bus: Bus) -> None:
        """Speak over this connection for as long as it stands.

        Raises:
            Disconnected: something could not be said over it: another one is needed.
        """
        self._bus, self._failed = bus, asyncio.Event()
        self._connected.set()
        try:
            await self._failed.wait()
            raise Disconnected("the broker did not take what was said")
        finally:
            self._bus = None
            self._connected.clear()

    async def say(self, said: Mapping[str, Said]) -> None:
        """Say all that can't wait, and come back when the broker has it."""
        await asyncio.gather(*(self._tell(Root(home, self._prefix), words) for home, words in said.items() if words.is_urgent))
        for home, words in said.items():
            root = Root(home, self._prefix)
            self._later |= {APPLIANCE.at(root, appliance=name): state.to_wire() for name, state in words.repetitions.items()}
        self._health.work("events", sum(len(words.events) for words in said.values()))

    def forget(self) -> None:
        """Say no repetition that waits: another may know better by now."""
        self._later.clear()

    async def repeat(self) -> None:
        """Say the repetitions, spread over some time, until cancelled; one that is lost comes again within a minute."""
        share = 0
        while True:
            share = max(share, -(-len(self._later) // _SLICES)) if self._later else 0
            due = {topic: self._later.pop(topic) for topic in list(self._later)[:share]}
            await asyncio.gather(*(self._publish(topic, payload, retain=APPLIANCE.retain) for topic, payload in due.items()))
            await asyncio.sleep(_SLICE_S)

    async def _tell(self, root: Root, words: Said) -> None:
        for name in words.changes:
            self._later.pop(APPLIANCE.at(root, appliance=name), None)  # older than what is said now
        events = [
            self._insist(APPLIANCE_EVENT.at(root, appliance=name), event.to_wire(), retain=APPLIANCE_EVENT.retain)
            for name, event in words.events
        ]
        changes = [
            self._insist(APPLIANCE.at(root, appliance=name), state.to_wire(), retain=APPLIANCE.retain)
            for name, state in words.changes.items()
        ]
        await asyncio.gather(*events, *changes)

    async def _insist(self, topic: str, payload: bytes, *, retain: bool) -> None:
        while not await self._publish(topic, payload, retain=retain):
            await self._connected.wait()

    async def _publish(self, topic: str, payload: bytes, *, retain: bool) -> bool:
        if self._bus is None:
            return False
        try:
            await self._bus.publish(topic, payload, qos=1, retain=retain)
        except Disconnected:
            self._connected.clear()
            self._failed.set()
            return False
        except Refused:
            self._health.error("refused_publications")
        else:
            self._health.work("delivered")
        return True
