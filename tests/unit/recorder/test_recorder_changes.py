"""Which demand states are changes."""

import random

import pytest

from services.recorder.domain.changes import changes
from services.recorder.domain.records import Happening


def _state(at_us: int, body: str, *, home: int = 0) -> tuple[int, Happening]:
    return home, Happening("demand", at_us, body, body, body)


def test_changes_are_kept_and_copies_are_not() -> None:
    """A, B, A are three changes; a copy of the newest is none, nor is another home's; what is no demand state is left alone."""
    event = (0, Happening("event", 1, "key", "kettle", "A"))
    found = [_state(1, "A"), event, event, _state(2, "A"), _state(3, "B"), _state(3, "B", home=1), _state(4, "A")]
    assert changes(found, {(home, at_us): (0, "AC"[home]) for home in range(2) for at_us in range(5)}) == [
        event,
        event,
        _state(3, "B"),
        _state(3, "B", home=1),
        _state(4, "A"),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_what_comes_again_adds_nothing(seed: int) -> None:
    """However much of what has its time comes again, before whatever news, the rows are those of a run without a kill."""
    chance = random.Random(seed)
    said = [_state(at_us, chance.choice("ABC")) for at_us in range(30)]
    expected = changes(said, {})
    rows, at = list[tuple[int, Happening]](), 0
    while at < len(said):
        start, at = max(0, at - chance.randrange(5)), at + chance.randrange(1, 6)
        before = {(0, at_us): (row.at_us, row.body) for at_us in range(start, at) for _, row in rows if row.at_us <= at_us}
        rows += changes(said[start:at], before)
    assert rows == expected
