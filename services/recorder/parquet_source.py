"""Readings, and what `hems disaggregate` made of them, from Parquet files."""

import math
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Any

import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as pq  # pyright: ignore[reportMissingTypeStubs]

from services.recorder.domain.readings_file import Refusals, UnknownForm, columns, readings
from services.recorder.domain.records import Row
from services.recorder.domain.runs import Runs, Tick

_arrow: Any = pa
_parquet: Any = pq
_RUNNING = "_running"


def read(path: Path, home: str, zone: tzinfo, refusals: Refusals, batch: int) -> Iterator[Sequence[Row]]:
    """Its rows: of the mains where it has a column of power, of appliances where it has `<appliance>_running`.

    Args:
        home: the home's id, of which an event's own id is made.
        zone: of times that name none.
        refusals: is told of rows that can't be read; a gap (NaN) is none.

    Raises:
        services.recorder.domain.readings_file.UnknownForm: it is no Parquet file, or names no time and power.
    """
    try:
        file = _parquet.ParquetFile(path)
    except (OSError, _arrow.ArrowInvalid) as error:
        raise UnknownForm(f"{path} can't be read as Parquet: {error}") from None
    names: list[str] = file.schema_arrow.names
    appliances = [name.removesuffix(_RUNNING) for name in names if name.endswith(_RUNNING)]
    if appliances:
        yield from _appliances(file, home, appliances, batch)
        return
    where = columns(names)
    for table in file.iter_batches(batch, columns=[names[where.time], names[where.power]]):
        yield list(_readings(table.column(names[where.time]), table.column(names[where.power]), zone, refusals))


def _readings(times: Any, powers_w: Any, zone: tzinfo, refusals: Refusals) -> Iterator[Row]:
    if _arrow.types.is_timestamp(times.type) and times.type.tz is not None:
        times = times.cast(_arrow.timestamp("us", "UTC"), safe=False).cast("int64")
    known = ((str(at), str(power_w)) for at, power_w in zip(times.to_pylist(), powers_w.to_pylist(), strict=True) if _is_known(power_w))
    yield from readings(known, columns(["time", "power_w"]), zone, None, refusals)


def _is_known(power_w: Any) -> bool:
    return power_w is not None and power_w == power_w


def _appliances(file: Any, home: str, appliances: Sequence[str], batch: int) -> Iterator[Sequence[Row]]:
    runs = {name: Runs(home, name) for name in appliances}
    for table in file.iter_batches(batch):
        at_us = table.column("timestamp").cast(_arrow.timestamp("us", "UTC")).cast("int64").to_pylist()
        yield [row for name, found in runs.items() for row in found.rows(_ticks(table, name, at_us))]


def _ticks(table: Any, appliance: str, at_us: Sequence[int]) -> Iterator[Tick]:
    probability, running, power_w = (table.column(f"{appliance}_{what}").to_pylist() for what in ("probability", "running", "power_w"))
    for at, chance, runs, watts in zip(at_us, probability, running, power_w, strict=True):
        yield Tick(at, math.nan if chance is None else chance, bool(runs), watts or 0.0)
