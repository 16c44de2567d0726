"""Says the readings of many homes over a few connections, each when it is due, until the broker has it."""

import asyncio
import random
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from hems.actor.bus import Broker, Bus, Disconnected, Session
from hems.actor.failures import ends_on, still_cancelled
from hems.actor.logs import FaultLog, Log
from hems.contracts.catalog import MAINS
from hems.contracts.mains import Mains
from hems.contracts.topic import Root
from services.replay.domain.street import Reading

WINDOW = 200
_ENOUGH = 100_000
_GRAIN_S = 0.005
MOST_KEPT = 1_000_000
"""Durations that are remembered, at least; of a simulation that goes on for days the newest."""

Acknowledged = Callable[[Reading, float], None]
"""A reading, and the time at which the broker's acknowledgement came, seconds since 1970."""


class Counts(NamedTuple):
    """What one or several connections have done; `waiting` are due and not yet acknowledged."""

    due: int
    acknowledged: int
    said_again: int
    waiting: int


class Line:
    """One connection, which several homes share: an order within each home, and nothing lost while it is broken."""

    def __init__(self, broker: Broker, client_id: str, prefix: str, log: Log, told: Acknowledged) -> None:
        self._broker = broker
        self._session = Session(client_id, window=WINDOW)
        self._prefix = prefix
        self._told = told
        self._waiting: deque[Reading] = deque()
        self._on_the_way: dict[int, Reading] = {}
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._faults = FaultLog(log, "no connection to the broker", every=20)
        self._due = self._acknowledged = self._said_again = 0

    @property
    def counts(self) -> Counts:
        """Since the beginning."""
        return Counts(self._due, self._acknowledged, self._said_again, len(self._waiting) + len(self._on_the_way))

    async def say(self, reading: Reading) -> None:
        """Accept a reading that is due. Waits where too many are unsaid: then the rate is not what was asked for."""
        while len(self._waiting) >= _ENOUGH:
            self._room.clear()
            await self._room.wait()
        self._due += 1
        self._waiting.append(reading)
        self._idle.clear()
        self._more.set()

    async def finish(self) -> None:
        """Wait until the broker has all that was accepted."""
        await self._idle.wait()

    async def keep(self) -> None:
        """Stay connected until cancelled."""
        while True:
            with ends_on(Disconnected) as broken:
                async with self._broker.connect(self._session) as bus:
                    self._faults.recovered()
                    await self._speak(bus)
            still_cancelled()
            self._faults.failed(error=str(broken[0]))
            self._said_again += len(self._on_the_way)
            self._waiting.extendleft(reversed(self._on_the_way.values()))
            self._on_the_way.clear()
            await asyncio.sleep(random.uniform(0.2, 0.6))  # noqa: S311

    async def _speak(self, bus: Bus) -> None:
        room, number = asyncio.Semaphore(WINDOW), 0
        async with asyncio.TaskGroup() as tasks:
            while True:
                while self._waiting:
                    await room.acquire()
                    number += 1
                    self._on_the_way[number] = self._waiting.popleft()
                    tasks.create_task(self._publish(bus, number, room))
                self._room.set()
                self._more.clear()
                await self._more.wait()

    async def _publish(self, bus: Bus, number: int, room: asyncio.Semaphore) -> None:
        reading = self._on_the_way[number]
        mains = Mains(measured_at=datetime.fromtimestamp(reading.at_s, UTC), power_w=reading.power_w, quality="measured")
        await bus.publish(MAINS.at(Root(reading.home, self._prefix)), mains.to_wire(), qos=1, retain=MAINS.retain)
        del self._on_the_way[number]
        self._acknowledged += 1
        room.release()
        self._told(reading, time.time())
        if not self._waiting and not self._on_the_way:
            self._idle.set()


class Simulator:
    """Homes on lines: a home keeps to its line.

    Args:
        readings: in order of their time.
        lines: each home's line follows from its place among the homes that have spoken.
    """

    def __init__(self, readings: Iterator[Reading], lines: list[Line]) -> None:
        self._readings = readings
        self._lines = lines
        self._line_of: dict[str, Line] = {}
        self.lags_s = array("f")
        """How late each reading was handed to its line: what this process, and not the broker, adds."""

    @property
    def counts(self) -> Counts:
        """Of all lines together."""
        return Counts(*map(sum, zip(*(line.counts for line in self._lines), strict=True)))

    async def run(self, until_s: float) -> None:
        """Say all that is due before `until_s` (seconds since 1970), and come back once the broker has it all, or by being cancelled."""
        async with asyncio.TaskGroup() as tasks:
            kept = [tasks.create_task(line.keep()) for line in self._lines]
            for reading in self._readings:
                if reading.at_s >= until_s:
                    break
                await self._wait_for(reading.at_s)
                await self._line(reading.home).say(reading)
            for line in self._lines:
                await line.finish()
            for task in kept:
                task.cancel()

    async def _wait_for(self, at_s: float) -> None:
        late_s = time.time() - at_s
        if late_s < 0:
            # A timer for each would cost more than the reading: those of a few milliseconds go together, none before its time.
            await asyncio.sleep(max(-late_s, _GRAIN_S))
            late_s = time.time() - at_s
        if len(self.lags_s) >= 2 * MOST_KEPT:
            del self.lags_s[:MOST_KEPT]
        self.lags_s.append(late_s)

    def _line(self, home: str) -> Line:
        line = self._line_of.get(home)
        if line is None:
            line = self._line_of[home] = self._lines[len(self._line_of) % len(self._lines)]
        return line
