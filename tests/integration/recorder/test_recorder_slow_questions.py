"""Slow questions on SQLite."""

import asyncio

import pytest

from services.recorder.domain.failures import TooSlow
from services.recorder.domain.questions import Plan
from services.recorder.domain.records import MainsRow
from tests.support.history import START_US, Place, ask, steady


async def test_a_slow_question_is_stopped_and_recording_goes_on(place: Place) -> None:
    """The statement is interrupted in the database; readings are written meanwhile, and the next question is answered."""
    async with place.opened() as opened:
        await opened.history.record(steady(60_000, 1_000, every_s=1))
        plan = Plan("power", None, "raw", START_US, START_US + 86_400_000_000, 1_000, 2)
        asking = asyncio.gather(*(opened.answers.answer(plan, 0.001) for _ in range(2)), return_exceptions=True)
        await opened.history.record([MainsRow(START_US + 90_000_000_000, 1)])
        assert all(isinstance(outcome, TooSlow) for outcome in await asking)
        with pytest.raises(TooSlow, match="shorter range"):
            await opened.answers.answer(plan, 0.001)
        assert await ask(opened, "energy")
