"""Prices and carbon intensities as suppliers and grids write them.

Octopus Energy's standard unit rates and GB's carbon intensity (regional and national) in JSON; a plain form in JSON
(`[{"from": …, "to": …, "value": …}]`, or that list under `values`) and in CSV (`from,to,value`; without `to`, until the next).
"""

import csv
import io
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal, cast

SeriesForm = Literal["plain", "agile", "carbon_intensity_gb"]
SeriesRow = tuple[int, int, float]
"""Start and end, s since 1970, and the value."""

_LONGEST_S = 366 * 86_400
_LARGEST = 1e6
_OPEN_END_S = 30 * 86_400
_LAST_S = 1_800


class UnreadableSeries(ValueError):
    """The text is not in the form that was named; the message says where."""


def read_series(text: str, form: SeriesForm, scale: float = 1.0) -> list[SeriesRow]:
    """The values of a text, in order of time.

    Args:
        scale: multiplies each value, such as 0.01 for pence.

    Raises:
        UnreadableSeries: it is not in that form.
    """
    try:
        found = [_checked(row, scale) for row in _rows(text, form)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, csv.Error) as error:
        raise UnreadableSeries(f"not in the {form} form: {type(error).__name__}: {error}"[:300]) from None
    if not found:
        raise UnreadableSeries(f"not in the {form} form: it holds no values")
    return sorted(found)


def _rows(text: str, form: SeriesForm) -> Iterator[tuple[Any, Any, Any]]:
    if form == "plain" and text.lstrip()[:1] not in ("[", "{"):
        yield from _plain_csv(text)
        return
    parsed: Any = json.loads(text)
    if form == "agile":
        yield from ((row["valid_from"], row.get("valid_to"), row["value_inc_vat"]) for row in parsed["results"])
    elif form == "plain":
        yield from ((row["from"], row["to"], row["value"]) for row in _listed(parsed))
    else:
        yield from ((row["from"], row["to"], _intensity(row["intensity"])) for row in _periods(parsed))


def _listed(parsed: Any) -> list[dict[str, Any]]:
    return cast("dict[str, Any]", parsed)["values"] if isinstance(parsed, dict) else parsed


def _plain_csv(text: str) -> Iterator[tuple[Any, Any, Any]]:
    rows = list(csv.DictReader(io.StringIO(text)))
    for place, row in enumerate(rows):
        following = rows[place + 1]["from"] if place + 1 < len(rows) else None
        yield row["from"], row.get("to") or following or _seconds(row["from"]) + _LAST_S, row["value"]


def _periods(parsed: Any) -> Iterator[dict[str, Any]]:
    """The regional answer wraps the list in one or two more `data`."""
    if isinstance(parsed, dict):
        found = cast("dict[str, Any]", parsed)
        if "intensity" in found:
            yield found
        elif "data" in found:
            yield from _periods(found["data"])
    elif isinstance(parsed, list):
        for entry in cast("list[Any]", parsed):
            yield from _periods(entry)


def _intensity(intensity: dict[str, Any]) -> Any:
    return intensity["actual"] if intensity.get("actual") is not None else intensity["forecast"]


def _checked(row: tuple[Any, Any, Any], scale: float) -> SeriesRow:
    start_s = _seconds(row[0])
    end_s = start_s + _OPEN_END_S if row[1] is None else _seconds(row[1])
    value = float(row[2]) * scale
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise ValueError(f"{row[2]!r} at {row[0]} is no price")
    if not 0 < end_s - start_s <= _LONGEST_S:
        raise ValueError(f"the span from {row[0]} to {row[1]} is empty or too long")
    return start_s, end_s, value


def _seconds(moment: Any) -> int:
    if isinstance(moment, int):
        return moment
    parsed = datetime.fromisoformat(str(moment))
    if parsed.tzinfo is None:
        raise ValueError(f"{moment} has no offset from UTC, such as a Z at its end")
    return int(parsed.astimezone(UTC).timestamp())
