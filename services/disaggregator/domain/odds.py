"""Probabilities as log-odds, and back."""

import math

_SURE = 1e-5


def logit(probability: float) -> float:
    """The log-odds of a probability; of 0 and 1, those of the nearest that is not sure."""
    inside = min(max(probability, _SURE), 1.0 - _SURE)
    return math.log(inside / (1.0 - inside))


def logistic(log_odds: float) -> float:
    """The probability of these log-odds."""
    return 1.0 / (1.0 + math.exp(-log_odds)) if log_odds > 0 else 1.0 - 1.0 / (1.0 + math.exp(log_odds))


def cross_entropy(log_odds: float, truth: float) -> float:
    """How wrong a forecast was, in nats; the truth lies between 0 and 1."""
    return max(log_odds, 0.0) - log_odds * truth + math.log1p(math.exp(-abs(log_odds)))
