"""Small actors for tests of the runtime."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hems.actor.bus import Input, Received
from hems.actor.context import Context
from hems.contracts.appliances import ApplianceLabel
from hems.contracts.catalog import ALERT, APPLIANCE_LABEL, DEMAND, DEMAND_EVENT, MAINS
from hems.contracts.demand import DemandEvent
from hems.contracts.topic import Topic

Hear = Callable[[Received[Any]], Awaitable[None]]


class Listener:
    """Hears demand events (live) and labels (durable), and says what its test wants."""

    outputs: Sequence[Topic[Any]] = (MAINS, ALERT, DEMAND, DEMAND_EVENT)

    def __init__(self, context: Context, hear: Hear | None = None) -> None:
        self.context = context
        self.heard: list[Received[DemandEvent]] = []
        self.labels: list[Received[ApplianceLabel]] = []
        self.malformed: list[str] = []
        self._hear = hear

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """One of each kind."""
        return (
            Input(DEMAND_EVENT, self._event, malformed=self._broken),
            Input(APPLIANCE_LABEL, self._label, durable=True, fixed={"appliance": "kettle"}),
        )

    async def run(self) -> None:
        """Nothing by itself."""
        await asyncio.Event().wait()

    async def _event(self, message: Received[DemandEvent]) -> None:
        if self._hear is not None:
            await self._hear(message)
        self.heard.append(message)

    async def _label(self, message: Received[ApplianceLabel]) -> None:
        if self._hear is not None:
            await self._hear(message)
        self.labels.append(message)

    async def _broken(self, parameters: Any, reason: str, _retained: bool) -> None:
        self.malformed.append(reason)
