"""What the network sees of the mains: one definition, run by NumPy in training and by TensorFlow in the export.

Everything is causal and carried from sample to sample in a small memory, so that the exported graph computes it itself.
"""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from services.disaggregator.training.packs import Floats

NUMPY = SimpleNamespace(
    minimum=np.minimum, maximum=np.maximum, where=np.where, log1p=lambda x: np.log(x + np.float32(1)), abs=np.abs, sign=np.sign, stack=np.stack
)
MEMORY = ("seen", "previous", "baseline", "heating_s", "last_heating_s", "since_heating", "short", "long", "agitation", "rises")
FEATURES = 14
HEATER_W = 1400.0
BASELINE_RISE_W_PER_H = 100.0
MOST_W = 12_000.0


def advance(power: Any, memory: list[Any], period_s: float, xp: SimpleNamespace) -> tuple[Any, list[Any]]:
    """One sample: `power` [homes] W and the memory's columns, each [homes] -> features [homes, FEATURES], memory."""
    power = xp.minimum(xp.maximum(power, 0.0), MOST_W)
    seen = memory[0] > 0.5
    zero = power * 0.0
    previous = xp.where(seen, memory[1], power)
    baseline = xp.where(seen, xp.minimum(power, memory[2] + BASELINE_RISE_W_PER_H * period_s / 3600), power)
    heating_s, last_heating_s, since, short, long, agitation, rises = memory[3:]
    excess = power - baseline
    step = power - previous
    hot = excess > HEATER_W
    last_heating_s = xp.where(hot, heating_s + period_s, last_heating_s)
    heating_s = xp.where(hot, heating_s + period_s, zero)
    since = xp.where(hot, zero + 1.0, since * math.exp(-period_s / 1200))
    short = _blend(short, excess, 300, period_s)
    long = _blend(long, excess, 2400, period_s)
    agitation = _blend(agitation, xp.minimum(xp.abs(step), 300.0), 300, period_s)
    rises = rises * math.exp(-period_s / 3600) + xp.where(step > 1200.0, zero + 1.0, zero)
    shown = [
        xp.log1p(power) / 8,
        power / 3000,
        xp.minimum(xp.maximum(step / 1500, -2.0), 2.0),
        xp.sign(step) * xp.log1p(xp.abs(step)) / 8,
        xp.log1p(excess) / 8,
        xp.minimum(excess / 3000, 2.0),
        xp.log1p(baseline) / 8,
        xp.log1p(heating_s / 30) / 5,
        xp.log1p(last_heating_s / 30) / 5,
        since,
        xp.log1p(short) / 8,
        xp.log1p(long) / 8,
        xp.log1p(agitation) / 5,
        rises / 4,
    ]
    kept = [zero + 1.0, power, baseline, heating_s, last_heating_s, since, short, long, agitation, rises]
    return xp.stack(shown, -1), kept


def _blend(mean: Any, value: Any, time_s: float, period_s: float) -> Any:
    share = 1 - math.exp(-period_s / time_s)
    return mean * (1 - share) + value * share


def over_sequences(power_w: Floats, period_s: float) -> Floats:
    """Features [sequences, samples, FEATURES] of `power_w` [sequences, samples]; each sequence starts anew."""
    memory: list[Any] = [np.zeros(len(power_w), np.float32) for _ in MEMORY]
    out = np.empty((*power_w.shape, FEATURES), np.float32)
    for index in range(power_w.shape[1]):
        out[:, index], memory = advance(power_w[:, index], memory, period_s, NUMPY)
    return out


def look_back(power_w: Floats, lag: int) -> Floats:
    """The samples round t - lag that are known at t, [sequences, samples, window], as `shown_window` sees them."""
    power_w = np.clip(power_w, 0, MOST_W)
    ages = window_ages(lag)
    index = np.arange(power_w.shape[1])
    window = np.stack([power_w[:, np.maximum(index - age, 0)] for age in ages], -1)
    return shown_window(window, NUMPY, np.concatenate)


def window_ages(lag: int) -> list[int]:
    """How many samples ago each member of the window lies: two before the moment spoken of, up to three after."""
    return [lag + offset for offset in (2, 1, 0, -1, -2, -3) if lag + offset >= 0]


def shown_window(window: Any, xp: SimpleNamespace, concatenate: Any) -> Any:
    """Watts [..., window] -> what a head sees of them [..., 2 * window]."""
    return concatenate([window / 3000, xp.log1p(window) / 8], -1)
