"""Noticing that the broker forgot: what it had acknowledged and not yet saved is said again by whoever still keeps it."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import Any

from hems.actor.bus import Bus, Input, Received, Refused
from hems.actor.clock import Clock
from hems.actor.health import Health
from hems.actor.logs import Log
from hems.actor.store import Store
from hems.contracts.catalog import BROKER_UPTIME, SERVICE_MISSED
from hems.contracts.health import BrokerUptime, Missed
from hems.contracts.topic import Root

_UPTIME_WITHIN_S = 3.0


@dataclass
class Restarts:
    """Watches for a broker that restarted, and for readers that lost their sessions."""

    service: str
    root: Root
    clock: Clock
    health: Health
    store: Store
    log: Log
    _judged: asyncio.Event = field(default_factory=asyncio.Event)
    _trusted_since_s: float | None = None
    _session_lost: bool = False

    @property
    def inputs(self) -> tuple[Input[Any], ...]:
        """What every service listens to."""
        return (Input(BROKER_UPTIME, self.on_uptime), Input(SERVICE_MISSED, self.on_missed))

    async def watch(self, bus: Bus) -> None:
        """Say again what the broker may have forgotten, unless it shows that it has run since it was last seen."""
        connected_at_s = time.monotonic()
        try:
            try:
                async with asyncio.timeout(_UPTIME_WITHIN_S):
                    await self._judged.wait()
            except TimeoutError:
                self._judged.set()
                self._say_again("the broker does not say how long it has run")
            self._trusted_since_s = connected_at_s
            await asyncio.Event().wait()
        finally:
            self._judged.clear()  # the first uptime of the next connection counts

    async def until_judged(self, bus: Bus) -> None:
        """Wait until it is known what the broker may have forgotten, so that it can be said in order, before what is new."""
        await self._judged.wait()

    async def on_uptime(self, message: Received[BrokerUptime]) -> None:
        """Judge a connection's first uptime: shorter than the time since the last connection that was judged means a restart.

        Mosquitto says its uptime every ten seconds, so that what is heard is never longer than the truth.
        """
        if self._judged.is_set():
            return
        self._judged.set()
        since_s = float("inf") if self._trusted_since_s is None else time.monotonic() - self._trusted_since_s
        if message.payload.seconds < min(since_s, self.store.keep_said_s):
            self._say_again("the broker has restarted")

    async def on_missed(self, message: Received[Missed]) -> None:
        """A reader lost its session: say again what is still kept."""
        if not message.retained:
            self._say_again(f"{message.parameters['service']} lost its session")

    async def ask_again(self, bus: Bus) -> None:
        """On the durable connection: where the broker forgot this session, ask all to say again what they keep."""
        self._session_lost = self._session_lost or not bus.session_present
        if self._session_lost:
            missed = SERVICE_MISSED.at(self.root, service=self.service)
            with contextlib.suppress(Refused):
                await bus.publish(missed, Missed(at=self.clock.now()).to_wire(), qos=1, retain=False)
            self._session_lost = False  # not before it is said: the next connection finds the session that this one made

    def _say_again(self, why: str) -> None:
        count = self.store.say_again()
        self.health.work("said_again", count)
        if count:
            self.log.info("saying again what is still kept", why=why, messages=count)
