"""Readings in CSV files of several kinds."""

import csv
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.domain.readings_file import Refusals, UnknownForm, columns, devices, readings
from services.recorder.domain.records import MainsRow, microseconds

NOON_US = microseconds(datetime(2025, 1, 6, 12, tzinfo=UTC))


def _read(text: str, device: str | None = None, zone: str = "UTC") -> tuple[list[MainsRow], Refusals]:
    rows = list(csv.reader(text.splitlines()))
    refusals = Refusals()
    return list(readings(rows[1:], columns(rows[0]), ZoneInfo(zone), device, refusals)), refusals


@pytest.mark.parametrize(
    "time",
    [
        "2025-01-06T12:00:00Z",
        "2025-01-06 12:00:00 UTC",
        "2025-01-06 12:00:00",
        "2025-01-06T13:00:00+01:00",
        "1736164800",
        "1736164800000",
        "1736164800.0",
    ],
)
def test_times_of_every_kind(time: str) -> None:
    """With an offset, without one in the zone given, and as a number of seconds or milliseconds."""
    assert _read(f"time,power\n{time},1234.5")[0] == [MainsRow(NOON_US, 1_234_500)]


def test_the_ancestor_s_form() -> None:
    """`time,device_id,power` holds several devices: one is taken, and all are named."""
    text = "time,device_id,power\n1736164800,main,100\n1736164800,fridge,50\n1736164803,main,110"
    assert [row.power_mw for row in _read(text, "main")[0]] == [100_000, 110_000]
    rows = list(csv.reader(text.splitlines()))
    assert devices(rows[1:], columns(rows[0])) == {"main", "fridge"}


def test_a_time_without_an_offset_is_in_the_zone() -> None:
    """Summer in London is an hour ahead of UTC."""
    (row,), _ = _read("timestamp,power_w\n2025-07-01 12:00:00,1", zone="Europe/London")
    assert row.at_us == microseconds(datetime(2025, 7, 1, 12, tzinfo=timezone(timedelta(hours=1))))


def test_bad_lines_are_counted_and_the_rest_is_read() -> None:
    """Numbers that are none, absurd powers, short lines and old times go, with a sample of why."""
    rows, refusals = _read("time,power\n1736164800,nan\n1736164801,9e9\n1736164802\n12,5\nsoon,5\n\n1736164803,7")
    assert [row.power_mw for row in rows] == [7_000]
    assert (refusals.count, len(refusals.samples)) == (5, 3)
    assert refusals.samples[0].startswith("line 2: ")


def test_a_header_without_a_power_is_refused() -> None:
    """The error names what there is and what there should be."""
    with pytest.raises(UnknownForm, match="must name a time"):
        columns(["time", "temperature"])


@given(st.lists(st.lists(st.text(max_size=12), max_size=4), max_size=8))
def test_no_line_breaks_it(rows: list[list[str]]) -> None:
    """Whatever stands in a file, each line is a reading, or counted, or empty."""
    refusals = Refusals()
    found = list(readings(rows, columns(["time", "power"]), UTC, None, refusals))
    assert len(found) + refusals.count == sum(bool(row) for row in rows)
