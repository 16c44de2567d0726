"""Fits slope and offset of a head's logits on homes left out, so that what it says of itself is true."""

import numpy as np

from services.disaggregator.training.activations import Flags
from services.disaggregator.training.packs import Floats


def logits_of(probability: Floats) -> Floats:
    """The inverse of the logistic function, within what float32 can tell apart."""
    inside = np.clip(probability.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside)).astype(np.float32)


def platt(logits: Floats, truth_on: Flags, weight: Floats, rounds: int = 25) -> tuple[float, float]:
    """Slope and offset of a logistic regression on one variable, by Newton's method; the slope stays positive."""
    slope, offset = 1.0, 0.0
    x, y, weight = logits.astype(np.float64), truth_on.astype(np.float64), weight.astype(np.float64)
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-(slope * x + offset)))
        curve = weight * p * (1 - p)
        gradient = np.array([(weight * (p - y) * x).sum() + 1e-3 * (slope - 1), (weight * (p - y)).sum()])
        cross = (curve * x).sum()
        hessian = np.array([[(curve * x * x).sum() + 1e-3, cross], [cross, curve.sum() + 1e-6]])
        change = np.linalg.solve(hessian, gradient)
        slope, offset = slope - float(np.clip(change[0], -0.5, 0.5)), offset - float(np.clip(change[1], -2, 2))
    return float(np.clip(slope, 0.2, 3.0)), float(np.clip(offset, -4.0, 4.0))


def fitted(homes: list[tuple[Floats, Flags]]) -> tuple[float, float]:
    """Slope and offset for the probabilities [samples] and truths of several homes; each counts the same."""
    logits = np.concatenate([logits_of(probability) for probability, _ in homes])
    truth = np.concatenate([truth_on for _, truth_on in homes])
    weight = np.concatenate([np.full(len(truth_on), 1e5 / len(truth_on), np.float32) for _, truth_on in homes])
    return platt(logits, truth, weight)


def shrunk(fit: tuple[float, float], share: float) -> tuple[float, float]:
    """A share of a fit; none of it leaves a probability as it is."""
    slope, offset = fit
    return slope**share, offset * share


def apply(probability: Floats, slopes: tuple[float, ...], offsets: tuple[float, ...]) -> Floats:
    """Calibrated probabilities, [samples, lags]."""
    logits = logits_of(probability) * np.asarray(slopes, np.float32) + np.asarray(offsets, np.float32)
    return 1 / (1 + np.exp(-logits))
