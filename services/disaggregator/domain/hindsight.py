"""Learns, in one home, what to say at once from what is known of the same moment some minutes later.

A network knows kettles in general. That this home's kettle draws 2.7 kW, and that what draws 2.1 kW here is a dishwasher's
heater, shows in each run's hindsight: in the network's own corrected answer. So its answer at once is corrected by a
logistic regression on what the power did, whose targets are the corrected answers of the same moments, learnt as they come
(AdaGrad: Duchi, Hazan & Singer, JMLR 12, 2011). Nothing that is said hangs on a later reading.

It starts with nothing learnt, which changes nothing, and is heeded while it foretells hindsight better than the network alone.
"""

import math
from array import array
from base64 import b64decode, b64encode
from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

LEAST = 0.01
"""Probabilities below it are left as they are: most ticks, at which nothing happens."""
LEVELS_W = tuple(150.0 * number for number in range(29))
COARSE_LEVELS_W = tuple(300.0 * number for number in range(15))
LOGITS = (-9.0, -6.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0)
RISEN_W, MOST_TICKS = 400.0, 6
BASE_TICKS = 12
LEARNING_RATE, FIRST_SQUARES, DECAY = 0.15, 1e-2, 1e-4
REMEMBERED = 0.998
"""Of how well it foretold, from one moment to the next that it learns from."""
_SURE = 1e-5

Feature = tuple[int, float]
"""A weight's place, and how much of it counts."""

_LEVEL, _STEP = 1, 1 + len(LEVELS_W)
_COURSE = _STEP + len(LEVELS_W)
_LOGIT = _COURSE + MOST_TICKS * len(COARSE_LEVELS_W)
SIZE = _LOGIT + len(LOGITS)


class _Moment(NamedTuple):
    """A tick whose hindsight is awaited: what the network alone said, and with what was learnt."""

    time_s: float
    logit: float
    learnt: float
    features: list[Feature]


class Hindsight:
    """What one home has taught about one appliance."""

    def __init__(self) -> None:
        self._weights = array("f", bytes(4 * SIZE))
        self._squares = array("f", [FIRST_SQUARES]) * SIZE
        self._awaited = deque[_Moment]()
        self._loss = self._loss_learnt = 0.0
        self.changed = False

    def heed(self, time_s: float, probability: float, recent_w: Sequence[float]) -> float:
        """The probability at this tick, corrected.

        Args:
            time_s: of the tick, seconds since 1970.
            probability: what the network says at once.
            recent_w: the mains power of the ticks up to this one, W.
        """
        if probability < LEAST:
            return probability
        logit = _logit(probability)
        features = _features(logit, recent_w)
        learnt = logit + sum(self._weights[place] * share for place, share in features)
        self._awaited.append(_Moment(time_s, logit, learnt, features))
        self.changed = True
        return _logistic(learnt) if self._loss_learnt <= self._loss else probability

    def hear_later(self, time_s: float, probability: float) -> None:
        """What is known by now of the tick at that time. Ticks are spoken of in their order."""
        awaited = self._awaited
        while awaited and awaited[0].time_s < time_s:
            awaited.popleft()
        if awaited and awaited[0].time_s == time_s:
            self._learn(awaited.popleft(), probability)

    def forget_awaited(self) -> None:
        """After a gap no hindsight of the ticks before it comes."""
        self._awaited.clear()

    def _learn(self, moment: _Moment, truth: float) -> None:
        self._loss = REMEMBERED * self._loss + _loss(moment.logit, truth)
        self._loss_learnt = REMEMBERED * self._loss_learnt + _loss(moment.learnt, truth)
        weights, squares = self._weights, self._squares
        foretold = moment.logit + sum(weights[place] * share for place, share in moment.features)
        wrong = _logistic(foretold) - truth
        for place, share in moment.features:
            slope = wrong * share + DECAY * weights[place]
            squares[place] += slope * slope
            weights[place] -= LEARNING_RATE * slope / math.sqrt(squares[place])
        self.changed = True

    def save(self) -> dict[str, Any]:
        """The state, as JSON takes it."""
        self.changed = False
        return {
            "weights": b64encode(self._weights).decode(),
            "squares": b64encode(self._squares).decode(),
            "awaited": list(self._awaited),
            "losses": (self._loss, self._loss_learnt),
        }

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> "Hindsight":
        """Go on where `save` was called."""
        restored = cls()
        restored._weights, restored._squares = (_numbers(saved[name]) for name in ("weights", "squares"))
        for time_s, logit, learnt, features in saved["awaited"]:
            restored._awaited.append(_Moment(time_s, logit, learnt, [(place, share) for place, share in features]))
        restored._loss, restored._loss_learnt = saved["losses"]
        return restored


def _numbers(saved: str) -> "array[float]":
    numbers = array("f", b64decode(saved))
    if len(numbers) != SIZE:
        raise ValueError(f"{len(numbers)} weights were saved, {SIZE} are needed")
    return numbers


def _features(logit: float, recent_w: Sequence[float]) -> list[Feature]:
    """A constant; the level above what the home drew before; the last step; level by ticks since it rose; the logit."""
    power_w = recent_w[-1]
    level_w = _level_w(recent_w, len(recent_w) - 1)
    step_w = max((power_w - recent_w[-1 - back] for back in (1, 2) if back < len(recent_w)), default=0.0)
    risen = _ticks_since_rise(recent_w)
    course = [(_COURSE + MOST_TICKS * place + risen, share) for place, share in _between(level_w, COARSE_LEVELS_W)]
    return [
        (0, 1.0),
        *((_LEVEL + place, share) for place, share in _between(level_w, LEVELS_W)),
        *((_STEP + place, share) for place, share in _between(step_w, LEVELS_W)),
        *course,
        *((_LOGIT + place, share) for place, share in _between(logit, LOGITS)),
    ]


def _level_w(recent_w: Sequence[float], at: int) -> float:
    """How far a tick's power lies above the least of the ticks before it."""
    before = [recent_w[place] for place in range(max(0, at - BASE_TICKS), at)]
    return recent_w[at] - min(before, default=recent_w[at])


def _ticks_since_rise(recent_w: Sequence[float]) -> int:
    last = len(recent_w) - 1
    for back in range(MOST_TICKS):
        if back > last or _level_w(recent_w, last - back) <= RISEN_W:
            return back
    return MOST_TICKS - 1


def _between(value: float, knots: Sequence[float]) -> tuple[Feature, Feature]:
    """The two knots that a value lies between, by how near each is."""
    value = min(max(value, knots[0]), knots[-1])
    place = min(bisect_right(knots, value), len(knots) - 1) - 1
    share = (value - knots[place]) / (knots[place + 1] - knots[place])
    return (place, 1.0 - share), (place + 1, share)


def _logit(probability: float) -> float:
    inside = min(max(probability, _SURE), 1.0 - _SURE)
    return math.log(inside / (1.0 - inside))


def _logistic(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit)) if logit > 0 else 1.0 - 1.0 / (1.0 + math.exp(logit))


def _loss(logit: float, truth: float) -> float:
    """Cross-entropy of a forecast with a truth between 0 and 1."""
    return max(logit, 0.0) - logit * truth + math.log1p(math.exp(-abs(logit)))
