"""Copies of a whole history: a backup is a SQLite file, whichever database it comes from and goes back to."""

import contextlib
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.recorder.database import HEAD, Database, available, keep_recorders_out, only_user, opened, sqlite_path
from services.recorder.domain.failures import Unavailable, Unusable
from services.recorder.tables import METADATA

_BATCH = 5_000


async def back_up(database: Database, into: Path) -> None:
    """Write a copy that is of one instant, while the recorder runs.

    Raises:
        Unusable: the file exists already.
        Unavailable: the database can't be read, or the copy not be written.
    """
    half = _fresh(into)
    if database.path is not None:
        _copy_file(database.path, half)
    else:
        await _copy_out(database, half)
    half.replace(into)


def _copy_file(source: Path, into: Path) -> None:
    try:
        with contextlib.closing(sqlite3.connect(source, timeout=30)) as connection:
            connection.execute("VACUUM INTO ?", (str(into),))
    except sqlite3.Error as error:
        into.unlink(missing_ok=True)
        raise Unavailable(f"no copy of the history could be written to {into.parent}: {error}; see that there is room for it") from None


def _fresh(into: Path) -> Path:
    if into.exists():
        raise Unusable(f"{into} exists already: name another file")
    into.parent.mkdir(parents=True, exist_ok=True)
    half = into.with_name(f"{into.name}.unfinished")
    half.unlink(missing_ok=True)
    return half


async def restore(url: str, backup: Path) -> Path | None:
    """Put a backup in the place of what there is. Returns where a SQLite file that was there went.

    Raises:
        Unusable: it is no backup, or is damaged, or newer than this version; or a recorder runs.
    """
    _check(backup)
    path = sqlite_path(url)
    if path is None:
        await _copy_in(url, backup)
        return None
    with only_user(path):
        fresh = path.with_name(f"{path.name}.restoring")
        shutil.copyfile(backup, fresh)
        aside = _move_aside(path)
        fresh.replace(path)
    return aside


def _check(backup: Path) -> None:
    if not backup.exists():
        raise Unusable(f"{backup} does not exist")
    try:
        with contextlib.closing(sqlite3.connect(f"file:{backup}?mode=ro", uri=True)) as connection:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise Unusable(f"{backup} is no backup of a history: {error}") from None
    if verdict != "ok" or revision is None:
        raise Unusable(f"{backup} is damaged ({verdict}): take another")
    if revision[0] > HEAD:
        raise Unusable(f"{backup} was written by a newer version of hems (revision {revision[0]}): install that one")


def _move_aside(path: Path) -> Path | None:
    if not path.exists():
        return None
    aside = path.with_name(f"{path.name}.before-restore-{int(time.time())}")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    return aside


async def _copy_out(database: Database, into: Path) -> None:
    with available():
        async with opened(f"sqlite:///{into}") as target, database.reader.connect() as source, target.writer.begin() as sink:
            await source.execution_options(isolation_level="REPEATABLE READ")
            await _copy(source, sink)
    with contextlib.closing(sqlite3.connect(into)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


async def _copy_in(url: str, backup: Path) -> None:
    """From a copy of the backup, since opening it brings it to this version's shape."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copyfile(backup, Path(folder) / "backup.db")
        async with opened(f"sqlite:///{copy}") as source, opened(url) as target:
            with available():
                async with source.reader.connect() as rows, target.writer.begin() as sink:
                    await keep_recorders_out(sink)
                    await _empty(sink)
                    await _copy(rows, sink)


async def _empty(sink: AsyncConnection) -> None:
    await sink.execute(text(f"LOCK TABLE {', '.join(table.name for table in METADATA.sorted_tables)}"))
    for table in METADATA.sorted_tables:
        await sink.execute(delete(table))


async def _copy(source: AsyncConnection, sink: AsyncConnection) -> None:
    for table in METADATA.sorted_tables:
        found = await source.stream(select(table))
        async for batch in found.mappings().partitions(_BATCH):
            await sink.execute(insert(table), [dict(row) for row in batch])
