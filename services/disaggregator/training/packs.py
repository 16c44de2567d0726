"""Reads the recorded homes (Parquet packs) onto a model's clock, with the excluded days taken out."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from services.disaggregator.training.kettles import recognised

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
        Pack("gjw_house1_mains_only_irregular", "GJW 1", 6),
    )
}

# The demo replays these days of REFIT 2; a model that saw them would only recite them.
DEMO_HOME = "REFIT 2"
DEMO_DAYS = ("2015-01-04", "2015-01-17")
LONGEST_HELD_S = 20
LONGEST_UNCHANGED_S = 120
"""A meter that tells changes only is silent as long where nothing changes; longer is a gap."""
LOGGED_ON_CHANGE = "gjw_house1_mains_only_irregular"
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


def read(folder: Path, file: str) -> Recording:
    """Read one pack as it is; the demo's days become a gap.

    Where a fast pack metered no kettle, `truth_w["kettle"]` is what can be read off its mains.
    """
    table = pq.read_table(folder / f"{file}.parquet")
    if file == LOGGED_ON_CHANGE:
        return _read_changes(table, PACKS[file])
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
    if recording.period_s < 10 and "kettle" not in recording.truth_w:
        recording.truth_w["kettle"] = recognised(recording.mains_w, recording.period_s)
    return cut_demo(recording)


def _read_changes(table: "pq.Table", pack: Pack) -> Recording:
    """A meter that tells changes only: means over each tick, a value holding until the next."""
    times_s = table["timestamp_naive"].to_numpy().astype("datetime64[s]").astype(np.int64)
    change = np.append(np.diff(times_s), 1) > 0
    times_s, power_w = times_s[change], table["mains"].to_numpy()[change].astype(np.float64)
    known = np.append(np.diff(times_s) <= LONGEST_UNCHANGED_S, False)
    edges = np.arange(times_s[0], times_s[-1], pack.period_s, dtype=np.float64)
    lasting_s = np.diff(times_s, append=times_s[-1])
    seconds, energy_ws = (
        np.diff(np.interp(edges, times_s, np.concatenate(([0.0], np.cumsum(each * lasting_s * known)[:-1]))))
        for each in (np.ones_like(power_w), power_w)
    )
    mains_w = np.where(seconds > 0.9 * pack.period_s, energy_ws / np.maximum(seconds, 1e-9), np.nan).astype(np.float32)
    truth_w = {"kettle": recognised(mains_w, pack.period_s)}
    return Recording(pack.home, pack.file, pack.period_s, float(times_s[0]), mains_w, truth_w)


def sharpen(recording: Recording, appliance: str, least_w: float) -> None:
    """Put an appliance that is only known as means over 30 s where the mains steps up to at least `least_w`, and to its power."""
    power_w, mains_w = recording.truth_w[appliance], recording.mains_w
    known = np.flatnonzero(np.nan_to_num(power_w) > 200)
    sharp = np.where(np.isfinite(power_w), np.float32(0), np.float32(np.nan))
    for group in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        first, last, peak = max(0, group[0] - 3), group[-1] + 4, np.nanmax(power_w[group])
        base = np.nanmin(np.append(mains_w[max(0, first - 4) : last + 4], np.inf))
        excess = mains_w[first:last] - base
        full = excess > max(least_w, 0.88 * peak)
        sharp[first:last] = np.where(full, np.minimum(excess, peak * 1.08), sharp[first:last])
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


def latest(recording: Recording, days: float) -> Recording:
    """The last days of a recording, gaps not counted."""
    left = np.cumsum(np.isfinite(recording.mains_w)[::-1])[::-1] * recording.period_s
    first = int(np.argmax(left <= days * DAY_S))
    truth_w = {name: power_w[first:] for name, power_w in recording.truth_w.items()}
    start_s = recording.start_s + first * recording.period_s
    return Recording(recording.home, recording.pack, recording.period_s, start_s, recording.mains_w[first:], truth_w)


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
