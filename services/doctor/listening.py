"""Listens on the bus for a while, and says what came."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from hems.actor.bus import Delivery, Disconnected, Session
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings
from hems.contracts.catalog import MAINS, SERVICE_HEALTH, SERVICE_STATUS
from hems.contracts.health import ServiceHealth
from hems.contracts.mains import Mains
from hems.contracts.payload import MalformedPayload
from hems.contracts.topic import Root
from hems.setting_up.checkup import Overheard

_RETAINED_S = 0.5


class Unreachable(Exception):
    """Nothing answers at the broker's address."""


class NotLetIn(Exception):
    """The broker answers, and refuses the account."""


async def overhear(broker: BrokerSettings, root: Root, seconds: float) -> Overheard:
    """Listen to the services and the meter.

    Raises:
        Unreachable: there is no broker.
        NotLetIn: it refuses the account.
    """
    await _knock(broker)
    notes = _Notes()
    try:
        async with MqttBroker(broker).connect(Session(f"{root.prefix}-{root.home}-doctor-{os.getpid()}")) as bus:
            for topic in (SERVICE_STATUS, SERVICE_HEALTH, MAINS):
                await bus.subscribe(topic.filter(root), 0)
            listening = asyncio.ensure_future(_listen(bus.deliveries(), root, notes))
            await asyncio.wait([listening], timeout=max(seconds, _RETAINED_S))
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    except Disconnected as error:
        raise NotLetIn(str(error)) from None
    return notes.overheard(seconds)


async def _knock(broker: BrokerSettings) -> None:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(broker.host, broker.port), 5)
    except (OSError, TimeoutError) as error:
        raise Unreachable(str(error) or "no answer within 5 s") from None
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _listen(deliveries: AsyncIterator[Delivery], root: Root, notes: "_Notes") -> None:
    async for delivery in deliveries:
        notes.take(delivery, root)
        delivery.acknowledge()


@dataclass
class _Notes:
    online: dict[str, bool] = field(default_factory=dict[str, bool])
    health: dict[str, ServiceHealth] = field(default_factory=dict[str, ServiceHealth])
    alive: set[str] = field(default_factory=set[str])
    mains: list[Mains] = field(default_factory=list[Mains])

    def take(self, delivery: Delivery, root: Root) -> None:
        """Note what was said; what breaks its contract is the service's own trouble."""
        try:
            if found := SERVICE_STATUS.match(root, delivery.topic):
                self.online[found["service"]] = SERVICE_STATUS.payload.from_wire(delivery.payload).online
            elif found := SERVICE_HEALTH.match(root, delivery.topic):
                self._take_health(found, SERVICE_HEALTH.payload.from_wire(delivery.payload), live=not delivery.retained)
            elif MAINS.match(root, delivery.topic) and not delivery.retained:
                self.mains.append(MAINS.payload.from_wire(delivery.payload))
        except MalformedPayload:
            return

    def _take_health(self, found: Mapping[str, str], report: ServiceHealth, *, live: bool) -> None:
        self.health[found["service"]] = report
        if live:
            self.alive.add(found["service"])

    def overheard(self, seconds: float) -> Overheard:
        return Overheard(seconds, dict(self.online), dict(self.health), frozenset(self.alive), tuple(self.mains))
