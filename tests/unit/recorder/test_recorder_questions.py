"""Questions about the past."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.contracts.energy import HistoryQuery, HistoryResult
from services.recorder.domain.questions import LONGEST_PIECE_BYTES, BadQuestion, asker_of, pieces, plan, refusal

START = datetime(2025, 1, 6, tzinfo=UTC)


def _query(what: str = "mains", days: float = 1, **options: object) -> HistoryQuery:
    values = {"id": "q1", "client": "page", "what": what, "from": START, "to": START + timedelta(days=days), **options}
    return HistoryQuery.model_validate(values)


@pytest.mark.parametrize(("days", "source"), [(1, "raw"), (30, "1min"), (365, "15min"), (3_000, "1h"), (5_000, "1d")])
def test_auto_reads_few_enough_rows(days: float, source: str) -> None:
    """The longer the range, the coarser the roll-up that a power curve is read from."""
    assert plan(_query(days=days)).source == source


@pytest.mark.parametrize(("days", "source"), [(0.2, "1min"), (1, "15min"), (7, "1h"), (365, "1d")])
def test_auto_makes_bars_that_can_be_told_apart(days: float, source: str) -> None:
    """Energy comes in quarters, hours or days."""
    assert plan(_query("energy", days=days)).source == source


def test_readings_that_are_gone_are_answered_from_minutes() -> None:
    """Where single readings were thinned, `auto` takes minutes."""
    assert plan(_query(), raw_since_us=2**60).source == "1min"


@given(st.floats(0.001, 10_000), st.integers(1, 20_000))
def test_slots_cover_the_range_in_as_many_points_as_asked(days: float, points: int) -> None:
    """Never more slots than points, and none that ends before the range does."""
    found = plan(_query(days=days, points=points))
    span_us = found.end_us - found.start_us
    assert found.slot_us * points >= span_us
    assert -(-span_us // found.slot_us) <= points


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"what": "weather"}, "nothing is kept of 'weather'"),
        ({"days": -1}, "empty"),
        ({"days": 20_000}, "50 years"),
        ({"days": 60, "resolution": "raw"}, "coarser"),
        ({"what": "energy", "resolution": "raw"}, "from 1min on"),
        ({"what": "energy", "days": 10, "resolution": "1min"}, "more than 1000 rows"),
        ({"what": "appliance/../etc"}, "nothing is kept"),
    ],
)
def test_bad_questions_say_what_to_ask_instead(options: dict[str, object], reason: str) -> None:
    """The error is a sentence for a person."""
    with pytest.raises(BadQuestion, match=reason):
        plan(_query(**options))  # type: ignore[arg-type]


@given(st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3_000)), max_size=120))
def test_pieces_are_small_and_make_up_the_whole(rows: list[tuple[float, str]]) -> None:
    """Each piece fits into 60 KiB on the wire; together, in order, they are the rows; the last and only the last is marked."""
    found = list(pieces("q1", ("a", "b"), rows))
    assert [row for piece in found for row in piece.rows] == rows
    assert all(len(piece.to_wire()) <= LONGEST_PIECE_BYTES for piece in found)
    assert [piece.piece for piece in found] == list(range(len(found)))
    assert [piece.last for piece in found] == [False] * (len(found) - 1) + [True]
    assert all(HistoryResult.from_wire(piece.to_wire()) == piece.model_validate_json(piece.to_wire()) for piece in found)


def test_a_large_answer_comes_in_many_pieces() -> None:
    """20,000 points make more than one piece, and no piece is nearly empty."""
    rows = [(f"2025-01-06T07:00:{second % 60:02}+00:00", 1234.567, 1.0, 9999.0, None) for second in range(20_000)]
    found = [len(piece.to_wire()) for piece in pieces("q1", ("at", "mean_w", "min_w", "max_w", "energy_kwh"), rows)]
    assert len(found) > 10
    assert min(found[:-1]) > 0.9 * LONGEST_PIECE_BYTES


def test_a_refusal_is_one_last_piece() -> None:
    """With the reason, and no rows."""
    assert json.loads(refusal("q1", "no").to_wire()) == {"id": "q1", "piece": 0, "last": True, "columns": [], "rows": [], "error": "no"}


@given(
    st.binary(max_size=200)
    | st.dictionaries(st.sampled_from(["id", "client", "x"]), st.text() | st.integers()).map(json.dumps).map(str.encode)
)
def test_whoever_asks_can_be_answered_or_is_nobody(raw: bytes) -> None:
    """Whatever comes in the place of a question, there is nobody to answer, or an id and a client that an answer may carry."""
    found = asker_of(raw)
    if found is not None:
        assert refusal(found[0], "no question").id == found[0]
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", found[1])
