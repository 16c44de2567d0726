"""A service's presence: `online` and `offline`, and how it is."""

import asyncio
import contextlib
from dataclasses import dataclass

from hems.actor.bus import Bus, Disconnected, Refused
from hems.actor.clock import Clock
from hems.actor.health import Health
from hems.actor.logs import FaultLog, Log
from hems.actor.store import Store
from hems.contracts.catalog import SERVICE_HEALTH, SERVICE_STATUS
from hems.contracts.health import ServiceStatus
from hems.contracts.topic import Root

_HEALTH_EVERY_S = 10.0
_GOODBYE_S = 0.5


@dataclass
class Presence:
    """What others know of a service besides its messages."""

    service: str
    root: Root
    clock: Clock
    health: Health
    store: Store
    log: Log
    _dropped_told: int = 0

    def __post_init__(self) -> None:
        self._refusals = FaultLog(self.log, "the broker refused the status: does this service log in under its own name?", every=20)

    async def attend(self, bus: Bus) -> None:
        """Say `online`; say `offline` when the service stops."""
        try:
            await self._say_status(bus, online=True)
            await asyncio.Event().wait()
        finally:
            # Also where the stop comes before the broker's answer: others may have heard `online` already.
            # wait_for, since asyncio.timeout of Python 3.11.2 (Debian 12) says no TimeoutError in a task that is being cancelled.
            with contextlib.suppress(Disconnected, TimeoutError):
                await asyncio.wait_for(self._say_status(bus, online=False), _GOODBYE_S)

    async def report(self, bus: Bus) -> None:
        """Say how the service is: at once, every ten seconds, and when it goes blind or sees again."""
        topic = SERVICE_HEALTH.at(self.root, service=self.service)
        while True:
            self.health.changed.clear()
            await bus.publish(topic, self._report(), qos=SERVICE_HEALTH.qos, retain=SERVICE_HEALTH.retain)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HEALTH_EVERY_S):
                    await self.health.changed.wait()

    async def _say_status(self, bus: Bus, *, online: bool) -> None:
        topic = SERVICE_STATUS.at(self.root, service=self.service)
        try:
            await bus.publish(topic, ServiceStatus(online=online).to_wire(), qos=1, retain=True)
        except Refused as refusal:
            self._refusals.failed(reason=str(refusal))

    def _report(self) -> bytes:
        self.health.error("dropped_publications", self.store.dropped - self._dropped_told)
        self._dropped_told = self.store.dropped
        return self.health.report(self.clock.now(), self.store.backlog).to_wire()
