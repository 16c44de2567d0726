"""Answers to questions over the bus: a few at a time, each bounded, so that recording never waits for one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from hems.actor.bus import Delivery, Received
from hems.actor.health import Health
from hems.contracts.energy import HistoryQuery, HistoryResult
from services.recorder.domain.failures import TooSlow, Unavailable
from services.recorder.domain.questions import BadQuestion, Plan, asker_of, pieces, plan, refusal

_MOST_WAITING = 16
_WORKERS = 2


class Answering(Protocol):
    """Reads the history."""

    async def answer(self, plan: Plan, timeout_s: float) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
        """Columns and rows.

        Raises:
            BadQuestion: nothing is known of what it asks for.
            TooSlow: it was stopped.
            Unavailable: the database can't be reached.
        """
        ...


Say = Callable[[str, str, HistoryResult], Awaitable[None]]
"""Takes the home, the client and a piece."""

Find = Callable[[str], Awaitable[tuple[Answering, int]]]
"""Takes the home; who answers for it, and since when single readings are there, µs.

Raises:
    BadQuestion: nothing is known of it.
    Unavailable: the database can't be reached.
"""


class Replies:
    """A short queue of questions."""

    def __init__(self, say: Say, health: Health, timeout_s: float) -> None:
        self._say = say
        self._health = health
        self._timeout_s = timeout_s
        self._queue: asyncio.Queue[tuple[str, HistoryQuery]] = asyncio.Queue(_MOST_WAITING)

    async def ask(self, received: Received[HistoryQuery]) -> None:
        """Put a question into the queue, or refuse it at once."""
        if received.retained:
            return
        try:
            self._queue.put_nowait((received.parameters["home"], received.payload))
        except asyncio.QueueFull:
            await self._refuse(received.parameters["home"], received.payload, "too many questions wait: ask again in a few seconds")

    async def refuse_unread(self, parameters: Mapping[str, str], delivery: Delivery, reason: str) -> None:
        """Answer what is no question, as far as it says who asks."""
        asker = None if delivery.retained else asker_of(delivery.payload)
        if asker is not None:
            self._health.error("refused_questions")
            await self._say(parameters["home"], asker[1], refusal(asker[0], f"this is no question: {reason}"))

    async def answer_all(self, find: Find) -> None:
        """Answer, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(_WORKERS):
                tasks.create_task(self._work(find))

    async def _work(self, find: Find) -> None:
        while True:
            home, query = await self._queue.get()
            try:
                answers, raw_since_us = await find(home)
                columns, rows = await answers.answer(plan(query, raw_since_us), self._timeout_s)
            except (BadQuestion, TooSlow) as error:
                await self._refuse(home, query, str(error))
            except Unavailable as error:
                await self._refuse(home, query, f"the history can't be read now: {error}")
            else:
                await self._reply(home, query, columns, rows)

    async def _reply(self, home: str, query: HistoryQuery, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
        # Some megabytes of JSON take long enough to hold up a reading; the thread lets others run between.
        for piece in await asyncio.to_thread(lambda: list(pieces(query.id, columns, rows))):
            await self._say(home, query.client, piece)
        self._health.work("answers")

    async def _refuse(self, home: str, query: HistoryQuery, reason: str) -> None:
        self._health.error("refused_questions")
        await self._say(home, query.client, refusal(query.id, reason))
