"""When what waits is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.domain.batch import MOST_WAITING, Batch


def _with(arrivals_s: list[float]) -> Batch:
    batch = Batch(5.0)
    for at_s in arrivals_s:
        batch.add(at_s)
    return batch


def test_a_reading_now_and_then_is_written_each_few_seconds() -> None:
    """The first waits for the interval, those after it go along."""
    assert _with([100.0, 103.0]).due_in_s(103.0) == 2.0
    assert Batch(5.0).due_in_s(0.0) is None


def test_a_full_hand_is_written_at_once() -> None:
    """The broker gives no more before some are acknowledged: waiting would only slow a backlog."""
    assert _with([100.0] * MOST_WAITING).due_in_s(100.0) == 0.0


def test_a_burst_that_ends_is_written_soon() -> None:
    """A broker that hands out fewer at a time does not make a backlog take five seconds for each handful."""
    assert _with([100.0] * 10).due_in_s(100.0) == pytest.approx(0.2)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30).map(sorted))
def test_nobody_waits_longer_than_the_interval(arrivals_s: list[float]) -> None:
    """Whatever came since, the first is written within the interval."""
    due_s = _with(arrivals_s).due_in_s(arrivals_s[-1])
    assert due_s is not None
    assert due_s == 0 or arrivals_s[-1] + due_s <= arrivals_s[0] + 5.0 + 1e-9


def test_taking_empties_it() -> None:
    """After a write nothing is due until something comes."""
    batch = _with([100.0, 101.0])
    batch.take()
    assert batch.due_in_s(200.0) is None
    batch.add(200.0)
    assert batch.due_in_s(200.0) == 5.0
