"""Chooses when a probability is called running, on homes left out, in the way in which the service says it."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from services.disaggregator.training.activations import Flags, runs
from services.disaggregator.training.measures import SHORT_LOADS, Judged, event_scores, hysteresis, lasting, sample_scores
from services.disaggregator.training.packs import Floats
from services.disaggregator.training.population import usual_f1

ON = (0.2, 0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
OFF_SHARES = (0.25, 0.6)
MINIMUM_ON_S = (0, 120, 300)
MINIMUM_OFF_S = (0, 300, 900, 1800)
HOLD_S = (0, 300, 600, 900, 1800)
CYCLES = ("dishwasher", "washing_machine")
NEARLY = 0.01
"""So much less than the best is as good."""


@dataclass(frozen=True)
class Thresholds:
    """As the service takes them: a start and an end are believed after the probability has held for the minimum."""

    on: float
    off: float
    minimum_on_s: int
    minimum_off_s: int


def announced(probability: Floats, period_s: int, chosen: Thresholds) -> Flags:
    """When the service would say that it runs, [samples]: late by the minima at both ends."""
    later_on, later_off = chosen.minimum_on_s // period_s, chosen.minimum_off_s // period_s
    flags = lasting(hysteresis(probability, chosen.on, chosen.off), later_on + 1, later_off)
    said = np.zeros_like(flags)
    for start, end in runs(flags):
        said[start + later_on : end + later_off] = True
    return said


def figures(home: Judged, column: int, chosen: Thresholds) -> dict[str, float]:
    """Sample scores, and starts by the time of their announcement."""
    period_s = home.period_s
    said = announced(home.probability[:, column], period_s, chosen)
    still = hysteresis(home.probability[:, column], chosen.off, chosen.off)
    result = sample_scores(said, home.watts[:, column] * still, home.truth_on, home.truth_w)
    short = home.appliance in SHORT_LOADS or home.appliance == "fridge"
    early = max(30, period_s) // period_s if short else 300 // period_s
    result |= {"usual_f1": usual_f1(home.appliance, said, home.truth_on)}
    return result | event_scores(said, home.truth_on, early, early if short else 900 // period_s, home.days)


def corrected(probability: Floats, threshold: float, hold: int) -> Flags:
    """When the corrected history says that it runs, [samples]: `hold` samples longer than the probability does."""
    drawing = probability >= threshold
    last = np.maximum.accumulate(np.where(drawing, np.arange(len(drawing)), -hold - 1))
    return np.arange(len(drawing)) - last <= hold


def corrected_figures(home: Judged, column: int, threshold: float, hold_s: int) -> dict[str, float]:
    """Sample scores of the corrected history; what is held draws nothing."""
    probability, watts = home.probability[:, column], home.watts[:, column]
    said = corrected(probability, threshold, hold_s // home.period_s)
    scores = sample_scores(said, watts * (probability >= threshold), home.truth_on, home.truth_w)
    return scores | {"usual_f1": usual_f1(home.appliance, said, home.truth_on)}


def choose_corrected(homes: list[Judged], column: int) -> tuple[float, int]:
    """Threshold and hold, s, with the best mean F1 of the corrected history in a usual home; of holds that are as good the shortest."""
    thresholds, holds = np.linspace(0.1, 0.9, 17).tolist(), HOLD_S if homes[0].appliance in CYCLES else (0,)
    means = {
        (one, hold): float(np.mean([corrected_figures(home, column, one, hold)["usual_f1"] for home in homes]))
        for hold in holds
        for one in thresholds
    }
    hold = max(holds, key=lambda hold: max(means[one, hold] for one in thresholds))
    return _plainest(thresholds, [means[one, hold] for one in thresholds]), hold


def choose(homes: list[Judged], false_a_day: float, off_shares: tuple[float, ...] = OFF_SHARES) -> Thresholds:
    """The best mean over the homes of sample F1 in a usual home, half the starts' F1, less a tenth a false start over the budget.

    `off_shares`: what shares of the threshold to start the one to stop may be.
    """
    cycle = homes[0].appliance in CYCLES
    shapes = list(product(off_shares, MINIMUM_ON_S if cycle else (0,), MINIMUM_OFF_S if cycle else (0,)))
    worth = {shape: [_mean_worth(homes, _thresholds(on, *shape), false_a_day) for on in ON] for shape in shapes}
    best = max(shapes, key=lambda shape: max(worth[shape]))
    return _thresholds(_plainest(list(ON), worth[best]), *best)


def _thresholds(on: float, off_share: float, minimum_on_s: int, minimum_off_s: int) -> Thresholds:
    return Thresholds(on, on * off_share, minimum_on_s, minimum_off_s)


def _mean_worth(homes: list[Judged], chosen: Thresholds, false_a_day: float) -> float:
    return float(np.mean([_worth(figures(home, 0, chosen), false_a_day) for home in homes]))


def _plainest(thresholds: list[float], means: list[float]) -> float:
    """Of those that are nearly as good as the best the one nearest to a half: what is peculiar to these homes is not carried on."""
    good = [one for one, mean in zip(thresholds, means, strict=True) if mean >= max(means) - NEARLY]
    return min(good, key=lambda one: abs(one - 0.5))


def _worth(result: dict[str, float], false_a_day: float) -> float:
    return result["usual_f1"] + 0.5 * result["event_f1"] - 0.1 * max(0.0, result["false_a_day"] - false_a_day)
