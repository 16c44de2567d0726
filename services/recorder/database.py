"""Opening the database: SQLite or PostgreSQL, brought to this version's shape, and a damaged file set aside."""

import asyncio
import contextlib
import fcntl
import re
import sqlite3
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hems.actor.logs import Log
from services.recorder.domain.failures import Replaced, Unavailable, Unusable

HEAD = "0001"
"""The newest revision that this version knows."""

_RECORDERS = 0x68656D73
"""The number of PostgreSQL's lock that recorders share and a restore wants for itself: "hems"."""
_ENDING_TRIES = 20
_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True)
class Database:
    """An open database: one connection writes, a few read.

    Attributes:
        set_aside: where a damaged file was put, if there was one.
    """

    writer: AsyncEngine
    reader: AsyncEngine
    path: Path | None
    set_aside: Path | None = None


@contextlib.asynccontextmanager
async def opened(url: str, *, check: bool = True, for_service: bool = False) -> AsyncGenerator[Database]:
    """Open, check and bring up to date; a SQLite file that is damaged is set aside, and a new one begins.

    Args:
        url: sqlite:///path or postgresql://user:password@host/name.
        check: read the whole file for damage.
        for_service: hold PostgreSQL against a restore for as long as it is open.

    Raises:
        Unavailable: nobody answers, the disk is full, or a backup is being restored.
        Unusable: a newer version wrote it.
    """
    path = sqlite_path(url)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
    aside = await asyncio.to_thread(_checked, path) if path and check else None
    writer, reader = _engine(url, writes=True), _engine(url, writes=False)
    if for_service and not path:
        _hold(writer)
    try:
        with available():
            async with writer.begin() as connection:
                await connection.run_sync(migrate)
        yield Database(writer, reader, path, aside)
    finally:
        await writer.dispose()
        await reader.dispose()


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite database, or None for another kind."""
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None


@contextlib.contextmanager
def available() -> Generator[None]:
    """Tell a database that is away, or a disk that is full, from a bug.

    Raises:
        Unavailable: it may be there again later.
    """
    try:
        yield
    except DBAPIError as error:
        if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated or _away(error):
            raise Unavailable(_reason(error)) from None
        raise
    except (OSError, TimeoutError) as error:
        raise Unavailable(str(error) or type(error).__name__) from None


def migrate(connection: Connection) -> None:
    """Bring the tables to this version's shape.

    Raises:
        Unusable: a newer version wrote them.
    """
    exists = connection.dialect.has_table(connection, "alembic_version")
    found: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if exists else None
    if found == HEAD:
        return
    if found is not None and found > HEAD:
        raise Unusable(
            f"a newer version of hems wrote this history (revision {found}; this one knows up to {HEAD}): "
            "install that version again, or restore a backup of before it with `hems restore`"
        )
    _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    # Imported only when there is something to do: it takes memory for as long as the service runs.
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS))
    script = ScriptDirectory.from_config(configuration)

    def upgrade(revision: Any, context: Any) -> Any:
        return script._upgrade_revs("head", revision)  # pyright: ignore[reportPrivateUsage]

    with EnvironmentContext(configuration, script, fn=upgrade, as_sql=False, destination_rev="head") as environment:
        environment.configure(connection=connection)
        environment.run_migrations()


def _engine(url: str, *, writes: bool) -> AsyncEngine:
    if url.startswith("sqlite:///"):
        engine = create_async_engine(url.replace("sqlite://", "sqlite+aiosqlite://", 1), pool_size=1 if writes else 2, max_overflow=0)
        _tune_sqlite(engine, writes=writes)
        return engine
    return create_async_engine(
        re.sub(r"^postgresql(\+\w+)?://", "postgresql+asyncpg://", url), pool_size=1 if writes else 2, max_overflow=0, pool_pre_ping=True,
        connect_args={"timeout": 5, "command_timeout": 60},
    )  # fmt: skip


def _tune_sqlite(engine: AsyncEngine, *, writes: bool) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def connected(connection: Any, _: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None
        cursor = connection.cursor()
        # What is acknowledged to the broker must survive a power cut: each commit is on the disk before.
        for pragma in ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = FULL", "cache_size = -8000", "temp_store = MEMORY"):
            cursor.execute(f"PRAGMA {pragma}")
        if not writes:
            cursor.execute("PRAGMA query_only = ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begun(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _checked(path: Path) -> Path | None:
    """Set a damaged file aside; returns where it went."""
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=10)) as connection:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.OperationalError as error:
        raise Unavailable(f"{path}: {error}") from None
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    return None if verdict == "ok" else _set_aside(path, verdict)


def _set_aside(path: Path, verdict: str) -> Path:
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").replace(f"{aside}{suffix}")
    log: Log = structlog.get_logger()
    log.error("the history is damaged; it is set aside and a new one begins", reason=verdict, aside=str(aside))
    return aside


@contextlib.contextmanager
def only_user(path: Path) -> Generator[None]:
    """Hold the database for one service, or for a restore.

    Raises:
        Unusable: another holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unusable(f"{path} is in use by a recorder that runs: stop it first") from None
        yield


async def keep_recorders_out(connection: AsyncConnection) -> None:
    """Hold a PostgreSQL database for a restore, until the transaction ends.

    Raises:
        Unusable: a recorder runs.
    """
    for _ in range(_ENDING_TRIES):  # the server may take a moment to see that one has ended
        if (await connection.execute(text(f"SELECT pg_try_advisory_xact_lock({_RECORDERS})"))).scalar():
            return
        await asyncio.sleep(0.1)
    raise Unusable("a recorder that runs writes into this database: stop it first, and where several homes share it, those of all of them")


def _hold(writer: AsyncEngine) -> None:
    """Let each connection that writes share the lock of recorders: it goes with the connection, and comes back with the next."""
    held = False

    @event.listens_for(writer.sync_engine, "connect")
    def connected(connection: Any, _: Any) -> None:  # pyright: ignore[reportUnusedFunction]
        nonlocal held
        cursor = connection.cursor()
        cursor.execute(f"SELECT pg_try_advisory_lock_shared({_RECORDERS})")
        if not cursor.fetchone()[0]:
            connection.close()
            raise (Replaced if held else Unavailable)("a backup is being restored into the database")
        cursor.close()
        connection.rollback()
        held = True


def _away(error: DBAPIError) -> bool:
    # asyncpg tells a lost connection, a server that starts or stops, and a full disk by classes of SQLSTATE.
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return state[:2] in {"08", "53", "57", "40"}


def _reason(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0][:300]
