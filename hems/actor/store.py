"""What must survive a service: its outbox and its state, committed together (SQLite, WAL).

A publication is accepted once it is committed here. A row stays until the broker has acknowledged it and twice the
broker's autosave interval has passed, so that what a killed broker forgot can be said again; readers drop equal ids.
Acknowledgements are written in batches: a crash may say a row again, and never loses one.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from hems.actor.bus import TryAgain
from hems.actor.logs import FaultLog, Log
from hems.contracts.payload import LONGEST_PACKET_BYTES
from hems.contracts.topic import Qos

_SCHEMA = """
CREATE TABLE IF NOT EXISTS outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    precious INTEGER NOT NULL,
    acknowledged_at REAL
);
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (sequence) WHERE acknowledged_at IS NULL;
CREATE INDEX IF NOT EXISTS outbox_said ON outbox (acknowledged_at) WHERE acknowledged_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_TOPIC_AND_HEADER_BYTES = 512


class NotAccepted(TryAgain):
    """The disk could not take it: nothing was said, and nothing of the transaction was kept."""


class TooLarge(ValueError):
    """A payload that the broker would refuse."""


@dataclass(frozen=True)
class Publication:
    """A row of the outbox. `retain` holds only for the newest of its topic."""

    sequence: int
    message_id: str
    topic: str
    payload: bytes
    qos: Qos
    retain: bool


class Transaction:
    """What is committed together, or not at all."""

    def __init__(self, connection: sqlite3.Connection, precious: bool) -> None:
        self._connection = connection
        self._precious = precious
        self.accepted: list[str] = []

    def accept(self, topic: str, payload: bytes, *, message_id: str, retain: bool = False) -> None:
        """Add a publication.

        Raises:
            TooLarge: the broker would refuse it.
        """
        if len(payload) > LONGEST_PACKET_BYTES - _TOPIC_AND_HEADER_BYTES:
            raise TooLarge(f"{topic}: {len(payload)} bytes are more than a packet may hold")
        self._connection.execute(
            "INSERT INTO outbox (message_id, topic, payload, qos, retain, precious) VALUES (?, ?, ?, 1, ?, ?)",
            (message_id, topic, payload, retain, self._precious),
        )
        self.accepted.append(topic)

    def put(self, key: str, value: bytes) -> None:
        """Keep a state under a key."""
        self._connection.execute("INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", (key, value))

    def delete(self, key: str) -> None:
        """Forget a state."""
        self._connection.execute("DELETE FROM state WHERE key = ?", (key,))


class Store:
    """A service's own SQLite file: an outbox, and states by key."""

    def __init__(self, path: Path, log: Log, *, most_rows: int = 150_000, keep_said_s: float = 240) -> None:
        self._path = path
        self._log = log
        self._most_rows = most_rows
        self.keep_said_s = keep_said_s
        self._faults = FaultLog(log, "the outbox could not be written", every=100)
        self._rows = 0
        self._cursor = 0
        self._newest: dict[str, int] = {}
        self._acknowledged: dict[int, float] = {}
        self._waiting = 0
        self.changed = asyncio.Event()
        self.dropped = 0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = self._opened()
        self._rows, self._waiting = self._connection.execute("SELECT count(*), count(*) - count(acknowledged_at) FROM outbox").fetchone()
        self._newest = dict(self._connection.execute("SELECT topic, max(sequence) FROM outbox GROUP BY topic"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.tidy()
        self._connection.close()

    @property
    def backlog(self) -> int:
        """Publications that the broker has not acknowledged."""
        return self._waiting

    @contextlib.contextmanager
    def transaction(self, *, durable: bool = True) -> Generator[Transaction]:
        """Commit all or nothing. `durable` survives a power cut; otherwise a power cut may take the last seconds.

        Raises:
            NotAccepted: the disk is full, or fails.
        """
        connection = self._connection
        try:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(connection, durable)
            try:
                yield transaction
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            self._faults.failed(error=str(error), path=str(self._path))
            raise NotAccepted(str(error)) from None
        self._faults.recovered()
        self._note(transaction)

    def get(self, key: str) -> bytes | None:
        """The state kept under a key."""
        row = self._connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def unsaid(self, limit: int = 64) -> list[Publication]:
        """The next publications to say, each handed out once until `start_again`."""
        rows = self._connection.execute(
            "SELECT sequence, message_id, topic, payload, qos, retain FROM outbox WHERE acknowledged_at IS NULL AND sequence > ?"
            " ORDER BY sequence LIMIT ?",
            (self._cursor, limit),
        ).fetchall()
        if rows:
            self._cursor = rows[-1][0]
        return [
            Publication(*row[:5], retain=bool(row[5]) and self._newest.get(row[2]) == row[0])
            for row in rows
            if row[0] not in self._acknowledged
        ]

    def acknowledged(self, publication: Publication) -> None:
        """The broker has it."""
        if publication.sequence not in self._acknowledged:
            self._acknowledged[publication.sequence] = time.time()
            self._waiting -= 1

    def start_again(self) -> None:
        """On a new connection: hand out again what was not acknowledged."""
        self._write_acknowledged()
        self._cursor = 0
        self.changed.set()

    def say_again(self) -> int:
        """The broker may have forgotten: hand out all that is still kept. Returns how many."""
        self._write_acknowledged()
        again = self._connection.execute("UPDATE outbox SET acknowledged_at = NULL WHERE acknowledged_at IS NOT NULL").rowcount
        self._waiting += again
        self._cursor = 0
        self.changed.set()
        return again

    def tidy(self) -> None:
        """Write acknowledgements down, drop what was kept long enough, and what is too much. Call every few seconds."""
        self._write_acknowledged()
        now = time.time()
        # A wall clock that was set back must not keep rows for ever.
        gone = self._connection.execute(
            "DELETE FROM outbox WHERE acknowledged_at < ? OR acknowledged_at > ?", (now - self.keep_said_s, now + 86_400)
        ).rowcount
        self._rows -= gone
        self._drop_oldest()

    def checkpoint(self) -> None:
        """Move the log into the database; runs in a thread, since it waits for the disk."""
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(self._path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def keep_tidy(self, every_s: float = 5.0) -> None:
        """Tidy and checkpoint, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                self.tidy()
            except sqlite3.Error as error:
                self._faults.failed(error=str(error), path=str(self._path))
            await asyncio.to_thread(self.checkpoint)

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._open()
        except sqlite3.DatabaseError as error:
            aside = self._path.with_name(f"{self._path.name}.damaged-{int(time.time())}")
            self._log.error("the outbox is damaged; it is set aside and a new one begins", error=str(error), aside=str(aside))
            for suffix in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    Path(f"{self._path}{suffix}").replace(f"{aside}{suffix}")
            return self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # The checkpoint runs in a thread of its own: here it would hold up a reading for as long as the disk takes.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            connection.executescript(_SCHEMA)
            if (verdict := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(verdict)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _publication(self, sequence: int, message_id: str, topic: str, payload: bytes, qos: Qos, retain: int) -> Publication:
        newest = self._newest.get(topic) == sequence
        return Publication(sequence, message_id, topic, payload, qos, retain=bool(retain) and newest)

    def _note(self, transaction: Transaction) -> None:
        count = len(transaction.accepted)
        if not count:
            return
        self._rows += count
        self._waiting += count
        last: int = self._connection.execute("SELECT max(sequence) FROM outbox").fetchone()[0]
        for place, topic in enumerate(transaction.accepted):
            self._newest[topic] = last - count + 1 + place
        self.changed.set()

    def _undo(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _write_acknowledged(self) -> None:
        if not self._acknowledged:
            return
        written = list(self._acknowledged.items())
        with self._batch():
            self._connection.executemany("UPDATE outbox SET acknowledged_at = ? WHERE sequence = ?", [(at, row) for row, at in written])
        self._acknowledged.clear()

    def _drop_oldest(self) -> None:
        excess = self._rows - self._most_rows
        if excess <= 0:
            return
        oldest = "SELECT sequence FROM outbox WHERE NOT precious ORDER BY sequence LIMIT ?"
        dropped = deque(row[0] for row in self._connection.execute(oldest, (excess + self._most_rows // 100,)))
        with self._batch():
            unsaid = sum(
                self._connection.execute("DELETE FROM outbox WHERE sequence = ? RETURNING acknowledged_at", (row,)).fetchone()[0] is None
                for row in dropped
            )
        self._rows -= len(dropped)
        self._waiting -= unsaid
        self.dropped += unsaid
        if unsaid:
            self._log.error("the outbox is full; the oldest readings went", dropped=unsaid, dropped_in_all=self.dropped)

    @contextlib.contextmanager
    def _batch(self) -> Generator[None]:
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._undo()
            raise
        self._connection.execute("COMMIT")
