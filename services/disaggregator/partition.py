"""One partition of a fleet: a lasting session of its own at the broker, which moves with the partition."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from hems.actor.bus import Broker, Input, Received, Session
from hems.actor.clock import Clock
from hems.actor.connection import Connection
from hems.actor.health import Health
from hems.actor.logs import FaultLog, Log
from hems.contracts.catalog import MAINS
from hems.contracts.mains import Mains
from hems.contracts.topic import Root
from services.disaggregator.domain.many import Reading
from services.disaggregator.domain.timeliness import CLOCKS_DIFFER_BY

_HOME = re.compile(r"[a-z0-9_-]{1,32}")


@dataclass(eq=False, slots=True)
class Arrival:
    """A reading that waits for its turn. `done` acknowledges it; cancelled, its connection broke, and it comes again by the next."""

    reading: Reading
    arrived_at: datetime
    done: "asyncio.Future[None]"


@dataclass
class Surroundings:
    """What the partitions of a replica share."""

    broker: Broker
    clock: Clock
    health: Health
    log: Log
    window: int
    _future: FaultLog = field(init=False)

    def __post_init__(self) -> None:
        self._future = FaultLog(self.log, "a reading from the future", every=100, spell_s=60)

    def is_plausible(self, reading: Mains, home: str, now: datetime) -> bool:
        """Whether a home can have such a name, and the time is not ahead of the clock; counted and logged where not."""
        if not _HOME.fullmatch(home):
            self.health.error("malformed_homes")
            return False
        if reading.measured_at - now <= CLOCKS_DIFFER_BY:
            self._future.recovered()
            return True
        self.health.error("future_readings")
        self._future.failed(home=home, measured_at=reading.measured_at.isoformat(), now=now.isoformat())
        return False


class Partition:
    """Reads one partition's mains, of every home in it.

    Args:
        root: where its homes' mains stand, such as `hems-p/3/+`.
        take: is told of each reading.
    """

    def __init__(self, root: Root, surroundings: Surroundings, take: Callable[[Arrival], None]) -> None:
        self._root = root
        self._surroundings = surroundings
        self._take = take

    async def keep(self) -> None:
        """Stay connected until cancelled."""
        around = self._surroundings
        # The identity is the partition's, not the replica's: who takes it over is handed what was not acknowledged.
        session = Session(f"{self._root.prefix.replace('/', '-')}-disaggregator", durable=True, window=around.window)
        entries = [Input(MAINS, self._take_reading, durable=True, together=True, in_turn=False)]
        connection = Connection(
            around.broker, session, entries, (), root=self._root, clock=around.clock, health=around.health, log=around.log
        )
        await connection.keep()

    async def _take_reading(self, received: Received[Mains]) -> None:
        if received.retained:
            return  # the broker's copy of the newest is no news, and would overtake what is queued
        home, mains = received.parameters["home"], received.payload
        if not self._surroundings.is_plausible(mains, home, received.arrived_at):
            return
        done = asyncio.get_running_loop().create_future()
        reading = Reading(home, mains.measured_at.timestamp(), mains.power_w)
        self._take(Arrival(reading, received.arrived_at, done))
        await done
