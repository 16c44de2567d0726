"""What counts as running, from an appliance's own meter."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from services.disaggregator.domain.network import Floats
from services.disaggregator.history import Flags, Times

_FAST_S = 10.0


@dataclass(frozen=True)
class Rule:
    """When an appliance counts as on, and how close an announcement has to come to its start or end.

    Runs above `on_above_w` that lie less than `merge_gaps_below_s` apart are one; shorter ones than `minimum_on_s` are none.
    """

    on_above_w: float
    minimum_on_s: float
    merge_gaps_below_s: float
    tolerance_s: float


CYCLE_TOLERANCE_S = 300.0
SHORT_TOLERANCE_S = 30.0
RULES = {
    "kettle": Rule(1000, 12, 0, SHORT_TOLERANCE_S),
    "microwave": Rule(200, 12, 30, SHORT_TOLERANCE_S),
    "dishwasher": Rule(10, 1800, 1800, CYCLE_TOLERANCE_S),
    "washing_machine": Rule(20, 1800, 180, CYCLE_TOLERANCE_S),
    "fridge": Rule(50, 60, 12, CYCLE_TOLERANCE_S),
}
_FAST_KETTLE = Rule(2000, 12, 0, SHORT_TOLERANCE_S)


class Run(NamedTuple):
    """From the first sample that is on to the first that is off, seconds since 1970."""

    start_s: float
    end_s: float


def rule_of(appliance: str, interval_s: float) -> Rule:
    """The rule at this interval: the mean over half a minute hides how much a kettle draws."""
    return _FAST_KETTLE if appliance == "kettle" and interval_s < _FAST_S else RULES[appliance]


def runs(times_s: Times, power_w: Floats, rule: Rule, interval_s: float) -> list[Run]:
    """The appliance's runs, from samples [samples] that are `interval_s` apart; NaN counts as off."""
    merged: list[Run] = []
    for first, last in spans(np.nan_to_num(power_w) > rule.on_above_w):
        run = Run(float(times_s[first]), float(times_s[last]) + interval_s)
        if merged and run.start_s - merged[-1].end_s < rule.merge_gaps_below_s:
            merged[-1] = Run(merged[-1].start_s, run.end_s)
        else:
            merged.append(run)
    return [run for run in merged if run.end_s - run.start_s >= rule.minimum_on_s]


def running(times_s: Times, found: list[Run]) -> Flags:
    """Whether each time lies in a run, [samples]."""
    flags = np.zeros(len(times_s), bool)
    for run in found:
        flags[np.searchsorted(times_s, run.start_s) : np.searchsorted(times_s, run.end_s)] = True
    return flags


def spans(flags: Flags) -> list[tuple[int, int]]:
    """First and last index of every stretch of True."""
    steps = np.diff(np.concatenate(([0], flags.astype(np.int8), [0])))
    return list(zip(np.flatnonzero(steps == 1).tolist(), (np.flatnonzero(steps == -1) - 1).tolist(), strict=True))
