"""What a service says over connections that come and go: what is live, what is retained, and the outbox."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

from hems.actor.bus import Bus, Disconnected, Refused
from hems.actor.clock import Clock
from hems.actor.health import Health
from hems.actor.logs import FaultLog, Log
from hems.actor.store import NotAccepted, Publication, Store, check_size
from hems.contracts.alerts import Alert
from hems.contracts.catalog import ALERT
from hems.contracts.topic import Qos, Root

_MOST_UNANSWERED = 64


@dataclass
class Postman:
    """The service's voice."""

    service: str
    root: Root
    clock: Clock
    health: Health
    store: Store
    log: Log
    _bus: Bus | None = None
    _retained: dict[str, tuple[bytes, Qos]] = field(default_factory=dict[str, tuple[bytes, Qos]])
    _refusals: dict[str, FaultLog] = field(default_factory=dict[str, FaultLog])

    @property
    def connected(self) -> bool:
        """Whether what is said now goes out."""
        return self._bus is not None

    async def say(self, topic: str, payload: bytes, *, qos: Qos, retain: bool) -> None:
        """Say now, or, while there is no connection, only what is retained, later.

        Raises:
            hems.actor.store.TooLarge: the broker would end the connection.
        """
        check_size(topic, payload)
        if retain:
            self._retained[topic] = (payload, qos)
        if self._bus is None:
            self._unsaid(retain=retain)
            return
        try:
            await self._bus.publish(topic, payload, qos=qos, retain=retain)
        except Disconnected:
            self._unsaid(retain=retain)
        except Refused as refusal:
            self._refused(topic, str(refusal))

    async def speak(self, bus: Bus) -> None:
        """Say every retained state once more, and lend the connection to whoever speaks."""
        self._bus = bus
        try:
            for topic in list(self._retained):
                # Read now: the actor may have said a newer one since the loop began.
                payload, qos = self._retained[topic]
                try:
                    await bus.publish(topic, payload, qos=qos, retain=True)
                except Refused as refusal:
                    self._refused(topic, str(refusal))
            await asyncio.Event().wait()
        finally:
            self._bus = None

    async def deliver(self, bus: Bus) -> None:
        """Empty the outbox, in order, for as long as the connection stands."""
        self.store.start_again()
        room = asyncio.Semaphore(_MOST_UNANSWERED)
        async with asyncio.TaskGroup() as tasks:
            while True:
                self.store.changed.clear()
                publications = self.store.unsaid()
                if not publications:
                    await self.store.changed.wait()
                for publication in publications:
                    await room.acquire()
                    tasks.create_task(self._deliver(bus, publication, room))

    async def _deliver(self, bus: Bus, publication: Publication, room: asyncio.Semaphore) -> None:
        try:
            await bus.publish(publication.topic, publication.payload, qos=publication.qos, retain=publication.retain)
        except Refused as refusal:
            self._refused(publication.topic, str(refusal))
        else:
            self.store.acknowledged(publication)
            self.health.work("delivered")
        finally:
            room.release()

    def _unsaid(self, *, retain: bool) -> None:
        self.health.error("said_later" if retain else "unsaid")

    def _refused(self, topic: str, reason: str) -> None:
        self.health.error("refused_publications")
        first = topic not in self._refusals
        fault = self._refusals.setdefault(topic, FaultLog(self.log, "the broker refused a publication", every=100))
        fault.failed(topic=topic, reason=reason)
        if first and topic != ALERT.at(self.root):
            self._raise_alert(topic, reason)

    def _raise_alert(self, topic: str, reason: str) -> None:
        now = self.clock.now()
        alert = Alert(
            id=str(uuid5(NAMESPACE_URL, f"{self.root}/{self.service}/refused/{topic}/{now.isoformat()}")),
            rule="broker.refused",
            severity="warning",
            title=f"{self.service} may not say {topic}"[:200],
            message=f"The broker refused it: {reason}. What must not be lost is kept; check the broker's access list."[:2_000],
            at=now,
        )
        with contextlib.suppress(NotAccepted), self.store.transaction() as transaction:
            transaction.accept(ALERT.at(self.root), alert.to_wire(), message_id=alert.id)
