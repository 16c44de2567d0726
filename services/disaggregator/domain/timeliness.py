"""How late, and how early, a reading may come."""

from datetime import timedelta

HISTORY_AFTER = timedelta(seconds=120)
"""Readings that arrive later are history: events come of them, and no state that holds now."""
REAL_DELAY = timedelta(seconds=10)
"""What a busy computer may need to pass a reading on. On a fast clock this is the longer of the two."""
CLOCKS_DIFFER_BY = timedelta(seconds=120)
"""Readings from further ahead come of a clock that is wrong, and would make all that follows late."""


def history_after(rate: float) -> timedelta:
    """How old a reading may be and still tell what holds now; `rate` is domain seconds in a real second."""
    return max(HISTORY_AFTER, REAL_DELAY * rate)
