"""The outbox and the state: committed together, handed out in order, kept until the broker can't forget it."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import structlog

from hems.actor.store import NotAccepted, Publication, Store, TooLarge

LOG: Any = structlog.get_logger()
KEEP_S = 600.0
Open = Callable[..., Store]


@pytest.fixture
def now_s() -> list[float]:
    """The store's clock, in the test's hands."""
    return [5_000.0]


@pytest.fixture
def opened(tmp_path: Path, now_s: list[float]) -> Iterator[Open]:
    """Opens the test's store, however often; what is open at the end is closed."""
    with ExitStack() as stack:

        def open_store(**options: Any) -> Store:
            manager: AbstractContextManager[Store] = Store(
                tmp_path / "service.db", LOG, keep_said_s=KEEP_S, monotonic_s=lambda: now_s[0], **options
            )
            return stack.enter_context(manager)

        yield open_store


def _accept(store: Store, *numbers: int, topic: str = "mains", durable: bool = False, retain: bool = False) -> None:
    for number in numbers:
        with store.transaction(durable=durable) as transaction:
            transaction.accept(topic, b"%d" % number, message_id=f"id-{number}", retain=retain)


def _numbers(publications: list[Publication]) -> list[int]:
    return [int(publication.payload) for publication in publications]


def _all(store: Store) -> list[int]:
    found: list[int] = []
    while rows := store.unsaid():
        found += _numbers(rows)
    return found


def _acknowledge_all(store: Store) -> None:
    while rows := store.unsaid():
        for row in rows:
            store.acknowledged(row)


def test_state_and_publications_are_one_commit(opened: Open) -> None:
    """What fails inside a transaction leaves neither the state nor the publication behind."""
    store = opened()
    with store.transaction() as transaction:
        transaction.put("count", b"1")
        transaction.put("gone", b"x")
        transaction.accept("alert", b"1", message_id="one")
    with pytest.raises(TooLarge), store.transaction() as transaction:  # noqa: PT012 - all of it is undone together
        transaction.put("count", b"2")
        transaction.delete("gone")
        transaction.accept("alert", b"2", message_id="two")
        transaction.accept("alert", b"x" * 70_000, message_id="three")
    assert (store.get("count"), store.get("gone"), store.get("never")) == (b"1", b"x", None)
    assert (_all(store), store.backlog) == ([1], 1)


def test_a_state_can_be_forgotten(opened: Open) -> None:
    """A deleted key is not there, now or after a restart."""
    store = opened()
    with store.transaction() as transaction:
        transaction.put("key", b"value")
    with store.transaction() as transaction:
        transaction.delete("key")
    assert opened().get("key") is None


def test_rows_are_handed_out_once_and_in_order(opened: Open) -> None:
    """Each publication is handed out in the order of acceptance, once, with its id and topic."""
    store = opened()
    _accept(store, *range(5))
    first = store.unsaid(limit=2)
    assert [(row.topic, row.message_id, row.payload, row.qos) for row in first] == [("mains", "id-0", b"0", 1), ("mains", "id-1", b"1", 1)]
    _accept(store, 5)
    assert _all(store) == [2, 3, 4, 5]
    assert store.unsaid() == []


def test_a_new_connection_hands_out_what_was_not_acknowledged(opened: Open) -> None:
    """Only what the broker has not confirmed comes again."""
    store = opened()
    _accept(store, *range(200))
    for row in store.unsaid(100)[:70]:
        store.acknowledged(row)
    store.start_again()
    assert store.backlog == 130
    assert _all(store) == list(range(70, 200))


def test_acknowledgements_and_rows_survive_a_restart(opened: Open) -> None:
    """The next run finds the backlog as it was left."""
    first = opened()
    _accept(first, *range(4))
    first.acknowledged(first.unsaid()[1])
    first.tidy()
    second = opened()
    assert (second.backlog, _all(second)) == (3, [0, 2, 3])


def test_whoever_waits_is_told_of_a_new_row(opened: Open) -> None:
    """`changed` is set when there is something to say, and not by a state alone."""
    store = opened()
    with store.transaction() as transaction:
        transaction.put("key", b"")
    assert not store.changed.is_set()
    _accept(store, 1)
    assert store.changed.is_set()


def test_acknowledged_rows_are_kept_and_then_dropped(opened: Open, now_s: list[float]) -> None:
    """For twice the autosave interval they can be said again; then they are gone."""
    store = opened()
    _accept(store, 1, 2)
    _acknowledge_all(store)
    now_s[0] += KEEP_S - 1
    store.tidy()
    assert store.say_again() == 2
    _acknowledge_all(store)
    now_s[0] += KEEP_S + 1
    store.tidy()
    assert store.say_again() == 0


@pytest.mark.parametrize("restarted_at_s", [10.0, 9_000.0])
def test_rows_of_an_earlier_run_are_kept_for_the_whole_time_once_more(
    opened: Open, now_s: list[float], tmp_path: Path, restarted_at_s: float
) -> None:
    """After a reboot the clock begins anew, wherever: nothing is dropped too early, and nothing stays for ever."""
    first = opened()
    _accept(first, 1)
    _acknowledge_all(first)
    first.tidy()
    now_s[0] = restarted_at_s
    second = opened()
    kept: list[int] = []
    for span_s in (KEEP_S - 1, 2):
        now_s[0] += span_s
        second.tidy()
        with closing(sqlite3.connect(tmp_path / "service.db")) as connection:
            kept += connection.execute("SELECT count(*) FROM outbox").fetchone()
    assert kept == [1, 0]


def test_saying_again_hands_out_the_kept_and_the_waiting_in_order(opened: Open) -> None:
    """All of it, oldest first; what is still under way is not handed out twice."""
    store = opened()
    _accept(store, 0, 1, 2, 3)
    rows = store.unsaid(2)
    for row in rows:
        store.acknowledged(row)
    under_way = store.unsaid(1)
    assert _numbers(under_way) == [2]
    assert store.say_again() == 2
    assert store.backlog == 4
    assert _all(store) == [0, 1, 3]


def test_only_the_newest_of_a_retained_topic_is_retained(opened: Open) -> None:
    """An older state that is said late must not replace the newer one; that holds over a restart."""
    store = opened()
    _accept(store, 1, 2, topic="relay/a", retain=True)
    _accept(store, 3, topic="relay/b", retain=True)
    _accept(store, 4, topic="alert")
    expected = [(1, False), (2, True), (3, True), (4, False)]
    assert [(int(row.payload), row.retain) for row in store.unsaid()] == expected
    assert [(int(row.payload), row.retain) for row in opened().unsaid()] == expected


def test_a_full_outbox_drops_the_oldest_readings_and_counts_them(opened: Open) -> None:
    """The oldest go, and so many that it does not fill again at once; precious rows never."""
    store = opened(most_rows=100)
    _accept(store, *range(10), topic="alert", durable=True)
    _accept(store, *range(10, 120))
    store.tidy()
    assert store.dropped == 21
    assert store.backlog == 99
    assert _all(store) == [*range(10), *range(31, 120)]


def test_precious_rows_are_never_dropped(opened: Open) -> None:
    """An outbox full of alerts keeps them all."""
    store = opened(most_rows=10)
    _accept(store, *range(50), durable=True)
    store.tidy()
    assert (store.dropped, _all(store)) == (0, list(range(50)))


def test_acknowledged_rows_make_room_without_being_counted(opened: Open) -> None:
    """What the broker has is dropped first, being older, and is no loss."""
    store = opened(most_rows=100)
    _accept(store, *range(60))
    _acknowledge_all(store)
    _accept(store, *range(60, 110))
    store.tidy()
    assert (store.dropped, store.backlog) == (0, 50)


def test_an_answer_for_a_row_that_was_dropped_changes_nothing(opened: Open) -> None:
    """A row may be dropped while it is under way: the backlog must not fall twice."""
    store = opened(most_rows=10)
    _accept(store, *range(20))
    under_way = store.unsaid()
    store.tidy()
    assert store.backlog == 10
    for row in under_way:
        store.acknowledged(row)
        store.acknowledged(row)
    assert store.backlog == 0


def test_a_payload_that_the_broker_refuses_is_refused_first(opened: Open) -> None:
    """Size is checked before the outbox, where it would block all that follows."""
    store = opened()
    with pytest.raises(TooLarge), store.transaction() as transaction:  # noqa: PT012
        transaction.put("key", b"value")
        transaction.accept("alert", b"x" * 65_536, message_id="one")
    assert (store.backlog, store.get("key")) == (0, None)
    with store.transaction() as transaction:
        transaction.accept("alert", b"x" * 60_000, message_id="two")
    assert store.backlog == 1


def test_a_transaction_inside_another_is_a_bug(opened: Open) -> None:
    """It is said to be one, and neither half is committed."""
    store = opened()
    with pytest.raises(RuntimeError, match="a transaction is open already"), store.transaction() as outer:  # noqa: PT012
        outer.put("outer", b"1")
        with store.transaction() as inner:
            inner.put("inner", b"1")
    assert (store.get("outer"), store.get("inner")) == (None, None)


def test_a_bug_in_a_transaction_is_not_taken_for_a_full_disk(opened: Open) -> None:
    """A value of a wrong type would fail for ever: it must not be tried again."""
    store = opened()
    wrong: Any = None
    with pytest.raises(sqlite3.IntegrityError), store.transaction() as transaction:
        transaction.put("key", wrong)
    _accept(store, 1)
    assert store.backlog == 1


class _FullDisk:
    """A disk with no room left for this store, until it is freed."""

    def __init__(self, store: Store) -> None:
        self._connection: sqlite3.Connection = store._connection  # pyright: ignore[reportPrivateUsage]
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        self._connection.execute(f"PRAGMA max_page_count = {pages}")

    def free(self) -> None:
        self._connection.execute("PRAGMA max_page_count = 1000000")


def _fill(store: Store) -> list[int]:
    accepted: list[int] = []
    with pytest.raises(NotAccepted):  # noqa: PT012
        for number in range(10_000):
            _accept(store, number)
            accepted.append(number)
    return accepted


def test_a_full_disk_refuses_and_recovers(opened: Open) -> None:
    """What was accepted before is there, what was refused is not, and once there is room it goes on."""
    store = opened()
    _accept(store, *range(50))
    disk = _FullDisk(store)
    accepted = _fill(store)
    with pytest.raises(NotAccepted), store.transaction() as transaction:
        transaction.put("key", b"x" * 10_000)
    assert store.get("key") is None
    assert store.backlog == 50 + len(accepted)
    assert _all(store) == [*range(50), *accepted]
    disk.free()
    _accept(store, 99_999)
    assert _all(store) == [99_999]


def test_a_failing_disk_stops_neither_saying_nor_acknowledging(opened: Open) -> None:
    """What can't be written down is remembered, and written once that is possible; a request to say again is kept too."""
    store = opened()
    _accept(store, 1, 2)
    store.acknowledged(store.unsaid(1)[0])
    store.tidy()
    connection = store._connection  # pyright: ignore[reportPrivateUsage]
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(NotAccepted):
        _accept(store, 3)
    (second,) = store.unsaid()
    store.acknowledged(second)
    store.start_again()
    assert store.unsaid() == []
    assert store.say_again() == 0
    with pytest.raises(sqlite3.OperationalError):
        store.tidy()
    connection.execute("PRAGMA query_only = OFF")
    store.tidy()
    assert _all(store) == [1, 2]


def test_a_damaged_file_is_set_aside(tmp_path: Path, opened: Open) -> None:
    """A file that is no database does not stop the service for ever; it is kept for whoever wants to look."""
    (tmp_path / "service.db").write_bytes(b"this is not a database, " * 1_000)
    store = opened()
    _accept(store, 1)
    assert _all(store) == [1]
    (aside,) = tmp_path.glob("service.db.damaged-*")
    assert aside.read_bytes().startswith(b"this is not a database")


def test_a_torn_database_is_set_aside(tmp_path: Path) -> None:
    """Pages overwritten in the middle are found at the start, not in the night."""
    with Store(tmp_path / "service.db", LOG) as store:
        _accept(store, *range(2_000))
    size = (tmp_path / "service.db").stat().st_size
    with (tmp_path / "service.db").open("r+b") as file:
        file.seek(8_192)
        file.write(os.urandom(size - 16_384))
    with Store(tmp_path / "service.db", LOG) as store:
        assert store.backlog == 0
    assert len(list(tmp_path.glob("service.db.damaged-*"))) == 1


def test_a_file_that_can_not_be_opened_now_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A locked file or a full disk ends the start; the outbox stays where it is, with all that was accepted."""
    path = tmp_path / "service.db"
    with Store(path, LOG) as store:
        _accept(store, 1)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **options: connect(*given, **{**options, "timeout": 0.01}))  # pyright: ignore
    with closing(connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError), Store(path, LOG):
            pass
    assert not list(tmp_path.glob("*.damaged-*"))
    with Store(path, LOG) as store:
        assert _all(store) == [1]


_CHILD = """
import sys, structlog
from pathlib import Path
from hems.actor.store import Store
with Store(Path(sys.argv[1]), structlog.get_logger(), most_rows=1000) as store:
    start = int(store.get("next") or b"0")
    for number in range(start, start + 1_000_000):
        with store.transaction(durable=number % 10 == 0) as transaction:
            transaction.put("next", b"%d" % (number + 1))
            transaction.accept("mains", b"%d" % number, message_id=str(number))
        print(number, flush=True)
        if number % 100 == 0:
            for row in store.unsaid(50):
                store.acknowledged(row)
            store.tidy()
            store.checkpoint()
"""


def test_what_was_accepted_is_there_after_a_kill(tmp_path: Path) -> None:
    """Killed (-9) at four points in a loop of accepts, tidying and checkpoints: state and outbox agree, and nothing is missing."""
    path, killed_after = tmp_path / "service.db", (1, 37, 150, 301)
    for lines in killed_after:
        with subprocess.Popen([sys.executable, "-c", _CHILD, str(path)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            said = [int(child.stdout.readline()) for _ in range(lines)]
            child.send_signal(signal.SIGKILL)
            said += [int(line) for line in child.stdout.read().split("\n") if line]
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            (newest,) = connection.execute("SELECT max(CAST(payload AS INTEGER)) FROM outbox").fetchone()
            kept = {row[0] for row in connection.execute("SELECT CAST(payload AS INTEGER) FROM outbox")}
            (following,) = connection.execute("SELECT CAST(value AS INTEGER) FROM state WHERE key = 'next'").fetchone()
        assert newest >= said[-1]
        assert following == newest + 1
        assert set(range(max(0, newest - 900), newest + 1)) <= kept


async def test_tidying_survives_a_failing_disk(opened: Open, now_s: list[float]) -> None:
    """The task that tidies goes on, and does its work once it can."""
    store = opened()
    _accept(store, 1)
    _acknowledge_all(store)
    connection = store._connection  # pyright: ignore[reportPrivateUsage]
    connection.execute("PRAGMA query_only = ON")
    tidying = asyncio.create_task(store.keep_tidy(every_s=0.001))
    await asyncio.sleep(0.05)
    assert not tidying.done()
    connection.execute("PRAGMA query_only = OFF")
    async with asyncio.timeout(5):
        while connection.execute(  # noqa: ASYNC110
            "SELECT count(*) FROM outbox WHERE acknowledged_at IS NULL"
        ).fetchone() != (0,):
            await asyncio.sleep(0.001)
    tidying.cancel()
    await asyncio.wait((tidying,))
    assert tidying.cancelled()


def test_a_checkpoint_empties_the_log_and_locks_nobody_out(tmp_path: Path, opened: Open) -> None:
    """The log goes into the database while a transaction is open, and is used from its beginning again."""
    store = opened()
    _accept(store, *range(500))
    with store.transaction() as transaction:
        store.checkpoint()
        transaction.put("key", b"value")
    store.checkpoint()
    before = (tmp_path / "service.db-wal").stat().st_size
    _accept(store, *range(100))
    assert (tmp_path / "service.db-wal").stat().st_size == before
    assert opened().backlog == 600
