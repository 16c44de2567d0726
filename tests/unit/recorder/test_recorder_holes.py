"""Readings that must have been said and never came."""

from services.recorder.domain.energy import SECOND_US
from services.recorder.domain.holes import Holes

MINUTE_US = 60 * SECOND_US


def heard(holes: Holes, *times_s: float, now_s: float = 0.0, home: str = "cottage") -> None:
    """Readings of one home."""
    for at_s in times_s:
        holes.note(home, round((1_000 + at_s) * SECOND_US), round(now_s * SECOND_US))


def missing(holes: Holes, now_s: float) -> list[str]:
    """Whom to ask."""
    return holes.missing(round(now_s * SECOND_US))


def test_a_reading_that_never_comes_is_asked_for_once() -> None:
    """Not at once, since it may come by itself; then the home is asked, and not again for the same one."""
    holes = Holes()
    heard(holes, 0, 3, 6, 12, 15)
    assert missing(holes, 20) == []
    assert missing(holes, 31) == ["cottage"]
    assert missing(holes, 2_000) == []


def test_a_reading_that_comes_late_fills_its_hole() -> None:
    """Nobody is asked."""
    holes = Holes()
    heard(holes, 0, 3, 6, 12, 15, 9)
    assert missing(holes, 100) == []


def test_a_home_that_was_away_or_has_another_rhythm_is_not_asked() -> None:
    """A minute without readings is a home that said none; and two long steps are a longer period."""
    holes = Holes()
    heard(holes, 0, 3, 6, 100, 103, 106)
    heard(holes, *range(110, 1_000, 10))
    assert missing(holes, 2_000) == []


def test_a_meter_that_skips_often_is_asked_seldom() -> None:
    """Every ten minutes at most: each time the home says ten minutes again."""
    holes = Holes()
    asked = 0
    for number in range(3_600):
        if number % 7:
            heard(holes, 3.0 * number, now_s=3.0 * number)
        asked += len(missing(holes, 3.0 * number))
    assert 0 < asked <= 3 * 3_600 / 600 + 1


def test_homes_have_rhythms_of_their_own() -> None:
    """Ten seconds are a hole in one home and the period of another."""
    holes = Holes()
    heard(holes, 0, 3, 6, 16, 19, home="fast")
    heard(holes, 0, 10, 20, 30, home="slow")
    assert missing(holes, 31) == ["fast"]
