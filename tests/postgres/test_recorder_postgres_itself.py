"""What is PostgreSQL's own: a server that goes away, slow questions, and backups over to SQLite and back."""

from pathlib import Path

import pytest

from services.recorder.backup import back_up, restore
from services.recorder.domain.failures import TooSlow, Unavailable
from services.recorder.domain.questions import Plan
from tests.support.history import START_S, START_US, Place, ask, steady
from tests.support.postgres import RealPostgres


async def test_a_server_that_is_away_is_told_from_a_bug(postgres: RealPostgres, place: Place) -> None:
    """While the server is down nothing is written and the failure says so; when it is back the same rows go in, once."""
    rows = steady(600, 1_000)
    async with place.opened() as opened:
        await opened.history.record(rows[:100])
        postgres.stop()
        try:
            with pytest.raises(Unavailable):
                await opened.history.record(rows)
        finally:
            postgres.start()
        await opened.history.record(rows)
        await opened.history.count_all()
        assert (await opened.history.counters(START_S))[0].total_mj == 600_000_000
        assert len(await ask(opened, "mains")) == len(rows)


async def test_a_slow_question_is_stopped_in_the_server(place: Place) -> None:
    """The statement ends there, and the connection is good for the next question."""
    async with place.opened() as opened:
        await opened.history.record(steady(60_000, 1_000))
        plan = Plan("power", None, "raw", START_US, START_US + 86_400_000_000, 1_000, 2)
        with pytest.raises(TooSlow, match="shorter range"):
            await opened.answers.answer(plan, 0.001)
        assert await ask(opened, "energy")


async def test_a_backup_goes_to_sqlite_and_back(place: Place, tmp_path: Path) -> None:
    """A backup is a SQLite file: it opens as a history of its own, and goes back into PostgreSQL."""
    async with place.opened() as opened:
        await opened.history.record(steady(3_600, 1_000))
        await opened.history.count_all()
        before = await opened.history.counters(START_S)
        await back_up(opened.database, tmp_path / "backup.db")
        await opened.history.record(steady(3_600, 5_000, start_us=START_US + 7_200_000_000))
    async with Place(f"sqlite:///{tmp_path}/backup.db", place.home).opened() as opened:
        assert await opened.history.counters(START_S) == before
    assert await restore(place.url, tmp_path / "backup.db") is None
    async with place.opened() as opened:
        assert await opened.history.counters(START_S) == before
