"""The outbox against a plain list: whatever is done in whatever order, they agree."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import structlog
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hems.actor.store import Publication, Store, TooLarge

LOG: Any = structlog.get_logger()
KEEP_S = 600.0
MOST_ROWS = 40


class Row:
    """What the model knows of a publication."""

    def __init__(self, number: int, topic: str, precious: bool) -> None:
        self.number, self.topic, self.precious = number, topic, precious
        self.acknowledged_at_s: float | None = None
        self.handed_out = False


class Outbox(RuleBasedStateMachine):
    """A store, its restarts and its broker's answers, beside the same in a list."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.now_s = 0.0
        self.count = 0
        self.rows: list[Row] = []
        self.newest: dict[str, int] = {}
        self.under_way: list[Publication] = []
        self._open()

    def _open(self) -> None:
        self.store = Store(
            Path(self.folder.name) / "x.db", LOG, most_rows=MOST_ROWS, keep_said_s=KEEP_S, monotonic_s=lambda: self.now_s
        ).__enter__()

    def teardown(self) -> None:
        self.store.__exit__(None, None, None)
        self.folder.cleanup()

    @rule(topic=st.sampled_from(["mains", "alert"]), several=st.integers(1, 12), precious=st.booleans())
    def accept(self, topic: str, several: int, precious: bool) -> None:
        with self.store.transaction(durable=precious) as transaction:
            for _ in range(several):
                self.count += 1
                transaction.accept(topic, b"%d" % self.count, message_id=str(self.count), retain=True)
                self.rows.append(Row(self.count, topic, precious))
                self.newest[topic] = self.count

    @rule(topic=st.sampled_from(["mains", "alert"]))
    def fail(self, topic: str) -> None:
        with contextlib.suppress(TooLarge), self.store.transaction() as transaction:
            transaction.accept(topic, b"0", message_id="0", retain=True)
            transaction.accept(topic, b"0" * 70_000, message_id="0", retain=True)

    @rule(limit=st.integers(1, 10))
    def hand_out(self, limit: int) -> None:
        got = self.store.unsaid(limit)
        waiting = [row for row in self.rows if row.acknowledged_at_s is None and not row.handed_out]
        assert len(got) <= limit
        assert bool(got) == bool(waiting)
        expected = waiting[: len(got)]
        assert [int(publication.payload) for publication in got] == [row.number for row in expected]
        assert [publication.retain for publication in got] == [self.newest[row.topic] == row.number for row in expected]
        for row in expected:
            row.handed_out = True
        self.under_way += got

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        publication = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.store.acknowledged(publication)
        for row in self.rows:
            if row.number == int(publication.payload) and row.handed_out:
                row.acknowledged_at_s, row.handed_out = self.now_s, False

    @rule()
    def reconnect(self) -> None:
        self.under_way.clear()
        self.store.start_again()
        for row in self.rows:
            row.handed_out = False

    @rule()
    def say_again(self) -> None:
        again = [row for row in self.rows if row.acknowledged_at_s is not None]
        assert self.store.say_again() == len(again)
        for row in again:
            row.acknowledged_at_s = None

    @rule(seconds=st.sampled_from([1.0, 300.0, 700.0]))
    def tidy(self, seconds: float) -> None:
        self.now_s += seconds
        self.store.tidy()
        self.rows = [row for row in self.rows if row.acknowledged_at_s is None or row.acknowledged_at_s >= self.now_s - KEEP_S]
        if len(self.rows) > MOST_ROWS:
            doomed = [row for row in self.rows if not row.precious][: len(self.rows) - MOST_ROWS + MOST_ROWS // 100]
            self.rows = [row for row in self.rows if row not in doomed]

    @rule()
    def restart(self) -> None:
        self.store.__exit__(None, None, None)
        self.rows = [row for row in self.rows if row.acknowledged_at_s is None or row.acknowledged_at_s >= self.now_s - KEEP_S]
        if len(self.rows) > MOST_ROWS:
            doomed = [row for row in self.rows if not row.precious][: len(self.rows) - MOST_ROWS + MOST_ROWS // 100]
            self.rows = [row for row in self.rows if row not in doomed]
        self.under_way.clear()
        for row in self.rows:
            row.handed_out = False
            if row.acknowledged_at_s is not None:
                row.acknowledged_at_s = self.now_s
        self._open()

    @invariant()
    def the_backlog_is_what_waits(self) -> None:
        if hasattr(self, "store"):
            assert self.store.backlog == sum(row.acknowledged_at_s is None for row in self.rows)


class TestOutbox(Outbox.TestCase):
    """Each history of acceptances, answers, reconnections, restarts and time leaves what the list leaves."""

    settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
