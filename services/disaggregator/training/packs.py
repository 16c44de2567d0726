"""Reads the recorded homes (Parquet packs) onto a model's clock, with the excluded days taken out."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

Floats = npt.NDArray[np.float32]
DAY_S = 86_400


@dataclass(frozen=True)
class Pack:
    """A file of the data folder: whose home it is and how often it was sampled."""

    file: str
    home: str
    period_s: int


PACKS = {
    pack.file: pack
    for pack in (
        Pack("refit_house2_30s", "REFIT 2", 30),
        Pack("refit_house20_30s", "REFIT 20", 30),
        Pack("refit_house2_8s", "REFIT 2", 8),
        Pack("ukdale_house1_60s", "UK-DALE 1", 60),
        Pack("ukdale_house1_6s_2days", "UK-DALE 1", 6),
        Pack("ukdale_house5_6s_1day", "UK-DALE 5", 6),
        Pack("ukdale_house3_60s_kettle_no_timestamps", "UK-DALE 3", 60),
    )
}

# The demo replays these days of REFIT 2; a model that saw them would only recite them.
DEMO_HOME = "REFIT 2"
DEMO_DAYS = ("2015-01-04", "2015-01-17")
LONGEST_HELD_S = 20
_BLURRED = "_30s_mean"


@dataclass
class Recording:
    """A home on one clock: `mains_w` [samples] and `truth_w[appliance]` [samples], NaN where unknown."""

    home: str
    pack: str
    period_s: int
    start_s: float
    mains_w: Floats
    truth_w: dict[str, Floats] = field(default_factory=dict[str, Floats])

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """Seconds since 1970 of every sample (from an arbitrary day where the pack has no times)."""
        return self.start_s + self.period_s * np.arange(len(self.mains_w), dtype=np.float64)

    @property
    def days(self) -> float:
        """Days of valid mains."""
        return float(np.isfinite(self.mains_w).sum()) * self.period_s / DAY_S


def read(folder: Path, file: str, without_demo: bool = True) -> Recording:
    """Read one pack as it is; the demo's days become a gap unless asked otherwise."""
    table = pq.read_table(folder / f"{file}.parquet")
    times_s = _times_s(table, PACKS[file].period_s)
    grid = _grid(times_s, PACKS[file].period_s)
    columns = {
        name.removesuffix(_BLURRED): _on_grid(table[name].to_numpy(), grid)
        for name in table.column_names
        if name not in ("timestamp", "mains_apparent")
    }
    recording = Recording(PACKS[file].home, file, PACKS[file].period_s, float(times_s[0]), columns.pop("mains"), columns)
    if f"kettle{_BLURRED}" in table.column_names:
        sharpen(recording, "kettle", 1600)
    hold(recording.mains_w, LONGEST_HELD_S // recording.period_s)
    return cut_demo(recording) if without_demo else recording


def sharpen(recording: Recording, appliance: str, least_w: float) -> None:
    """Put an appliance that is only known as means over 30 s where the mains steps by at least `least_w`."""
    power_w, mains_w = recording.truth_w[appliance], recording.mains_w
    known = np.flatnonzero(np.nan_to_num(power_w) > 200)
    sharp = np.where(np.isfinite(power_w), np.float32(0), np.float32(np.nan))
    for group in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        first, last = max(0, group[0] - 3), group[-1] + 4
        base = np.nanmin(np.append(mains_w[max(0, first - 4) : last + 4], np.inf))
        excess = mains_w[first:last] - base
        sharp[first:last] = np.where(excess > least_w, np.minimum(excess, np.nanmax(power_w[group]) * 1.08), sharp[first:last])
    recording.truth_w[appliance] = sharp.astype(np.float32)


def hold(mains_w: Floats, longest: int) -> None:
    """A reading is held for up to `longest` samples that are missing, as the service holds it; longer gaps stay."""
    missing = np.isnan(mains_w)
    steps = np.diff(np.concatenate(([0], missing.astype(np.int8), [0])))
    for start, end in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True):
        if start > 0 and end - start <= longest:
            mains_w[start:end] = mains_w[start - 1]


def cut_demo(recording: Recording) -> Recording:
    """Make a gap of the demo's days in the home that the demo replays."""
    if recording.home == DEMO_HOME:
        first, last = (datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() for day in DEMO_DAYS)
        inside = (recording.times_s >= first) & (recording.times_s < last + DAY_S)
        recording.mains_w[inside] = np.nan
    return recording


def resample(recording: Recording, period_s: int) -> Recording:
    """Put a recording on another clock: means to a slower one, repeated samples to a faster one."""
    if period_s == recording.period_s:
        return recording
    change = _repeat if period_s < recording.period_s else _average
    truth_w = {name: change(power, recording, period_s) for name, power in recording.truth_w.items()}
    mains_w = change(recording.mains_w, recording, period_s)
    return Recording(recording.home, recording.pack, period_s, recording.start_s, mains_w, truth_w)


def _times_s(table: "pq.Table", period_s: int) -> npt.NDArray[np.int64]:
    if "timestamp" not in table.column_names:
        return np.arange(table.num_rows, dtype=np.int64) * period_s
    return table["timestamp"].to_numpy().astype("datetime64[s]").astype(np.int64)


def _grid(times_s: npt.NDArray[np.int64], period_s: int) -> npt.NDArray[np.int64]:
    return np.rint((times_s - times_s[0]) / period_s).astype(np.int64)


def _on_grid(values: npt.NDArray[np.float32], grid: npt.NDArray[np.int64]) -> Floats:
    power = np.full(int(grid[-1]) + 1, np.nan, np.float32)
    power[grid] = values
    return power


def _repeat(power: Floats, recording: Recording, period_s: int) -> Floats:
    return power[np.arange(0, len(power) * recording.period_s, period_s) // recording.period_s]


def _average(power: Floats, recording: Recording, period_s: int) -> Floats:
    """Mean of the samples whose time falls into each tick; NaN where fewer than half are known."""
    times_s = recording.times_s - recording.times_s[0]
    tick = (times_s // period_s).astype(np.int64)
    known = np.isfinite(power)
    count = np.bincount(tick[known], minlength=int(tick[-1]) + 1)
    total = np.bincount(tick[known], weights=power[known], minlength=int(tick[-1]) + 1)
    enough = count * 2 >= max(1, period_s // recording.period_s)
    return np.where(enough, total / np.maximum(count, 1), np.nan).astype(np.float32)
