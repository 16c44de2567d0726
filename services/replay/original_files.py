"""The files that UK-DALE, REFIT and REDD are published as, read into recordings. Nothing is resampled or filled in."""

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

_WHOLE = ("aggregate", "mains")
_SPELLINGS = {"dish_washer": "dishwasher", "dishwaser": "dishwasher", "refrigerator": "fridge", "fridge_freezer": "fridge"}

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


def read_house(house: Path, names: Mapping[str, str]) -> Recording:
    """A house's folder of UK-DALE or of REDD's `low_freq`: `labels.dat`, and `channel_<n>.dat` (seconds, watts) for each label.

    The home is UK-DALE's `mains.dat` (seconds, active W, apparent VA, volts) where it was measured, else the channel that is labelled
    `aggregate`, or REDD's channels `mains`, one for each half of an American supply. Channels of one label are one appliance.

    Args:
        house: the folder.
        names: what to call which label, such as `{"washer_dryer": "washing_machine"}`; common spellings are mended without.

    Raises:
        UnusableRecording: a file is missing or malformed.
    """
    channels = _labels(house / "labels.dat")
    absent = [name for name in names if name not in channels]
    if absent:
        raise UnusableRecording(f"{house} has no channel labelled {absent[0]}; it has {', '.join(channels)}")
    whole = [house / "mains.dat"] if (house / "mains.dat").exists() else [path for name in _WHOLE for path in channels.get(name, [])]
    if not whole:
        raise UnusableRecording(f"{house} has neither mains.dat nor a channel with the label 'aggregate' or 'mains'")
    at_us, mains_w = _channel(whole[0])
    mains_w = mains_w + _together(at_us, whole[1:])
    known = {label: paths for label, paths in channels.items() if label not in _WHOLE}
    appliances = {{**_SPELLINGS, **names}.get(label, label): _together(at_us, paths) for label, paths in known.items()}
    return Recording(at_us, mains_w, appliances)


def _labels(path: Path) -> dict[str, list[Path]]:
    """The channels of each label, in the file's order."""
    channels: dict[str, list[Path]] = {}
    try:
        for line in filter(str.strip, path.read_text(encoding="utf-8").splitlines()):
            channel, label = line.split(maxsplit=1)
            channels.setdefault(label.strip().replace(" ", "_"), []).append(path.parent / f"channel_{channel}.dat")
    except (OSError, ValueError) as error:
        raise UnusableRecording(f"{path} can't be read: {error}; give the house's folder, such as ukdale/house_1") from None
    return channels


def _together(at_us: Times, paths: list[Path]) -> Watts:
    """The sum of what the channels say at each time; NaN where one of them says nothing."""
    total = np.zeros(len(at_us), np.float32)
    for path in paths:
        total += _held(at_us, *_channel(path))
    return total


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
