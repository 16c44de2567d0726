"""The files that UK-DALE and REFIT are published as, read into recordings. Nothing is resampled or filled in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.csv as pacsv  # pyright: ignore[reportMissingTypeStubs]

from services.replay.domain.recording import Recording, UnusableRecording

_arrow: Any = pa
_csv: Any = pacsv
_LONGEST_AGE_US = 60_000_000
"""A UK-DALE channel's value stands for the mains reading that follows within a minute; plugs answer when they can."""

Times = npt.NDArray[np.int64]
Watts = npt.NDArray[np.float32]


def read_refit(path: Path, appliances: Mapping[str, str]) -> Recording:
    """A home of REFIT's cleaned data, `CLEAN_House2.csv`: Time, Unix, Aggregate, Appliance1 … Appliance9, Issues.

    Args:
        path: the file.
        appliances: what to call which column, such as `{"Appliance8": "kettle"}`.

    Raises:
        UnusableRecording: a column is missing, or the file is no CSV.
    """
    table = _table(path, _csv.ParseOptions(), _csv.ReadOptions())
    absent = [name for name in ("Unix", "Aggregate", *appliances) if name not in table.column_names]
    if absent:
        raise UnusableRecording(f"{path} has no column {absent[0]}; it has {', '.join(table.column_names)}")
    at_us = np.asarray(table["Unix"].to_numpy(), dtype=np.int64) * 1_000_000
    order = _ordered(at_us)
    named = {name: _column(table, column)[order] for column, name in appliances.items()}
    return Recording(at_us[order], _column(table, "Aggregate")[order], named)


def read_uk_dale(house: Path) -> Recording:
    """A house's folder of UK-DALE: `labels.dat`, `channel_<n>.dat` (seconds, watts), and `mains.dat` where it was measured.

    `mains.dat` (seconds, active W, apparent VA, volts) goes before the channel that is labelled `aggregate`.

    Raises:
        UnusableRecording: a file is missing or malformed.
    """
    labels = _labels(house / "labels.dat")
    aggregate = next((channel for channel, label in labels.items() if label == "aggregate"), None)
    mains = house / "mains.dat" if (house / "mains.dat").exists() else house / f"channel_{aggregate}.dat"
    if aggregate is None and mains.name != "mains.dat":
        raise UnusableRecording(f"{house} has neither mains.dat nor a channel with the label 'aggregate'")
    at_us, mains_w = _channel(mains)
    others = {label: channel for channel, label in labels.items() if channel != aggregate}
    appliances = {label: _held(at_us, *_channel(house / f"channel_{channel}.dat")) for label, channel in others.items()}
    return Recording(at_us, mains_w, appliances)


def _labels(path: Path) -> dict[str, str]:
    try:
        pairs = [line.split(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {channel: label.strip().replace(" ", "_") for channel, label in pairs}
    except (OSError, ValueError) as error:
        raise UnusableRecording(f"{path} can't be read: {error}; give the house's folder, such as ukdale/house_1") from None


def _channel(path: Path) -> tuple[Times, Watts]:
    table: Any = _table(path, _csv.ParseOptions(delimiter=" "), _csv.ReadOptions(autogenerate_column_names=True))
    if table.num_columns < 2:
        raise UnusableRecording(f"{path} has no second column; a channel holds seconds and watts")
    at_us = np.round(np.asarray(table["f0"].to_numpy(), dtype=np.float64) * 1e6).astype(np.int64)
    order = _ordered(at_us)
    return at_us[order], _column(table, "f1")[order]


def _table(path: Path, parse: Any, read: Any) -> Any:
    try:
        return _csv.read_csv(path, read_options=read, parse_options=parse)
    except (OSError, ValueError) as error:
        raise UnusableRecording(f"{path} can't be read: {error}") from None


def _column(table: Any, name: str) -> Watts:
    try:
        return table[name].cast(_arrow.float32()).to_numpy()
    except (ValueError, NotImplementedError) as error:
        raise UnusableRecording(f"the column {name} holds something else than numbers: {error}") from None


def _ordered(at_us: Times) -> npt.NDArray[np.intp]:
    """The rows in order of time; of those that share one, the last."""
    order = np.argsort(at_us, kind="stable")
    last = np.append(np.diff(at_us[order]) > 0, True)
    return order[last]


def _held(at_us: Times, channel_us: Times, watts: Watts) -> Watts:
    """The newest value at each time; NaN where it is older than a minute."""
    place = np.searchsorted(channel_us, at_us, side="right") - 1
    known = (place >= 0) & (at_us - channel_us[place] <= _LONGEST_AGE_US)
    return np.where(known, watts[place], np.float32(np.nan)).astype(np.float32)
