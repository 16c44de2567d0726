"""What is PostgreSQL's own: a server that goes away, slow questions, and backups over to SQLite and back."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from hems.actor.settings import HomeSettings
from services.recorder.backup import back_up, restore
from services.recorder.database import keep_recorders_out, opened
from services.recorder.domain.failures import Replaced, TooSlow, Unavailable, Unusable
from services.recorder.domain.questions import Plan
from services.recorder.opening_many import opened_histories
from tests.support.history import START_S, START_US, Place, ask, steady
from tests.support.postgres import RealPostgres

_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_RECORDER = """
import asyncio, sys
from tests.support.history import Place
async def run():
    async with Place(sys.argv[1], sys.argv[2]).opened():
        print("open", flush=True)
        await asyncio.Event().wait()
asyncio.run(run())
"""


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


async def _backup(place: Place, folder: Path) -> Path:
    async with place.opened() as opened:
        await opened.history.record(steady(600, 1_000))
        await back_up(opened.database, folder / "backup.db")
    return folder / "backup.db"


async def test_a_restore_under_a_running_recorder_is_refused(place: Place, tmp_path: Path) -> None:
    """Nothing is changed while one of two recorders runs; when both are stopped it goes through."""
    backup = await _backup(place, tmp_path)
    async with place.opened() as one:
        async with Place(place.url, f"{place.home}-too").opened() as other:
            await other.history.record(steady(60, 1_000))
        await one.history.record(steady(600, 1_000, start_us=START_US + 3_600_000_000))
        with pytest.raises(Unusable, match="stop it first"):
            await restore(place.url, backup)
        assert len(await ask(one, "mains")) == 402
    await restore(place.url, backup)


async def test_the_recorder_of_many_homes_refuses_a_restore_too(postgres: RealPostgres, place: Place, tmp_path: Path) -> None:
    """The same."""
    backup, url = await _backup(place, tmp_path), postgres.new_database("held_by_many")
    async with opened_histories(url, HomeSettings.read({}, {})) as (many, _):
        await many.start(None, START_S)
        with pytest.raises(Unusable, match="stop it first"):
            await restore(url, backup)


async def test_a_recorder_refuses_a_restore_again_once_its_server_is_back(postgres: RealPostgres, place: Place, tmp_path: Path) -> None:
    """The server was stopped, and what it had noted of the recorder is gone with the connection: the next connection says so anew."""
    backup = await _backup(place, tmp_path)
    async with place.opened() as opened:
        postgres.stop()
        postgres.start()
        await opened.history.record(steady(60, 1_000, start_us=START_US + 3_600_000_000))
        with pytest.raises(Unusable, match="stop it first"):
            await restore(place.url, backup)


async def test_a_killed_recorder_holds_up_no_restore(place: Place, tmp_path: Path) -> None:
    """Its connection ends with it."""
    backup = await _backup(place, tmp_path)
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _RECORDER, place.url, place.home, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"open\n"
        with pytest.raises(Unusable, match="stop it first"):
            await restore(place.url, backup)
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()
    await restore(place.url, backup)


async def test_a_recorder_waits_for_a_restore(place: Place) -> None:
    """One that starts meanwhile tries again; one that lost its connection and finds one begins anew: what it knew is of another history."""
    async with opened(place.url) as restoring, place.opened() as running:
        async with restoring.reader.connect() as connection:
            await connection.execute(text(_OTHERS))
        async with restoring.writer.begin() as connection:
            await keep_recorders_out(connection)
            with pytest.raises(Unavailable, match="is being restored"):
                async with place.opened():
                    pass
            with pytest.raises(Replaced):
                await running.history.record(steady(60, 1_000))
    async with place.opened() as again:
        await again.history.record(steady(60, 1_000))
