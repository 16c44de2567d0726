"""What a service does while it is connected: says that it is there, what it keeps, and how it is."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

from hems.actor.bus import Bus, Disconnected, Input, Received, Refused
from hems.actor.clock import Clock
from hems.actor.health import Health
from hems.actor.logs import FaultLog, Log
from hems.actor.store import NotAccepted, Publication, Store
from hems.contracts.alerts import Alert
from hems.contracts.catalog import ALERT, BROKER_UPTIME, SERVICE_HEALTH, SERVICE_MISSED, SERVICE_STATUS
from hems.contracts.health import BrokerUptime, Missed, ServiceStatus
from hems.contracts.topic import Qos, Root

_HEALTH_EVERY_S = 10.0
_UPTIME_WITHIN_S = 3.0
_GOODBYE_S = 0.5


@dataclass
class Postman:
    """The service's voice: status, health, retained states, and the outbox, over connections that come and go."""

    service: str
    root: Root
    clock: Clock
    health: Health
    store: Store
    log: Log
    _bus: Bus | None = None
    _retained: dict[str, tuple[bytes, Qos]] = field(default_factory=dict[str, tuple[bytes, Qos]])
    _connected_at_s: float | None = None
    _previous_s: float | None = None
    _judged: asyncio.Event = field(default_factory=asyncio.Event)
    _refusals_told: set[str] = field(default_factory=set[str])
    _refusals: dict[str, FaultLog] = field(default_factory=dict[str, FaultLog])

    @property
    def inputs(self) -> tuple[Input[Any], ...]:
        """What every service listens to."""
        return (Input(BROKER_UPTIME, self.on_uptime), Input(SERVICE_MISSED, self.on_missed))

    async def say(self, topic: str, payload: bytes, *, qos: Qos, retain: bool) -> None:
        """Say now, or, while there is no connection, only what is retained, later."""
        if retain:
            self._retained[topic] = (payload, qos)
        if self._bus is None:
            self.health.error("unsaid" if not retain else "said_later")
            return
        try:
            await self._bus.publish(topic, payload, qos=qos, retain=retain)
        except Disconnected:
            self.health.error("unsaid" if not retain else "said_later")
        except Refused as refusal:
            self._refused(topic, str(refusal))

    async def attend(self, bus: Bus) -> None:
        """Say `online` and every retained state; say `offline` when the service stops."""
        status = SERVICE_STATUS.at(self.root, service=self.service)
        await bus.publish(status, ServiceStatus(online=True).to_wire(), qos=1, retain=True)
        self._bus = bus
        try:
            for topic, (payload, qos) in list(self._retained.items()):
                with contextlib.suppress(Refused):
                    await bus.publish(topic, payload, qos=qos, retain=True)
            await asyncio.Event().wait()
        finally:
            self._bus = None
            with contextlib.suppress(Disconnected, Refused, TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await bus.publish(status, ServiceStatus(online=False).to_wire(), qos=1, retain=True)

    async def deliver(self, bus: Bus) -> None:
        """Empty the outbox, in order, for as long as the connection stands."""
        self.store.start_again()
        while True:
            self.store.changed.clear()
            batch = self.store.unsaid()
            if not batch:
                await self.store.changed.wait()
            async with asyncio.TaskGroup() as tasks:
                for publication in batch:
                    tasks.create_task(self._deliver(bus, publication))

    async def notice_restart(self, bus: Bus) -> None:
        """Say again what the broker may have forgotten, unless it shows that it has run since the connection before."""
        self._judged = asyncio.Event()
        self._previous_s, self._connected_at_s = self._connected_at_s, time.monotonic()
        try:
            async with asyncio.timeout(_UPTIME_WITHIN_S):
                await self._judged.wait()
        except TimeoutError:
            self._say_again("the broker does not say how long it has run")

    async def on_uptime(self, message: Received[BrokerUptime]) -> None:
        """Judge the first uptime after a connection: shorter than the time since the connection before means a restart."""
        if self._judged.is_set():
            return
        self._judged.set()
        since_s = float("inf") if self._previous_s is None else time.monotonic() - self._previous_s
        if message.payload.seconds < min(since_s, self.store.keep_said_s):
            self._say_again("the broker has restarted")

    async def on_missed(self, message: Received[Missed]) -> None:
        """A reader lost its session: say again what is still kept."""
        if not message.retained:
            self._say_again(f"{message.parameters['service']} lost its session")

    async def ask_again(self, bus: Bus) -> None:
        """On the durable connection: where the broker forgot this session, ask all to say again what they keep."""
        if not bus.session_present:
            missed = SERVICE_MISSED.at(self.root, service=self.service)
            with contextlib.suppress(Refused):
                await bus.publish(missed, Missed(at=self.clock.now()).to_wire(), qos=1, retain=False)

    async def report(self, bus: Bus) -> None:
        """Say how the service is: at once, every ten seconds, and when it goes blind or sees again."""
        topic, blind, due_s = SERVICE_HEALTH.at(self.root, service=self.service), None, 0.0
        while True:
            if time.monotonic() >= due_s or blind != self.health.blind:
                blind, due_s = self.health.blind, time.monotonic() + _HEALTH_EVERY_S
                report = self.health.report(self.clock.now(), self.store.backlog)
                await bus.publish(topic, report.to_wire(), qos=0, retain=True)
            await asyncio.sleep(0.5)

    def _say_again(self, why: str) -> None:
        count = self.store.say_again()
        self.health.work("said_again", count)
        if count:
            self.log.info("saying again what is still kept", why=why, messages=count)

    async def _deliver(self, bus: Bus, publication: Publication) -> None:
        try:
            await bus.publish(publication.topic, publication.payload, qos=publication.qos, retain=publication.retain)
        except Refused as refusal:
            self._refused(publication.topic, str(refusal))
        else:
            self.store.acknowledged(publication)
            self.health.work("delivered")

    def _refused(self, topic: str, reason: str) -> None:
        self.health.error("refused_publications")
        fault = self._refusals.setdefault(topic, FaultLog(self.log, "the broker refused a publication; it is kept", every=100))
        fault.failed(topic=topic, reason=reason)
        alert = ALERT.at(self.root)
        if topic != alert and topic not in self._refusals_told:
            self._refusals_told.add(topic)
            self._raise_alert(alert, topic, reason)

    def _raise_alert(self, address: str, topic: str, reason: str) -> None:
        now = self.clock.now()
        alert = Alert(
            id=f"{self.service}-refused-{int(now.timestamp())}",
            rule="broker.refused",
            severity="warning",
            title=f"{self.service} may not say {topic}",
            message=f"The broker refused it: {reason}. The message is kept; check the broker's access list.",
            at=now,
        )
        with contextlib.suppress(NotAccepted), self.store.transaction() as transaction:
            transaction.accept(address, alert.to_wire(), message_id=alert.id)
