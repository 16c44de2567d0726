"""Answers of the recorder, put together from their pieces."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hems.contracts.energy import HistoryResult

_MOST_PIECES = 2_000


class Unanswered(Exception):
    """There is no answer; the message says why."""


@dataclass(frozen=True)
class Answer:
    """Columns and rows."""

    columns: tuple[str, ...] = ()
    rows: tuple[Sequence[Any], ...] = ()

    def column(self, name: str) -> list[Any]:
        """One column's values; empty where there is none of that name."""
        if name not in self.columns:
            return []
        place = self.columns.index(name)
        return [row[place] for row in self.rows]

    def moments(self) -> list[datetime]:
        """The first column, as times."""
        return [moment(row[0]) for row in self.rows]


@dataclass
class Pieces:
    """One answer that arrives. A piece that is said twice counts once."""

    _pieces: dict[int, HistoryResult] = field(default_factory=dict[int, HistoryResult])
    _last: int | None = None

    def add(self, piece: HistoryResult) -> Answer | None:
        """The whole answer, once it is there.

        Raises:
            Unanswered: the recorder refuses, or the answer is larger than any it gives.
        """
        if piece.error is not None:
            raise Unanswered(piece.error)
        if piece.piece >= _MOST_PIECES:
            raise Unanswered("the answer is too large; ask for less")
        self._pieces[piece.piece] = piece
        if piece.last:
            self._last = piece.piece
        if self._last is None or len(self._pieces) <= self._last:
            return None
        ordered = [self._pieces[number] for number in sorted(self._pieces)]
        return Answer(ordered[0].columns, tuple(row for part in ordered for row in part.rows))


def moment(text: Any) -> datetime:
    """A time as the recorder writes it.

    Raises:
        ValueError: it is none.
    """
    found = datetime.fromisoformat(str(text))
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no offset")
    return found
