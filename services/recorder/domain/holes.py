"""Readings that a home must have said and that never came: told by the rhythm of those that did.

A cluster that loses a node may lose, of some reader, a message that it had acknowledged. The home still has it, and says it again
when it is asked.
"""

from dataclasses import dataclass, field

from services.recorder.domain.energy import SECOND_US

_LONGEST_PERIOD_US = 60 * SECOND_US
_WAIT_US = 30 * SECOND_US
"""What was not acknowledged comes again by itself within this time."""
_ASK_EVERY_US = 600 * SECOND_US
"""A home that is asked says ten minutes again."""
_MOST_A_HOME = 20
_TOLERANCE = 1.6


@dataclass(slots=True)
class _Rhythm:
    """One home's: its newest reading, the period that they keep, the last step, and where one is missing (start, end, known since)."""

    newest_us: int = 0
    period_us: int = 0
    step_us: int = 0
    holes: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])
    asked_us: int = -_ASK_EVERY_US


class Holes:
    """Looks for holes in the readings of many homes. Times are microseconds; `now_us` only ever rises."""

    def __init__(self) -> None:
        self._homes: dict[str, _Rhythm] = {}

    def note(self, home: str, at_us: int, now_us: int) -> None:
        """A reading is kept."""
        rhythm = self._homes.setdefault(home, _Rhythm())
        if at_us <= rhythm.newest_us:
            rhythm.holes = [hole for hole in rhythm.holes if not hole[0] < at_us < hole[1]]
            return
        if rhythm.newest_us:
            self._judge(rhythm, at_us, now_us)
        rhythm.newest_us = at_us

    def missing(self, now_us: int) -> list[str]:
        """The homes to ask, each at most every ten minutes: a hole of theirs has not filled by itself."""
        due = [
            (name, rhythm)
            for name, rhythm in self._homes.items()
            if rhythm.holes and now_us - rhythm.holes[0][2] >= _WAIT_US and now_us - rhythm.asked_us >= _ASK_EVERY_US
        ]
        for _, rhythm in due:
            rhythm.asked_us, rhythm.holes = now_us, []
        return [name for name, _ in due]

    def _judge(self, rhythm: _Rhythm, at_us: int, now_us: int) -> None:
        step_us, last_us = at_us - rhythm.newest_us, rhythm.step_us
        rhythm.step_us = step_us
        if step_us >= _LONGEST_PERIOD_US:
            return
        is_long = bool(rhythm.period_us) and step_us > rhythm.period_us * _TOLERANCE
        if is_long and last_us <= rhythm.period_us * _TOLERANCE:
            rhythm.holes = [*rhythm.holes, (rhythm.newest_us, at_us, now_us)][:_MOST_A_HOME]
        elif not is_long or step_us < last_us * _TOLERANCE:
            # Two long steps one after the other are another rhythm.
            rhythm.holes = rhythm.holes[:-1] if is_long else rhythm.holes
            rhythm.period_us = step_us
