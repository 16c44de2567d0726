"""What counts as running, and each appliance's activations cut out of the recorded homes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.disaggregator.training.packs import Floats, Recording

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rule:
    """When an appliance counts as on; `scale_w` is a typical draw, for normalising."""

    on_above_w: float
    minimum_on_s: float
    merge_gaps_below_s: float
    scale_w: float


RULES = {
    "kettle": Rule(1000, 12, 0, 2500),
    "microwave": Rule(200, 12, 30, 1000),
    "dishwasher": Rule(10, 1800, 1800, 1000),
    "washing_machine": Rule(20, 1800, 180, 500),
    "fridge": Rule(50, 60, 12, 100),
}
FAST_KETTLE = Rule(2000, 12, 0, 2500)


def rule_of(appliance: str, period_s: int) -> Rule:
    """The rule on this clock: a kettle's 30-s mean falls below what its 6-s power shows."""
    return FAST_KETTLE if appliance == "kettle" and period_s < 10 else RULES[appliance]


def runs(flags: Flags) -> list[tuple[int, int]]:
    """Start and end (exclusive) of every run of True in `flags` [samples]."""
    steps = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return list(zip(np.flatnonzero(steps == 1).tolist(), np.flatnonzero(steps == -1).tolist(), strict=True))


def activations(power_w: Floats, rule: Rule, period_s: int) -> list[tuple[int, int]]:
    """Activations of one appliance: short gaps merged first, then short runs dropped."""
    merged: list[tuple[int, int]] = []
    for start, end in runs(np.nan_to_num(power_w) > rule.on_above_w):
        if merged and (start - merged[-1][1]) * period_s < rule.merge_gaps_below_s:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return [(start, end) for start, end in merged if (end - start) * period_s >= rule.minimum_on_s]


def running(power_w: Floats, rule: Rule, period_s: int) -> Flags:
    """Whether the appliance runs, [samples]."""
    flags = np.zeros(len(power_w), bool)
    for start, end in activations(power_w, rule, period_s):
        flags[start:end] = True
    return flags


def cut(recording: Recording, appliance: str) -> list[Floats]:
    """The appliance's whole activations in W, each [samples]; those that a gap touches are left out."""
    power_w = recording.truth_w[appliance]
    rule = rule_of(appliance, recording.period_s)
    spans = activations(power_w, rule, recording.period_s)
    pieces = [power_w[start:end] for start, end in spans]
    return [piece.copy() for piece in pieces if np.isfinite(piece).all()]
