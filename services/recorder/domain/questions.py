"""Questions about the past: what they may ask, at which detail it is read, and the pieces of an answer."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from hems.contracts.energy import HistoryQuery, HistoryResult
from services.recorder.domain.calendar import LENGTH_S, RESOLUTIONS, Resolution
from services.recorder.domain.records import HappeningKind, microseconds

LONGEST_PIECE_BYTES = 60 * 1_024
_FRAME_BYTES = 400
_DAY_S = 86_400
_LONGEST_RANGE_S = 50 * 366 * _DAY_S

Kind = Literal["power", "energy", "totals", "happenings", "series", "gaps"]
Source = Literal["raw", "1min", "15min", "1h", "1d"]

HAPPENINGS: dict[str, HappeningKind] = {
    "events": "event", "relays": "relay", "alerts": "alert", "demand": "demand", "labels": "label", "messages": "message",
}  # fmt: skip
_NAMED = re.compile(r"(power|energy|appliance)/([a-z0-9_-]{1,32})")
_CLIENT, _IDENTITY = re.compile(r"[A-Za-z0-9_-]{1,64}"), re.compile(r"[\x21-\x7e]{1,64}")
_WORDS = ("mains", "energy", "energy/<appliance>", "appliance/<appliance>", "appliances", *HAPPENINGS, "price", "carbon", "gaps")

# The longest range that each detail is read over: about a hundred thousand rows, some tens of milliseconds.
_POWER_RANGE_S: dict[Source, int] = {
    "raw": 2 * _DAY_S,
    "1min": 60 * _DAY_S,
    "15min": 900 * _DAY_S,
    "1h": 3_700 * _DAY_S,
    "1d": _LONGEST_RANGE_S,
}
_LONGEST_ASKED_S: dict[Source, int] = {
    "raw": 31 * _DAY_S, "1min": 800 * _DAY_S, "15min": 8_000 * _DAY_S, "1h": _LONGEST_RANGE_S, "1d": _LONGEST_RANGE_S,
}  # fmt: skip


class BadQuestion(ValueError):
    """It can't be answered; the message tells the asker why, and what to ask instead."""


@dataclass(frozen=True)
class Plan:
    """What to read.

    Attributes:
        subject: an appliance's id, a series' name, a kind of happening; None for the home.
        source: raw readings, or roll-ups of that length.
        slot_us: readings are gathered in slots of this length.
    """

    kind: Kind
    subject: str | None
    source: Source
    start_us: int
    end_us: int
    slot_us: int
    points: int


def plan(query: HistoryQuery, raw_since_us: int = 0) -> Plan:
    """Decide how to answer.

    Args:
        raw_since_us: raw readings before this are gone.

    Raises:
        BadQuestion: with what to ask instead.
    """
    start_us, end_us = microseconds(query.start), microseconds(query.end)
    if end_us <= start_us:
        raise BadQuestion("the range is empty: `to` must be after `from`")
    if end_us - start_us > _LONGEST_RANGE_S * 1_000_000:
        raise BadQuestion("the range is longer than 50 years")
    kind, subject = _subject(query.what)
    span_s = -((start_us - end_us) // 1_000_000)
    source = _source(kind, query, span_s, gone=start_us < raw_since_us)
    if span_s > _LONGEST_ASKED_S[source]:
        raise BadQuestion(f"{source} over {span_s // _DAY_S} days is too much: ask for a coarser resolution, or `auto`")
    if kind == "energy" and source != "raw" and span_s / LENGTH_S[source] > query.points + 1:
        raise BadQuestion(f"{source} over {span_s // _DAY_S} days makes more than {query.points} rows: ask for more points, or `auto`")
    return Plan(kind, subject, source, start_us, end_us, max(1, -((start_us - end_us) // query.points)), query.points)


def _subject(what: str) -> tuple[Kind, str | None]:
    if what in HAPPENINGS:
        return "happenings", HAPPENINGS[what]
    if what in ("price", "carbon"):
        return "series", what
    if what in ("mains", "energy", "appliances", "gaps"):
        return {"mains": "power", "energy": "energy", "appliances": "totals", "gaps": "gaps"}[what], None  # type: ignore[return-value]
    named = _NAMED.fullmatch(what)
    if named is None:
        raise BadQuestion(f"nothing is kept of {what!r}; ask for one of {', '.join(_WORDS)}")
    return ("energy" if named[1] == "energy" else "power"), named[2]


def _source(kind: Kind, query: HistoryQuery, span_s: int, *, gone: bool) -> Source:
    if kind in ("energy", "totals"):
        return _bars(query, span_s)
    if query.resolution != "auto":
        return query.resolution
    fitting: list[Source] = [source for source, longest_s in _POWER_RANGE_S.items() if span_s <= longest_s]
    return "1min" if gone and fitting[0] == "raw" else fitting[0]


def _bars(query: HistoryQuery, span_s: int) -> Resolution:
    if query.resolution == "raw":
        raise BadQuestion("energy is kept from 1min on: ask for 1min, 15min, 1h, 1d or auto")
    if query.resolution != "auto":
        return query.resolution
    longest_s: dict[Source, int] = {"1min": 6 * 3_600, "15min": 2 * _DAY_S, "1h": 14 * _DAY_S}
    for source in RESOLUTIONS:
        if span_s <= longest_s.get(source, _LONGEST_RANGE_S) and span_s / LENGTH_S[source] <= query.points:
            return source
    return "1d"


def pieces(identity: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[HistoryResult]:
    """The answer, cut so that each piece stays below `LONGEST_PIECE_BYTES`; the last is marked."""
    batch: list[tuple[Any, ...]] = []
    size, number = 0, 0
    for row in rows:
        row_bytes = len(json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()) + 1
        if batch and size + row_bytes > LONGEST_PIECE_BYTES - _FRAME_BYTES:
            yield HistoryResult(id=identity, piece=number, last=False, columns=tuple(columns), rows=tuple(batch))
            batch, size, number = [], 0, number + 1
        batch.append(tuple(row))
        size += row_bytes
    yield HistoryResult(id=identity, piece=number, last=True, columns=tuple(columns), rows=tuple(batch))


def asker_of(raw: bytes) -> tuple[str, str] | None:
    """The id and the client of what breaks the contract of a question; the id is `unknown` where it has none that can be said."""
    try:
        body: Any = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    said = cast("dict[str, Any]", body)
    identity, client = (value if isinstance(value := said.get(key), str) else "" for key in ("id", "client"))
    if not _CLIENT.fullmatch(client):
        return None
    return identity if _IDENTITY.fullmatch(identity) else "unknown", client


def refusal(identity: str, reason: str) -> HistoryResult:
    """An answer that says why there is none."""
    return HistoryResult(id=identity, piece=0, last=True, error=reason[:2_000])
