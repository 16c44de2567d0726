"""What is known of each of many homes while its readings come: what is counted, and which minutes are to be counted anew."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from services.recorder.domain.calendar import Calendar
from services.recorder.domain.energy import HOLD_US, HOLE_US, MINUTE_US, floor_minute, merged, touched
from services.recorder.domain.records import Happening, MainsRow, Row
from services.recorder.domain.tariff import PriceSeries, Pricing, Version

LATE_US = 2 * MINUTE_US
"""What comes later than this is noted beside the rows, so that a start after a kill counts its minutes anew, too."""
_AGAIN_US = 6 * MINUTE_US
"""So far a start goes back by itself: as far as a state that was not late can reach."""

Range = tuple[int, int]


@dataclass
class Home:
    """One home. Times are microseconds since 1970.

    Attributes:
        id: its number in the tables.
        subjects: its appliances' numbers.
        newest_us: the newest reading that is committed.
        folded_us: up to here the sums are made.
        dirty: ranges of minutes whose sums are to be made anew.
        noted: those of them that are noted beside the rows.
        other_zone: its hours and days are still cut by another time zone.
    """

    id: int
    subjects: dict[str, int] = field(default_factory=dict[str, int])
    versions: list[Version] = field(default_factory=list[Version])
    newest_us: int = 0
    folded_us: int = 0
    dirty: list[Range] = field(default_factory=list[Range])
    noted: list[Range] = field(default_factory=list[Range])
    other_zone: bool = False

    @property
    def is_due(self) -> bool:
        """Whether a minute is over since the sums were made, something came late, or the time zone is another."""
        minute_over = floor_minute(self.newest_us) > floor_minute(self.folded_us)
        return self.other_zone or bool(self.noted) or (bool(self.dirty) and minute_over)

    def pricing(self, calendar: Calendar) -> Pricing:
        """What energy cost and costs there."""
        return Pricing(self.versions, calendar, PriceSeries())

    def recall(self, oldest_us: int, newest_us: int, folded_us: int) -> None:
        """After a start: count the last minutes anew, or all where nothing was counted."""
        self.newest_us, self.folded_us = newest_us, folded_us
        if newest_us:
            from_us = floor_minute(folded_us) - _AGAIN_US if folded_us else 0
            self.dirty.append((max(from_us, floor_minute(oldest_us)), floor_minute(newest_us) + MINUTE_US))

    def recall_late(self, found: Range) -> None:
        """After a start: what was noted is still to be counted."""
        self.dirty.append(found)
        self.noted.append(found)

    def note(self, rows: Sequence[Row]) -> None:
        """These rows are committed, and with them the notes of `late`."""
        self.noted += self.late(rows)
        self.dirty = merged([*self.dirty, *ranges(rows)])
        self.newest_us = self._newest_with(rows)

    def late(self, rows: Sequence[Row]) -> list[Range]:
        """The ranges that a start after a kill would not count anew by itself."""
        limit_us = self._newest_with(rows) - LATE_US
        return ranges(row for row in rows if row.at_us < limit_us)

    def take(self, thinned_us: int) -> "Work":
        """What is to be counted now; it is no longer dirty.

        Args:
            thinned_us: single readings before this are gone, and their sums stay as they are.
        """
        latest_us, work = floor_minute(self.newest_us) + MINUTE_US, Work(self, self.newest_us, self.dirty, self.noted, self.other_zone)
        oldest_us = thinned_us and thinned_us + LATE_US
        self.other_zone = False
        self.dirty, self.noted = [], []  # the next reading touches the minute that has not ended, and the next state what it holds
        bounded = ((max(start_us, oldest_us), min(end_us, latest_us)) for start_us, end_us in merged(work.dirty))
        work.ranges = [(start_us, end_us) for start_us, end_us in bounded if start_us < end_us]
        return work

    def _newest_with(self, rows: Iterable[Row]) -> int:
        return max([self.newest_us, *(row.at_us for row in rows if isinstance(row, MainsRow))])


@dataclass
class Work:
    """Sums of one home that are being made: either `done`, or all to be made another time."""

    home: Home
    newest_us: int
    dirty: list[Range]
    noted: list[Range]
    other_zone: bool
    ranges: list[Range] = field(default_factory=list[Range])

    def done(self) -> None:
        """They are committed, and the notes are gone."""
        self.home.folded_us = max(self.home.folded_us, self.newest_us)

    def undone(self) -> None:
        """They are not."""
        self.home.dirty = [*self.dirty, *self.home.dirty]
        self.home.noted = [*self.noted, *self.home.noted]
        self.home.other_zone = self.other_zone


def ranges(rows: Iterable[Row]) -> list[Range]:
    """The minutes that rows can change."""
    found = (touched(row.at_us, HOLE_US if isinstance(row, MainsRow) else HOLD_US) for row in rows if not isinstance(row, Happening))
    return merged(found)


def by_home(rows: Iterable[tuple[str, Row]]) -> Mapping[str, list[Row]]:
    """Rows by their homes, in their order."""
    found: dict[str, list[Row]] = {}
    for home, row in rows:
        found.setdefault(home, []).append(row)
    return found
