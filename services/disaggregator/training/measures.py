"""What a network says about a whole home, and how good it is: a fast stand-in for the shipped judging.

`hems evaluate` judges the exported file sample by sample; this one serves to choose between experiments.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from services.disaggregator.training.activations import Flags, rule_of, running, runs
from services.disaggregator.training.features import look_back, over_sequences, quiet
from services.disaggregator.training.network import predict
from services.disaggregator.training.packs import DAY_S, Floats, Recording
from services.disaggregator.training.train import Plan

WARM_UP_S = 6 * 3600
KEPT_S = 18 * 3600
SHORT_LOADS = ("kettle", "microwave")


@dataclass
class Said:
    """Per sample of a home, [samples, appliances, lags], about that sample: probability, watts given on; NaN if unknown.

    `quiet` [samples, lags]: of the home when that was said.
    """

    probability: Floats
    watts: Floats
    quiet: Floats


def say(model: keras.Model, plan: Plan, recording: Recording) -> Said:
    """Run a network over a home; long stretches are cut into overlapping pieces with a warm-up."""
    period_s, shape = recording.period_s, plan.shape
    scales_w = np.array([rule_of(name, period_s).scale_w for name in plan.appliances], np.float32)
    pieces = _pieces(recording.mains_w, WARM_UP_S // period_s, KEPT_S // period_s)
    longest = max(end - start for start, _, end in pieces)
    size = (len(recording.mains_w), shape.appliances, len(shape.lags))
    said = Said(*(np.full(size, np.nan, np.float32) for _ in range(2)), np.zeros((size[0], size[2]), np.float32))
    for first in range(0, len(pieces), 256):
        part = pieces[first : first + 256]
        power_w = np.stack([np.pad(recording.mains_w[s:e], (0, longest - (e - s)), "edge") for s, _, e in part])
        features = over_sequences(power_w, period_s)
        logits, watts = predict(model, shape, features, look_back(power_w, shape.ages))
        quiets = quiet(features)
        for row, (start, kept, end) in enumerate(part):
            for column, lag in enumerate(shape.lags):
                source = slice(min(max(kept - start, lag), end - start), end - start)
                if source.start == source.stop:
                    continue
                target = slice(start + source.start - lag, end - lag)
                said.probability[target, :, column] = 1 / (1 + np.exp(-logits[row, source, :, column]))
                said.watts[target, :, column] = watts[row, source, :, column] * scales_w
                said.quiet[target, column] = quiets[row, source]
    return said


def _pieces(mains_w: Floats, warm_up: int, kept: int) -> list[tuple[int, int, int]]:
    """(start, first sample kept, end) of every piece of every valid stretch."""
    pieces: list[tuple[int, int, int]] = []
    for first, last in runs(np.isfinite(mains_w)):
        begins = range(first, last, kept)
        pieces += [(max(first, begin - warm_up), begin, min(last, begin + kept)) for begin in begins]
    return pieces


def hysteresis(probability: Floats, on: float, off: float) -> Flags:
    """Running once probability reaches `on`, until it falls below `off`; NaN means not running."""
    state = np.where(probability >= on, 1, np.where(~(probability >= off), 0, -1))
    index = np.where(state >= 0, np.arange(len(state)), 0)
    return state[np.maximum.accumulate(index)] == 1


def lasting(flags: Flags, minimum_on: int, minimum_off: int) -> Flags:
    """Runs with short gaps closed, then short runs dropped (lengths in samples)."""
    out = flags.copy()
    for start, end in runs(~flags):
        if end - start < minimum_off and start > 0 and end < len(flags):
            out[start:end] = True
    for start, end in runs(out):
        if end - start < minimum_on:
            out[start:end] = False
    return out


def sample_scores(said_on: Flags, said_w: Floats, truth_on: Flags, truth_w: Floats) -> dict[str, float]:
    """F1, precision, recall, MAE (W) and SAE over the samples given."""
    right = float((said_on & truth_on).sum())
    precision, recall = right / max(1, said_on.sum()), right / max(1, truth_on.sum())
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    drawn = np.where(said_on, said_w, 0.0)
    mae = float(np.abs(drawn - truth_w).mean())
    sae = float(abs(drawn.sum() - truth_w.sum()) / max(1e-9, truth_w.sum()))
    return {"f1": f1, "precision": precision, "recall": recall, "mae_w": mae, "sae": sae}


def event_scores(said_on: Flags, truth_on: Flags, early: int, late: int, days: float) -> dict[str, float]:
    """Starts matched one to one, from `early` samples before to `late` after."""
    said = [start for start, _ in runs(said_on)]
    truth = [start for start, _ in runs(truth_on)]
    delays = _match(said, truth, early, late)
    precision, recall = len(delays) / max(1, len(said)), len(delays) / max(1, len(truth))
    return {
        "event_f1": 2 * precision * recall / max(1e-9, precision + recall),
        "false_a_day": (len(said) - len(delays)) / max(1e-9, days),
        "delay_median": float(np.median(delays)) if delays else float("nan"),
        "delay_p90": float(np.quantile(delays, 0.9)) if delays else float("nan"),
    }


def _match(said: list[int], truth: list[int], early: int, late: int) -> list[int]:
    delays: list[int] = []
    at = 0
    for start in truth:
        while at < len(said) and said[at] < start - early:
            at += 1
        if at < len(said) and said[at] <= start + late:
            delays.append(said[at] - start)
            at += 1
    return delays


def calibration_error(probability: Floats, truth_on: Flags, bins: int = 15) -> float:
    """Expected calibration error over equal-width bins."""
    index = np.minimum((probability * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    gap = np.bincount(index, probability, bins) - np.bincount(index, truth_on.astype(float), bins)
    return float(np.abs(gap).sum() / max(1, count.sum()))


@dataclass
class Judged:
    """What was said of a home and how quiet it was then, [samples, lags], and what is true, [samples]: the samples of which that is known.

    `mains_w` and `place` are the mains, and where in the whole recording these samples lie. Where a gap came before a lag was over,
    what was said at once stands in its place, as in the service, and `heard` [samples, lags] is false.
    """

    probability: Floats
    watts: Floats
    truth_on: Flags
    truth_w: Floats
    period_s: int
    appliance: str
    mains_w: Floats
    place: npt.NDArray[np.int64]
    quiet: Floats
    heard: Flags

    @property
    def days(self) -> float:
        """Days judged."""
        return len(self.truth_w) * self.period_s / DAY_S


def judged(said: Said, recording: Recording, plan: Plan) -> dict[str, Judged]:
    """Keep what can be judged, by appliance."""
    period_s, homes = recording.period_s, dict[str, Judged]()
    for index, name in enumerate(plan.appliances):
        if name in recording.truth_w:
            power_w = recording.truth_w[name]
            truth_on = running(power_w, rule_of(name, period_s), period_s)
            probability, watts = said.probability[:, index], said.watts[:, index]
            known: Flags = np.isfinite(power_w) & np.isfinite(probability[:, 0])
            heard = np.isfinite(probability[known])
            told = [np.where(heard, values[known], values[known, :1]) for values in (probability, watts)]
            rest = (recording.mains_w[known], np.flatnonzero(known), said.quiet[known], heard)
            homes[name] = Judged(*told, truth_on[known], power_w[known], period_s, name, *rest)
    return homes


def scores(home: Judged, column: int, on: float, off: float, minimum_on_s: float = 0, minimum_off_s: float = 0) -> dict[str, float]:
    """All scores of one lag with these thresholds."""
    period_s = home.period_s
    said_on = hysteresis(home.probability[:, column], on, off)
    said_on = lasting(said_on, int(minimum_on_s // period_s), int(minimum_off_s // period_s))
    short = home.appliance in SHORT_LOADS
    tolerance = max(30, period_s) // period_s if short else 300 // period_s
    late = tolerance if short else 900 // period_s
    result: dict[str, Any] = sample_scores(said_on, home.watts[:, column], home.truth_on, home.truth_w)
    result |= event_scores(said_on, home.truth_on, tolerance, late, home.days)
    result["ece"] = calibration_error(home.probability[:, column], home.truth_on)
    return result


def best_threshold(homes: list[Judged], column: int, false_a_day: float = 1e9, ratio: float = 0.6) -> tuple[float, float]:
    """The threshold (and its lower partner, times `ratio`) with the best mean F1 over the homes.

    Half an F1 point is given for every false announcement a day above the budget.
    """
    grid = np.linspace(0.1, 0.9, 17)
    means = [np.mean([_worth(scores(home, column, on, on * ratio), false_a_day) for home in homes]) for on in grid]
    on = float(grid[int(np.argmax(means))])
    return on, on * ratio


def _worth(result: dict[str, float], false_a_day: float) -> float:
    return result["f1"] - 0.005 * max(0.0, result["false_a_day"] - false_a_day)
