"""How large a history grows on SQLite."""

import contextlib
import sqlite3

from services.recorder.domain.energy import SECOND_US
from tests.support.history import START_US, Place, steady

_DAY_US = 86_400 * SECOND_US


async def test_a_thinned_history_stops_growing(place: Place) -> None:
    """A reading each 10 s takes at most 50 bytes, roll-ups included, and days that come after thinned ones use their space again."""
    async with place.opened() as opened:
        sizes: list[int] = []
        for day in range(8):
            start_us = START_US + day * _DAY_US
            await opened.history.record(steady(86_390, 1_234.567, start_us=start_us, every_s=10))
            await opened.history.thin(start_us - _DAY_US)
            sizes.append(_bytes(place))
        assert sizes[1] / (2 * 8_640) < 50
        # Two days of readings stay; what a day adds afterwards is its roll-ups, some 40 bytes a minute.
        assert sizes[7] - sizes[3] < 4 * 1_440 * 60 < sizes[0]


def _bytes(place: Place) -> int:
    """The database's length, wherever its pages lie now."""
    with contextlib.closing(sqlite3.connect(place.url.removeprefix("sqlite:///"))) as connection:
        return connection.execute("PRAGMA page_count").fetchone()[0] * connection.execute("PRAGMA page_size").fetchone()[0]
