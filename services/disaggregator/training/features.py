"""What the network sees of the mains: one definition, run by NumPy in training and by TensorFlow in the export.

Everything is causal and carried from sample to sample, so that the exported graph computes it itself; it is written in
few operations on small vectors, since at one home each operation of the graph costs about a microsecond.
"""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from services.disaggregator.training.packs import Floats

NUMPY = SimpleNamespace(
    minimum=np.minimum,
    maximum=np.maximum,
    log=np.log,
    abs=np.abs,
    concat=np.concatenate,
    number=lambda flags: flags.astype(np.float32),
)
FEATURES = 22
MEMORY = (1, 1, 1, 1, 4)  # seen; half minutes of heating now, of the last long block, since that block; running means
HEATER_W = 1400.0
LONG_BLOCK = 10.0
"""Half minutes from which heating is no kettle's but a cycle's (or an oven's)."""
BASELINE_RISE_W_PER_H = 100.0
MOST_W = 12_000.0
MEAN_TIMES_S = (300.0, 2400.0, 300.0, 1800.0)
MEAN_UNITS = (1.0, 1.0, 1.0, 1000.0)
LOG_SCALES = (0.125, 0.125, 0.125, 0.2, 0.2, 0.125, 0.125, 0.125, 0.2, 0.125)
LINEAR_SCALES = (1 / 3000, 1 / 3000, 1 / 3000, 0.05, 0.05, 0.01, 1 / 1000, 1 / 1000, 1 / 100, 1 / 1000)
STEP_SCALES = (1 / 1500, 1 / 100)


Memory = tuple[Any, Any, Any, Any, Any]
Said = tuple[Any, Memory, tuple[Any, Any]]


def advance(power: Any, memory: Memory, past: Any, period_s: float, xp: SimpleNamespace) -> Said:
    """One sample of several homes.

    Args:
        power: W, [homes, 1].
        memory: what `advance` gave for the sample before, zeros at a reset: [homes, size] for each of MEMORY's sizes.
        past: the baseline, then earlier powers, newest first, W, [homes, 1 + ring].
        period_s: seconds between samples.
        xp: NUMPY or its TensorFlow twin.

    Returns:
        features [homes, FEATURES], memory, (baseline, `past` as it has to be seen now: all of it `power` after a reset).
    """
    seen, heating, block, since, means = memory
    past = past + (1.0 - seen) * power
    baseline = xp.minimum(past[:, :1], power)
    excess, step = power - baseline, power - past[:, 1:2]
    size = xp.abs(step)
    hot = xp.number(excess > HEATER_W)
    heating = (heating + np.float32(period_s / 30)) * hot
    long = xp.number(heating >= LONG_BLOCK)
    block, since = block + long * (heating - block), (since + np.float32(period_s / 30)) * (1.0 - long)
    shares = np.array([[1 - math.exp(-period_s / time_s) for time_s in MEAN_TIMES_S]], np.float32)
    now = xp.concat([excess, excess, xp.minimum(size, 300.0), hot], 1)
    means = means * (1 - shares) + now * (shares * np.array([MEAN_UNITS], np.float32))
    shown = xp.concat([power, excess, size, heating, block, since, means], 1)
    logs = xp.log(shown + 1.0) * np.array([LOG_SCALES], np.float32)
    linear = xp.minimum(shown * np.array([LINEAR_SCALES], np.float32), 3.0)
    steps = xp.minimum(xp.maximum(step * np.array([STEP_SCALES], np.float32), -2.0), 2.0)
    return xp.concat([logs, linear, steps], 1), (power * 0.0 + 1.0, heating, block, since, means), (baseline, past)


def baseline_next(baseline: Any, period_s: float) -> Any:
    """The baseline climbs slowly until the power falls below it."""
    return baseline + np.float32(BASELINE_RISE_W_PER_H * period_s / 3600)


def over_sequences(power_w: Floats, period_s: float) -> Floats:
    """Features [sequences, samples, FEATURES] of `power_w` [sequences, samples]; each sequence starts anew."""
    power_w = np.clip(power_w, 0, MOST_W)
    memory: Any = tuple(np.zeros((len(power_w), size), np.float32) for size in MEMORY)
    past = np.zeros((len(power_w), 2), np.float32)
    out = np.empty((*power_w.shape, FEATURES), np.float32)
    for index in range(power_w.shape[1]):
        power = power_w[:, index : index + 1]
        out[:, index], memory, (baseline, _) = advance(power, memory, past, period_s, NUMPY)
        past = np.concatenate([baseline_next(baseline, period_s), power], 1)
    return out


def window_ages(lags: tuple[int, ...]) -> list[int]:
    """How many samples ago lies what the heads see: from three after to two before each moment spoken of."""
    return sorted({lag + offset for lag in lags for offset in (-3, -2, -1, 0, 1, 2) if lag + offset >= 0})


def look_back(power_w: Floats, lags: tuple[int, ...]) -> Floats:
    """The recent samples as the heads see them, [sequences, samples, 2 * window]."""
    power_w = np.clip(power_w, 0, MOST_W)
    index = np.arange(power_w.shape[1])
    window = np.stack([power_w[:, np.maximum(index - age, 0)] for age in window_ages(lags)], -1)
    return shown_window(window, NUMPY)


def shown_window(window: Any, xp: SimpleNamespace) -> Any:
    """Watts [..., window] -> what the heads see of them [..., 2 * window]."""
    return xp.concat([window * np.float32(1 / 3000), xp.log(window + 1.0) * np.float32(0.125)], -1)
