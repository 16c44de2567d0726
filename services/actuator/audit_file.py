"""The audit trail: who switched what, when and why, in an SQLite file that keeps the newest entries."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import astuple
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from hems.actor.logs import Log
from services.actuator.domain.audit import Entry

_SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL, relay TEXT NOT NULL, event TEXT NOT NULL,
    state TEXT, source TEXT, command_id TEXT, reason TEXT
);
"""
_TIDY_EVERY = 500
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class AuditFile:
    """Appends entries. They survive a crash of the service at once, and a power cut once the disk has them."""

    def __init__(self, path: Path, most_entries: int) -> None:
        self._path = path
        self._most_entries = most_entries
        self._added = 0
        self._connection: sqlite3.Connection | None = None
        self._log: Log = structlog.get_logger()

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = self._opened()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _DAMAGED:
                raise
            self._set_aside(error)
            self._connection = self._opened()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._connection is not None:
            self._connection.close()

    def add(self, entry: Entry) -> None:
        """Write one entry.

        Raises:
            OSError: the disk is full, or fails.
        """
        assert self._connection is not None, "the audit trail is not open"  # noqa: S101
        try:
            self._connection.execute(
                "INSERT INTO audit (at, relay, event, state, source, command_id, reason) VALUES (?, ?, ?, ?, ?, ?, ?)", astuple(entry)
            )
            self._added += 1
            if self._added % _TIDY_EVERY == 0:
                self._connection.execute("DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - ?", (self._most_entries,))
        except sqlite3.Error as error:
            raise OSError(str(error)) from error

    def _opened(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """No switch depends on what was written of earlier ones."""
        aside = self._path.with_name(f"{self._path.name}.damaged-{int(time.time())}")
        self._log.error("the audit trail is damaged; it is set aside and a new one begins", error=str(error), aside=str(aside))
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").replace(f"{aside}{suffix}")


def entries(path: Path, *, relay: str | None = None, last: int = 50) -> Iterator[Entry]:
    """The newest entries, oldest first; the service may run meanwhile.

    Raises:
        OSError: there is no such file, or it is no audit trail.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: no relay was switched yet, or the storage is elsewhere")
    question = "SELECT at, relay, event, state, source, command_id, reason FROM audit WHERE ?1 IS NULL OR relay = ?1"
    try:
        with closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(f"{question} ORDER BY number DESC LIMIT ?2", (relay, last)).fetchall()
    except sqlite3.Error as error:
        raise OSError(f"{path}: {error}") from error
    return (Entry(*row) for row in reversed(rows))
