"""Recorded homes as Parquet files: read, and what was said about them written."""

from collections.abc import Mapping
from csv import writer
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as untyped_parquet  # pyright: ignore[reportMissingTypeStubs]

from services.disaggregator.domain.network import Floats
from services.disaggregator.domain.tracking import Event
from services.disaggregator.history import History, Times

arrow: Any = pa
parquet: Any = untyped_parquet

_BETWEEN_SEGMENTS_S = 86_400.0


class UnusableRecording(Exception):
    """A file that can't be read as a recorded home; the message says what is missing."""


@dataclass(frozen=True)
class Recording:
    """A home: times in seconds since 1970, and the power in W of each column, [samples]; NaN is a gap."""

    name: str
    times_s: Times
    columns: Mapping[str, Floats]

    @property
    def mains_w(self) -> Floats:
        """The whole home."""
        return self.columns["mains"]


def read(path: Path, interval_s: float | None = None) -> Recording:
    """Read a Parquet file: a time column or index, `mains` in W, and perhaps appliances in W.

    Args:
        path: the file.
        interval_s: the time between rows, for files without times.

    Raises:
        UnusableRecording: it is not Parquet, or has no mains, or no times.
    """
    try:
        table = parquet.read_table(path)
    except (OSError, arrow.ArrowInvalid) as error:
        raise UnusableRecording(f"{path}: this can't be read as Parquet: {error}") from None
    if "mains" not in table.column_names:
        raise UnusableRecording(f"{path}: there is no column 'mains', the home's power in W; there are {', '.join(table.column_names)}")
    if table.num_rows < 2:
        raise UnusableRecording(f"{path}: there are fewer than two rows: nothing shows how far they are apart")
    columns = {name: _watts(table[name]) for name in table.column_names if _is_number(table[name].type)}
    return Recording(path.stem, _times_s(path, table, interval_s), columns)


def _times_s(path: Path, table: Any, interval_s: float | None) -> Times:
    timed = [name for name in table.column_names if arrow.types.is_timestamp(table[name].type)]
    if timed:
        name = "timestamp" if "timestamp" in timed else timed[0]
        nanoseconds = table[name].cast(arrow.timestamp("ns", table[name].type.tz)).to_numpy().astype(np.int64)
        return nanoseconds / 1e9
    if interval_s is None:
        raise UnusableRecording(f"{path}: there is no column of times; say how far its rows are apart with --interval SECONDS")
    times_s = np.arange(table.num_rows, dtype=np.float64) * interval_s
    if "segment" in table.column_names:
        times_s += _BETWEEN_SEGMENTS_S * table["segment"].to_numpy()
    return times_s


def _is_number(kind: Any) -> bool:
    return bool(arrow.types.is_floating(kind) or arrow.types.is_integer(kind))


def _watts(column: Any) -> Floats:
    return np.asarray(column.to_numpy(), np.float32)


def write_history(path: Path, history: History) -> None:
    """One row a tick: `timestamp`, and five columns an appliance."""
    columns: dict[str, Any] = {"timestamp": _timestamps(history.times_s)}
    for number, name in enumerate(history.appliances):
        columns[f"{name}_probability"] = history.probability[:, number]
        columns[f"{name}_running"] = history.running[:, number].astype(np.int8)
        columns[f"{name}_power_w"] = history.power_w[:, number]
        columns[f"{name}_running_corrected"] = history.running_corrected[:, number].astype(np.int8)
        columns[f"{name}_power_w_corrected"] = history.power_w_corrected[:, number]
    parquet.write_table(arrow.table(columns), path, compression="zstd")


def _timestamps(times_s: Times) -> Any:
    return arrow.array(np.round(times_s * 1e6).astype(np.int64)).cast(arrow.timestamp("us", "UTC"))


def write_events(path: Path, events: tuple[Event, ...]) -> None:
    """CSV: `appliance,kind,at,announced_at,confidence`."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = writer(file)
        rows.writerow(("appliance", "kind", "at", "announced_at", "confidence"))
        rows.writerows(
            (event.appliance, event.kind, _iso(event.at_s), _iso(event.announced_s), f"{event.confidence:.4f}") for event in events
        )


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat()
