"""What is said to many homes: events and changes at once, the minute's repetitions at leisure."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from hems.actor.bus import Disconnected, Refused
from hems.actor.health import Health
from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.contracts.catalog import APPLIANCE, APPLIANCE_EVENT
from hems.contracts.topic import Root
from services.disaggregator.domain.home import Step
from services.disaggregator.domain.saying import Appliance, Sayer
from services.disaggregator.domain.telling import event_message, state_message
from services.disaggregator.partition import Voice

_SLICE_S = 0.25
_SLICES = 80
"""The repetitions of a minute go out within some twenty seconds: every home's fall on the same moments of the clock."""


class _Repetition(NamedTuple):
    voice: Voice
    payload: bytes


@dataclass
class Said:
    """What one batch says to one home, over the connection that its readings came by."""

    voice: Voice
    events: list[tuple[str, ApplianceEvent]] = field(default_factory=list[tuple[str, ApplianceEvent]])
    changes: dict[str, ApplianceState] = field(default_factory=dict[str, ApplianceState])
    repetitions: dict[str, ApplianceState] = field(default_factory=dict[str, ApplianceState])

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
    """Says it, under `<prefix>/<home>`."""

    def __init__(self, prefix: str, health: Health) -> None:
        self._prefix = prefix
        self._health = health
        self._later: dict[str, _Repetition] = {}

    async def say(self, said: Mapping[str, Said]) -> set[str]:
        """Say all that can't wait; returns the homes that were not told, since their connection broke."""
        outcomes = await asyncio.gather(*(self._tell(home, words) for home, words in said.items() if words.events or words.changes))
        failed = {home for home, told in outcomes if not told}
        for home, words in said.items():
            if home not in failed:
                self._health.work("events", len(words.events))
                self._later.update(
                    (APPLIANCE.at(Root(home, self._prefix), appliance=name), _Repetition(words.voice, state.to_wire()))
                    for name, state in words.repetitions.items()
                )
        return failed

    async def repeat(self) -> None:
        """Say the repetitions, spread over some time, until cancelled; one that is lost comes again within a minute."""
        while True:
            share = -(-len(self._later) // _SLICES)
            due = {topic: self._later.pop(topic) for topic in list(self._later)[:share]}
            await asyncio.gather(
                *(self._publish(voice, topic, payload, retain=APPLIANCE.retain) for topic, (voice, payload) in due.items())
            )
            await asyncio.sleep(_SLICE_S)

    async def _tell(self, home: str, words: Said) -> tuple[str, bool]:
        root = Root(home, self._prefix)
        events = [
            self._publish(words.voice, APPLIANCE_EVENT.at(root, appliance=name), event.to_wire(), retain=APPLIANCE_EVENT.retain)
            for name, event in words.events
        ]
        changes = [self._change(words.voice, APPLIANCE.at(root, appliance=name), state) for name, state in words.changes.items()]
        return home, all(await asyncio.gather(*events, *changes))

    async def _change(self, voice: Voice, topic: str, state: ApplianceState) -> bool:
        self._later.pop(topic, None)  # older than what is said now
        return await self._publish(voice, topic, state.to_wire(), retain=APPLIANCE.retain)

    async def _publish(self, voice: Voice, topic: str, payload: bytes, *, retain: bool) -> bool:
        try:
            if voice.broken:
                return False
            await voice.bus.publish(topic, payload, qos=1, retain=retain)
            self._health.work("delivered")
        except Disconnected:
            return False
        except Refused:
            self._health.error("refused_publications")
        return True
