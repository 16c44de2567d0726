"""Where in a recording to begin: two minutes before an appliance starts, with much to see after it."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from services.replay.domain.recording import Recording, from_us

LEAD = timedelta(minutes=2)

_MINUTE_US = 60_000_000
_SHOWN_US = 18 * _MINUTE_US
_LONGEST_GAP_US = 2 * _MINUTE_US
_QUIET_US = 10 * _MINUTE_US
_ON_W: Mapping[str, float] = {"kettle": 1_000, "microwave": 300, "toaster": 400, "dishwasher": 500, "washing_machine": 300}
_ANY_ON_W = 50.0
_QUICK = ("kettle", "microwave", "toaster")
"""Appliances that a meter knows within seconds."""
_ALWAYS_ABOUT = ("fridge", "freezer")
_STEP_W = 1_000.0

Times = npt.NDArray[np.int64]


def demo_start(recording: Recording) -> datetime:
    """Two minutes before a quick appliance starts in a quiet home, where most different appliances start soon after.

    Without appliance columns: two minutes before the first rise of 1 kW. Without that either: the beginning.
    """
    starts = {name: _starts(recording, name) for name in recording.appliances_w}
    quick = np.sort(np.concatenate([starts[name] for name in starts if name.startswith(_QUICK)] or [np.empty(0, np.int64)]))
    read_us, busy_us = recording.at_us[np.isfinite(recording.mains_w)], _busy(recording)
    usable = [at_us for at_us in quick if _is_whole(read_us, at_us)]
    quiet = [at_us for at_us in usable if not _any_within(busy_us, at_us - 5 * _MINUTE_US, at_us)]
    best = max(quiet or usable, key=lambda at_us: _variety(starts.values(), at_us), default=None)
    chosen_us = _first_step(recording) if best is None else best
    return recording.first if chosen_us is None else max(recording.first, from_us(chosen_us) - LEAD)


def _on(recording: Recording, name: str) -> npt.NDArray[np.bool_]:
    threshold_w = next((watts for start, watts in _ON_W.items() if name.startswith(start)), _ANY_ON_W)
    return np.nan_to_num(recording.appliances_w[name]) > threshold_w


def _starts(recording: Recording, name: str) -> Times:
    """When it comes on after ten minutes off."""
    on_us = recording.at_us[_on(recording, name)]
    return on_us[np.diff(on_us, prepend=np.int64(-_QUIET_US)) >= _QUIET_US]


def _busy(recording: Recording) -> Times:
    """The times at which something runs, save what runs at all hours."""
    counted = [_on(recording, name) for name in recording.appliances_w if not name.startswith(_ALWAYS_ABOUT)]
    return recording.at_us[np.logical_or.reduce(counted)] if counted else np.empty(0, np.int64)


def _is_whole(read_us: Times, at_us: int) -> bool:
    """No gap of more than two minutes from two minutes before to eighteen after."""
    first, last = np.searchsorted(read_us, [at_us - 2 * _MINUTE_US, at_us + _SHOWN_US])
    edges = np.concatenate([[at_us - 2 * _MINUTE_US], read_us[first:last], [at_us + _SHOWN_US]])
    return bool(np.diff(edges).max() <= _LONGEST_GAP_US)


def _any_within(times_us: Times, start_us: int, end_us: int) -> bool:
    first, last = np.searchsorted(times_us, [start_us, end_us])
    return bool(last > first)


def _variety(starts: Iterable[Times], at_us: int) -> int:
    return sum(_any_within(times_us, at_us, at_us + _SHOWN_US) for times_us in starts)


def _first_step(recording: Recording) -> int | None:
    rises = np.flatnonzero(np.diff(np.nan_to_num(recording.mains_w, nan=np.inf)) >= _STEP_W)
    finite = rises[np.isfinite(recording.mains_w[rises + 1])] if len(rises) else rises
    return int(recording.at_us[finite[0] + 1]) if len(finite) else None
