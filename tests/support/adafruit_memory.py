"""Adafruit IO in memory, for a clock that a test moves: the conversation and the API that the bridge asks for."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import datetime

from hems.actor.bus import Disconnected
from services.bridge_adafruit.cloud import ApiRefused, ApiSilent, KeyRefused
from services.bridge_adafruit.domain.gap import Batch
from services.bridge_adafruit.domain.notices import Notice, Values, read_error, read_throttle
from tests.support.adafruit_account import AdafruitAccount, Held


class MemoryConnection:
    """One conversation with the account."""

    def __init__(self, account: AdafruitAccount) -> None:
        self._account = account
        self._queue: asyncio.Queue[Values | Notice | None] = asyncio.Queue()
        self.began = False

    async def begin(self) -> None:
        """Listen, and be told the last values."""
        self._account.on_values.append(self.on_values)
        self._account.on_notice.append(self._on_notice)
        self._account.on_ban.append(self.break_off)
        self.began = True
        self.on_values(self._account.last_values())

    async def publish(self, values: Mapping[str, str]) -> None:
        """Write; the answer comes a little later, as over a network."""
        await asyncio.sleep(0)
        if self._account.away:
            raise Disconnected("memory: no answer")
        self._account.take(values)
        await asyncio.sleep(0)

    async def heard(self) -> AsyncIterator[Values | Notice]:
        """What comes, until the connection is broken off."""
        while (heard := await self._queue.get()) is not None:
            yield heard
        raise Disconnected("memory: the connection broke")

    def on_values(self, values: Mapping[str, str]) -> None:
        """Values for this client."""
        self._queue.put_nowait(Values(dict(values)))

    def break_off(self) -> None:
        """As a network that is gone."""
        self._queue.put_nowait(None)

    def close(self) -> None:
        """Nobody listens any more."""
        if self.began:
            self._account.on_values.remove(self.on_values)
            self._account.on_notice.remove(self._on_notice)
            self._account.on_ban.remove(self.break_off)

    def _on_notice(self, topic: str, text: str) -> None:
        self._queue.put_nowait(read_throttle(text) if topic == "throttle" else read_error(text))


class MemoryCloud:
    """Both ways to the account.

    Attributes:
        logins: when (s) somebody connected or tried to.
        batches: all batches that were taken.
        loses_answers: so many of the next batches are taken, and their answer lost.
    """

    def __init__(self, account: AdafruitAccount) -> None:
        self.account = account
        self.connections: list[MemoryConnection] = []
        self.logins: list[float] = []
        self.batches: list[Batch] = []
        self.loses_answers = 0
        self.api_away = False

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncGenerator[MemoryConnection]:
        """Connect once."""
        self.logins.append(self.account.clock.monotonic())
        if self.account.away or self.account.banned:
            raise Disconnected("memory: nobody answers")
        if not self.account.knows_key:
            raise KeyRefused("memory: not authorised")
        connection = MemoryConnection(self.account)
        self.connections.append(connection)
        try:
            yield connection
        finally:
            self.connections.remove(connection)
            connection.close()

    def outage(self) -> None:
        """It is gone, for whoever is connected too."""
        self.account.away = True
        for connection in self.connections:
            connection.break_off()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Nothing to open."""
        yield

    async def rate(self) -> tuple[int, int]:
        """The account's limit and use."""
        self._reached()
        return self.account.limit, self.account.active()

    async def last_values(self) -> Mapping[str, str | None]:
        """The feeds and what they show."""
        self._reached()
        return {key: self.account.shown(key) for key in self.account.feeds}

    async def fill(self, batch: Batch) -> None:
        """Write points with times of their own."""
        self._reached()
        points = [Held(point.at.replace(microsecond=0), point.value) for point in batch.points]
        if not self.account.fill(batch.key, points):
            raise ApiRefused(429, "data rate limit reached, 10 seconds until throttle released", 10)
        self.batches.append(batch)
        if self.loses_answers:
            self.loses_answers -= 1
            raise ApiSilent("memory: the answer was lost")

    async def times(self, key: str, start: datetime, end: datetime) -> set[datetime]:
        """The times of the points between two times."""
        self._reached()
        known = {point.created_at.replace(microsecond=0) for point in self.account.feeds.get(key, [])}
        return {moment for moment in known if start.replace(microsecond=0) <= moment <= end}

    def _reached(self) -> None:
        if self.account.away or self.api_away:
            raise ApiSilent("memory: nobody answers")
        if not self.account.knows_key:
            raise ApiRefused(401, "unknown key")
