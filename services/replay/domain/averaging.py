"""Readings that come when they come, as means on an even clock."""

import numpy as np
import numpy.typing as npt

from services.replay.domain.recording import Recording

_US = 1_000_000


def averaged(recording: Recording, interval_s: int) -> Recording:
    """Means of the readings of every `interval_s` seconds, at the end of each: no row knows what comes after it.

    Where nothing was read for a whole interval, its row is a gap (NaN).
    """
    step_us = interval_s * _US
    tick = -(-recording.at_us // step_us)
    place = (tick - tick[0]).astype(np.int64)
    at_us = (tick[0] + np.arange(int(place[-1]) + 1)) * step_us
    appliances = {name: _means(place, watts) for name, watts in recording.appliances_w.items()}
    return Recording(at_us, _means(place, recording.mains_w), appliances)


def _means(place: npt.NDArray[np.int64], watts: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    known, size = np.isfinite(watts), int(place[-1]) + 1
    count = np.bincount(place[known], minlength=size)
    total = np.bincount(place[known], watts[known].astype(np.float64), size)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
