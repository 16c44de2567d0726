"""What must survive a service: its outbox and its state, committed together (SQLite, WAL).

A publication is accepted once it is committed here. A row stays until the broker has acknowledged it and twice the
broker's autosave interval has passed, so that what a killed broker forgot can be said again; readers drop equal ids.
Acknowledgements are written in batches: a crash may say a row again, and never loses one. A full disk refuses what is
new; what was accepted is said all the same, and what could not be written down is tried again by `tidy`.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Generator
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
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_LONGEST_LOG_BYTES = 64 * 1024 * 1024


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
        self.accepted: list[tuple[str, int]] = []

    def accept(self, topic: str, payload: bytes, *, message_id: str, retain: bool = False) -> None:
        """Add a publication.

        Raises:
            TooLarge: the broker would refuse it.
        """
        check_size(topic, payload)
        row = self._connection.execute(
            "INSERT INTO outbox (message_id, topic, payload, qos, retain, precious) VALUES (?, ?, ?, 1, ?, ?)",
            (message_id, topic, payload, retain, self._precious),
        )
        self.accepted.append((topic, row.lastrowid or 0))

    def put(self, key: str, value: bytes) -> None:
        """Keep a state under a key."""
        self._connection.execute("INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", (key, value))

    def delete(self, key: str) -> None:
        """Forget a state."""
        self._connection.execute("DELETE FROM state WHERE key = ?", (key,))


def check_size(topic: str, payload: bytes) -> None:
    """The broker ends the connection on a packet that is too large, so it must not get so far.

    Raises:
        TooLarge: the payload leaves no room for the topic and the header.
    """
    if len(payload) > LONGEST_PACKET_BYTES - _TOPIC_AND_HEADER_BYTES:
        raise TooLarge(f"{topic}: {len(payload)} bytes are more than a packet may hold")


class Store:
    """A service's own SQLite file: an outbox, and states by key.

    Args:
        path: the file; its folder is made.
        log: where faults go.
        most_rows: above this, the oldest rows that are not precious go.
        keep_said_s: how long an acknowledged row is kept; twice the broker's autosave interval.
        monotonic_s: seconds that never jump: a clock that is set must neither drop a row too early nor keep it for ever.
    """

    def __init__(
        self,
        path: Path,
        log: Log,
        *,
        most_rows: int = 150_000,
        keep_said_s: float = 600,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._log = log
        self._most_rows = most_rows
        self._monotonic_s = monotonic_s
        self.keep_said_s = keep_said_s
        self._faults = FaultLog(log, "the outbox could not be written", every=100)
        self._rows = 0
        self._cursor = 0
        self._newest: dict[str, int] = {}
        self._handed_out: set[int] = set()
        self._acknowledged: dict[int, float] = {}
        self._forgotten = False
        self._waiting = 0
        self.changed = asyncio.Event()
        self.dropped = 0

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = self._opened()
        self._restart_keeping()
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

        Nothing may be awaited inside: the store has one transaction at a time.

        Raises:
            NotAccepted: the disk is full, or fails.
        """
        connection = self._connection
        if connection.in_transaction:
            raise RuntimeError("a transaction is open already: commit it first, and await nothing inside")
        try:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            transaction = Transaction(connection, durable)
            try:
                yield transaction
            except BaseException:
                self._undo()
                raise
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._undo()
            self._fault(error)
            raise NotAccepted(str(error)) from None
        self._faults.recovered()
        self._note(transaction)

    def get(self, key: str) -> bytes | None:
        """The state kept under a key."""
        row = self._connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def unsaid(self, limit: int = 64) -> list[Publication]:
        """The next publications to say, each handed out once until `start_again`; empty when there are none."""
        found: list[Publication] = []
        while not found and (rows := self._following(limit)):
            self._cursor = rows[-1].sequence
            found = [row for row in rows if row.sequence not in self._acknowledged and row.sequence not in self._handed_out]
        self._handed_out.update(row.sequence for row in found)
        return found

    def acknowledged(self, publication: Publication) -> None:
        """The broker has it."""
        if publication.sequence in self._handed_out:  # else it was dropped meanwhile
            self._handed_out.discard(publication.sequence)
            self._acknowledged[publication.sequence] = self._monotonic_s()
            self._waiting -= 1

    def start_again(self) -> None:
        """On a new connection: hand out again what was not acknowledged."""
        self._handed_out.clear()
        self._cursor = 0
        self.changed.set()

    def say_again(self) -> int:
        """The broker may have forgotten: hand out all that is still kept. Returns how many; on a full disk, none yet."""
        self._forgotten = True
        try:
            return self._forget_acknowledgements()
        except sqlite3.OperationalError as error:
            self._fault(error)
            return 0

    def tidy(self) -> None:
        """Write acknowledgements down, drop what was kept long enough, and what is too much. Call every few seconds.

        Raises:
            sqlite3.OperationalError: the disk is full, or fails; nothing is lost by it.
        """
        if self._forgotten:
            self._forget_acknowledgements()
        self._write_acknowledged()
        with self._batch():
            oldest_s = self._monotonic_s() - self.keep_said_s
            gone = self._connection.execute("DELETE FROM outbox WHERE acknowledged_at < ?", (oldest_s,)).rowcount
        self._rows -= gone
        self._drop_oldest()

    def checkpoint(self) -> None:
        """Move the log into the database; runs in a thread, since it waits for the disk."""
        # Passive, since the other modes lock writers out meanwhile; those are for a log that outgrew its turns.
        mode = "TRUNCATE" if self._log_bytes() > _LONGEST_LOG_BYTES else "PASSIVE"
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(self._path)) as connection:
            connection.execute(f"PRAGMA wal_checkpoint({mode})")

    async def keep_tidy(self, every_s: float = 5.0) -> None:
        """Tidy and checkpoint, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            try:
                self.tidy()
            except sqlite3.OperationalError as error:
                self._fault(error)
            await asyncio.to_thread(self.checkpoint)

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._open()
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _DAMAGED:
                raise  # a full disk or a locked file: what was accepted is still there
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

    def _restart_keeping(self) -> None:
        # The monotonic clock of an earlier boot says nothing: rows are kept for the whole time once more.
        with contextlib.suppress(sqlite3.OperationalError), self._batch():
            self._connection.execute("UPDATE outbox SET acknowledged_at = ? WHERE acknowledged_at IS NOT NULL", (self._monotonic_s(),))

    def _following(self, limit: int) -> list[Publication]:
        rows = self._connection.execute(
            "SELECT sequence, message_id, topic, payload, qos, retain FROM outbox WHERE acknowledged_at IS NULL AND sequence > ?"
            " ORDER BY sequence LIMIT ?",
            (self._cursor, limit),
        ).fetchall()
        return [Publication(*row[:5], retain=bool(row[5]) and self._newest.get(row[2]) == row[0]) for row in rows]

    def _note(self, transaction: Transaction) -> None:
        if not transaction.accepted:
            return
        self._rows += len(transaction.accepted)
        self._waiting += len(transaction.accepted)
        self._newest.update(transaction.accepted)
        self.changed.set()

    def _log_bytes(self) -> int:
        try:
            return Path(f"{self._path}-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def _fault(self, error: sqlite3.Error) -> None:
        self._faults.failed(error=str(error), path=str(self._path))

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

    def _forget_acknowledgements(self) -> int:
        self._write_acknowledged()
        with self._batch():
            again = self._connection.execute("UPDATE outbox SET acknowledged_at = NULL WHERE acknowledged_at IS NOT NULL").rowcount
        self._forgotten = False
        self._waiting += again
        self._cursor = 0
        self.changed.set()
        return again

    def _drop_oldest(self) -> None:
        excess = self._rows - self._most_rows
        if excess <= 0:
            return
        oldest = "SELECT sequence, acknowledged_at IS NULL FROM outbox WHERE NOT precious ORDER BY sequence LIMIT ?"
        dropped: dict[int, int] = dict(self._connection.execute(oldest, (excess + self._most_rows // 100,)))
        with self._batch():
            self._connection.executemany("DELETE FROM outbox WHERE sequence = ?", [(row,) for row in dropped])
        self._handed_out.difference_update(dropped)
        unsaid = sum(dropped.values())
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
            self._connection.execute("COMMIT")
        except BaseException:
            self._undo()
            raise
