"""The rows that a recorded time's appliances leave."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from hems.contracts.appliances import ApplianceEvent, event_id
from services.recorder.domain.records import Happening, Row, StateRow, microseconds
from services.recorder.domain.runs import Runs, Tick

NOON = datetime(2025, 1, 6, 12, tzinfo=UTC)


def ticks(*running: bool, power_w: float = 1_200.0) -> list[Tick]:
    """One each 30 s from noon."""
    return [Tick(microseconds(NOON) + place * 30_000_000, 0.9 if on else 0.2, on, power_w) for place, on in enumerate(running)]


def events(rows: Sequence[Row]) -> list[ApplianceEvent]:
    """Those among them."""
    return [ApplianceEvent.model_validate(json.loads(row.body)) for row in rows if isinstance(row, Happening)]


def test_a_run_is_told_with_what_it_used() -> None:
    """A start and an end, with duration and energy, and ids that a live home would have given."""
    rows = list(Runs("home", "kettle").rows(ticks(False, True, True, True, False, False)))
    started, finished = events(rows)
    assert (started.kind, started.id) == ("started", event_id("home", "kettle", "started", started.at))
    assert (finished.kind, finished.duration_s) == ("finished", 90.0)
    assert finished.energy_kwh == pytest.approx(1_200 * 90 / 3.6e6)
    assert (started.confidence, finished.confidence) == (0.9, 0.9)


def test_a_state_is_said_at_each_change_and_each_minute() -> None:
    """So that the sums hold it all along; off is said once."""
    states = [row for row in Runs("home", "kettle").rows(ticks(*[False] * 4, *[True] * 5, *[False] * 4)) if isinstance(row, StateRow)]
    seconds = [(row.at_us - microseconds(NOON)) // 1_000_000 for row in states]
    assert seconds == [0, 120, 180, 240, 270]
    assert [row.power_mw for row in states] == [0, 1_200_000, 1_200_000, 1_200_000, 0]
    assert [row.confidence_thousandths for row in states] == [800, 900, 900, 900, 800]


def test_a_run_goes_on_over_batches_and_a_gap_counts_a_minute_at_most() -> None:
    """Energy is no guess over hours without data; a probability that is not known is not confident."""
    runs = Runs("home", "kettle")
    first, last = ticks(True, True), Tick(microseconds(NOON) + 7_200_000_000, math.nan, False, 0.0)
    rows = [*runs.rows(first), *runs.rows([last])]
    (_, finished) = events(rows)
    assert finished.energy_kwh == pytest.approx(1_200 * 90 / 3.6e6)
    assert [row.confidence_thousandths for row in rows if isinstance(row, StateRow)][-1] == 1_000
