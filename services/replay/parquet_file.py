"""Recordings in Parquet: a column `timestamp` (UTC), `mains` in W, and a column per appliance that was measured too."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.compute as pc  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as pq  # pyright: ignore[reportMissingTypeStubs]

from services.replay.domain.recording import Recording, UnusableRecording

_TIMES = ("timestamp", "timestamp_naive")
_NOT_APPLIANCES = (*_TIMES, "mains", "mains_apparent")
_arrow: Any = pa
_compute: Any = pc
_parquet: Any = pq


def read_recording(path: Path) -> Recording:
    """Read a recording. Times without a zone are UTC.

    Raises:
        UnusableRecording: it is no Parquet file, or lacks a column.
    """
    try:
        table: Any = _parquet.read_table(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise UnusableRecording(f"{path} can't be read: {error}; give a Parquet file, such as `hems convert` makes") from None
    names: list[str] = table.column_names
    time = next((name for name in _TIMES if name in names), None)
    if time is None or "mains" not in names:
        raise UnusableRecording(f"{path} has the columns {', '.join(names)}; a recording needs 'timestamp' and 'mains'")
    if not _arrow.types.is_timestamp(table.schema.field(time).type):
        raise UnusableRecording(f"{path}: the column '{time}' holds no times")
    at_us = _compute.cast(table[time], _arrow.timestamp("us", tz=table.schema.field(time).type.tz), safe=False).cast("int64")
    appliances = {name: _watts(table[name]) for name in names if name not in _NOT_APPLIANCES}
    return Recording(at_us.to_numpy(), _watts(table["mains"]), appliances)


def write_recording(path: Path, recording: Recording) -> None:
    """Write a recording, packed tightly."""
    columns = {"mains": recording.mains_w, **recording.appliances_w}
    arrays = [_arrow.array(recording.at_us).cast(_arrow.timestamp("us", tz="UTC"))]
    arrays += [_arrow.array(values, type=_arrow.float32()) for values in columns.values()]
    _parquet.write_table(_arrow.table(arrays, names=["timestamp", *columns]), path, compression="zstd", compression_level=19)


def _watts(column: Any) -> npt.NDArray[np.float32]:
    return column.to_numpy().astype(np.float32, copy=False)
