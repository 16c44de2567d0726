"""A recorded home: the history's kWh against an integral made another way."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq  # pyright: ignore[reportMissingTypeStubs]
import pytest

from services.recorder.domain.energy import MJ_PER_KWH, SECOND_US
from services.recorder.domain.records import MainsRow
from tests.support.history import Place

_RECORDING = Path(__file__).parents[3] / "services/replay/demo/home.parquet"
_HOLE_S = 60


def _recording() -> tuple[Any, Any]:
    """Times, s, and the mains, W, without the gaps."""
    arrow: Any = pq
    table = arrow.read_table(_RECORDING)
    times_s = table.column("timestamp").to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
    powers_w = table.column("mains").to_numpy().astype(float)
    there = np.isfinite(powers_w)
    return times_s[there], powers_w[there]


async def test_recorded_days_have_the_same_energy(place: Place) -> None:
    """Three days of the shipped recording: the total equals numpy's integral within 0.1 %, and in fact far closer."""
    await _compare(place, days=3)


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_the_whole_recording_has_the_same_energy(place: Place) -> None:
    """All of it."""
    await _compare(place, days=30)


async def _compare(place: Place, days: int) -> None:
    times_s, powers_w = (values[: days * 10_800] for values in _recording())
    spans_s = np.diff(times_s)
    whole = spans_s <= _HOLE_S
    expected_kwh = float(np.sum(((powers_w[1:] + powers_w[:-1]) / 2 * spans_s)[whole])) / 3.6e6
    rows = [MainsRow(round(at_s * SECOND_US), round(power_w * 1_000)) for at_s, power_w in zip(times_s, powers_w, strict=True)]
    async with place.opened() as opened:
        for start in range(0, len(rows), 10_000):
            await opened.history.record(rows[start : start + 10_000])
        await opened.history.count_all()
        (home,) = await opened.history.counters(int(times_s[-1]))
    assert expected_kwh > 10
    assert home.total_mj / MJ_PER_KWH == pytest.approx(expected_kwh, rel=1e-3)
    assert home.total_mj / MJ_PER_KWH == pytest.approx(expected_kwh, rel=1e-6)
