"""Fits what a head says to what is so, on homes left out, so that what it says of itself is true."""

from typing import NamedTuple

import numpy as np

from services.disaggregator.training.activations import Flags
from services.disaggregator.training.packs import Floats


class Fit(NamedTuple):
    """Calibrated logit = slope * logit + offset + quiet_offset * quiet; numbers, or an array with one for each of several heads."""

    slope: Floats | float = 1.0
    offset: Floats | float = 0.0
    quiet_offset: Floats | float = 0.0


class Evidence(NamedTuple):
    """What one head said of a home, what was so, how quiet it was (`features.quiet`), how much each counts; [samples] each."""

    probability: Floats
    truth_on: Flags
    quiet: Floats
    weight: Floats


def logits_of(probability: Floats) -> Floats:
    """The inverse of the logistic function, within what float32 can tell apart."""
    inside = np.clip(probability.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside)).astype(np.float32)


def fitted(homes: list[Evidence], *, by_quiet: bool = False) -> Fit:
    """Of several homes; each counts the same. `by_quiet`: with a part that depends on how long nothing has heated."""
    logits = np.concatenate([logits_of(home.probability) for home in homes])
    truth = np.concatenate([home.truth_on for home in homes])
    weight = np.concatenate([home.weight * 1e5 / home.weight.sum(dtype=np.float64) for home in homes])
    inputs = [logits, np.ones_like(logits), *([np.concatenate([home.quiet for home in homes])] if by_quiet else [])]
    return Fit(*logistic_regression(np.stack(inputs, 1), truth, weight))


def logistic_regression(inputs: Floats, truth_on: Flags, weight: Floats, rounds: int = 40) -> list[float]:
    """The weights of inputs [samples, inputs], the first of which are logits, by Newton's method; within sane bounds."""
    x, y, weight = inputs.astype(np.float64), truth_on.astype(np.float64), weight.astype(np.float64)
    nothing = np.eye(1, x.shape[1])[0]  # the logits as they are
    fit = nothing.copy()
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-(x @ fit)))
        curve = weight * p * (1 - p)
        gradient = x.T @ (weight * (p - y)) + 1e-3 * (fit - nothing)
        hessian = (x * curve[:, None]).T @ x + 1e-3 * np.eye(x.shape[1])
        fit = fit - np.clip(np.linalg.solve(hessian, gradient), -0.5, 0.5)
    return [float(np.clip(fit[0], 0.2, 3.0)), *(float(np.clip(each, -4.0, 4.0)) for each in fit[1:])]


def shrunk(fit: Fit, share: float) -> Fit:
    """A share of a fit; none of it leaves a probability as it is."""
    return Fit(fit.slope**share, fit.offset * share, fit.quiet_offset * share)


def apply(probability: Floats, quiet: Floats, fit: Fit) -> Floats:
    """Calibrated probabilities, [samples] or [samples, heads]."""
    logits = logits_of(probability) * np.float32(fit.slope) + np.float32(fit.offset) + quiet * np.float32(fit.quiet_offset)
    return 1 / (1 + np.exp(-logits))
