"""What the network sees of the mains. Everything is causal and carried from sample to sample.

The exported graph says the same in fewer operations (`stages.py`); the export is held against what stands here.
"""

import math
from collections.abc import Sequence

import numpy as np

from services.disaggregator.training.packs import Floats

FEATURES = 22
MEMORY = (1, 1, 1, 1, 4)  # seen; half minutes of heating now, of the last long block, since that block; running means
HEATER_W = 1400.0
LONG_BLOCK = 10.0
"""Half minutes from which heating is no kettle's but a cycle's (or an oven's)."""
BASELINE_RISE_W_PER_H = 100.0
SINCE = 5
"""The feature that is the logarithm of the time since the last long block."""
QUIET_H = (1.0, 4.0)
"""Hours without a long block until a home is quiet: not at all, and wholly."""
MOST_W = 12_000.0
MEAN_TIMES_S = (300.0, 2400.0, 300.0, 1800.0)
MEAN_UNITS = (1.0, 1.0, 1.0, 1000.0)
LOG_SCALES = (0.125, 0.125, 0.125, 0.2, 0.2, 0.125, 0.125, 0.125, 0.2, 0.125)
LINEAR_SCALES = (1 / 3000, 1 / 3000, 1 / 3000, 0.05, 0.05, 0.01, 1 / 1000, 1 / 1000, 1 / 100, 1 / 1000)
STEP_SCALES = (1 / 1500, 1 / 100)
MOST_LINEAR, MOST_STEP = 3.0, 2.0
MOST_MEAN_STEP_W = 300.0
WINDOW_SCALES = (1 / 3000, 0.125)
"""Of the recent samples as they are, and of their logarithms."""


Memory = tuple[Floats, Floats, Floats, Floats, Floats]
Said = tuple[Floats, Memory, Floats]


def shares(period_s: float) -> Floats:
    """How much of each running mean a sample replaces, [means]."""
    return np.array([1 - math.exp(-period_s / time_s) for time_s in MEAN_TIMES_S], np.float32)


def advance(power: Floats, memory: Memory, past: Floats, period_s: float) -> Said:
    """One sample of several homes.

    Args:
        power: W, [homes, 1].
        memory: what `advance` gave for the sample before, zeros at a reset: [homes, size] for each of MEMORY's sizes.
        past: the baseline and the power of the sample before, W, [homes, 2].
        period_s: seconds between samples.

    Returns:
        features [homes, FEATURES], memory, baseline.
    """
    seen, heating, block, since, means = memory
    past = past + (1 - seen) * power
    baseline = np.minimum(past[:, :1], power)
    excess, step = power - baseline, power - past[:, 1:]
    size = np.abs(step)
    hot = (excess > HEATER_W).astype(np.float32)
    heating = (heating + np.float32(period_s / 30)) * hot
    long = (heating >= LONG_BLOCK).astype(np.float32)
    block, since = block + long * (heating - block), (since + np.float32(period_s / 30)) * (1 - long)
    share = shares(period_s)
    now = np.concatenate([excess, excess, np.minimum(size, MOST_MEAN_STEP_W), hot], 1)
    means = means * (1 - share) + now * (share * np.array(MEAN_UNITS, np.float32))
    shown = np.concatenate([power, excess, size, heating, block, since, means], 1)
    logs = np.log(shown + 1) * np.array(LOG_SCALES, np.float32)
    linear = np.minimum(shown * np.array(LINEAR_SCALES, np.float32), MOST_LINEAR)
    steps = np.clip(step * np.array(STEP_SCALES, np.float32), -MOST_STEP, MOST_STEP)
    features = np.concatenate([logs, linear, steps], 1)
    return features, (np.ones_like(seen), heating, block, since, means), baseline


def rise_w(period_s: float) -> np.float32:
    """The baseline climbs slowly until the power falls below it: by so much a sample."""
    return np.float32(BASELINE_RISE_W_PER_H * period_s / 3600)


def over_sequences(power_w: Floats, period_s: float) -> Floats:
    """Features [sequences, samples, FEATURES] of `power_w` [sequences, samples]; each sequence starts anew."""
    power_w = np.clip(power_w, 0, MOST_W)
    seen, heating, block, since, means = (np.zeros((len(power_w), size), np.float32) for size in MEMORY)
    memory: Memory = (seen, heating, block, since, means)
    past = np.zeros((len(power_w), 2), np.float32)
    out = np.empty((*power_w.shape, FEATURES), np.float32)
    for index in range(power_w.shape[1]):
        power = power_w[:, index : index + 1]
        out[:, index], memory, baseline = advance(power, memory, past, period_s)
        past = np.concatenate([baseline + rise_w(period_s), power], 1)
    return out


def quiet_logs() -> tuple[float, float]:
    """QUIET_H as the feature SINCE has them, before its scale: logarithms of half minutes."""
    begins, whole = (math.log(hours * 120 + 1) for hours in QUIET_H)
    return begins, whole


def quiet(features: Floats) -> Floats:
    """How long nothing has heated, by its logarithm, from 0 to 1: of features [..., FEATURES]."""
    begins, whole = quiet_logs()
    return np.clip((features[..., SINCE] / np.float32(LOG_SCALES[SINCE]) - begins) / (whole - begins), 0, 1).astype(np.float32)


def window_ages(lags: tuple[int, ...], whole: bool = False) -> list[int]:
    """How many samples ago lies what the heads see: from three after to two before each moment spoken of, or the whole time."""
    if whole:
        return list(range(max(lags) + 3))
    return sorted({lag + offset for lag in lags for offset in (-3, -2, -1, 0, 1, 2) if lag + offset >= 0})


def look_back(power_w: Floats, ages: Sequence[int]) -> Floats:
    """The recent samples, of these ages, as the heads see them, [sequences, samples, 2 * window]."""
    power_w = np.clip(power_w, 0, MOST_W)
    index = np.arange(power_w.shape[1])
    window = np.stack([power_w[:, np.maximum(index - age, 0)] for age in ages], -1)
    linear, logs = WINDOW_SCALES
    return np.concatenate([window * np.float32(linear), np.log(window + 1) * np.float32(logs)], -1)
