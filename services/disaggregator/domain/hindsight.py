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

from services.disaggregator.domain.odds import cross_entropy, logistic, logit

LEAST = 0.01
"""Probabilities below it are left as they are: most ticks, at which nothing happens."""
LEVELS_W = tuple(150.0 * number for number in range(29))
COARSE_LEVELS_W = tuple(300.0 * number for number in range(15))
LOG_ODDS = (-9.0, -6.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 6.0)
RISEN_W, MOST_TICKS = 400.0, 6
BASE_TICKS = 12
LEARNING_RATE, FIRST_SQUARES, DECAY = 0.15, 1e-2, 1e-4
WORTH_OF_A_WORD = 5
"""Of hindsights, that is."""
KEPT_MOMENTS = 20
"""Past ones that a person may still speak of."""
REMEMBERED = 0.998
"""Of how well it foretold, from one moment to the next that it learns from."""

Feature = tuple[int, float]
"""A weight's place, and how much of it counts."""

_LEVEL, _STEP = 1, 1 + len(LEVELS_W)
_COURSE = _STEP + len(LEVELS_W)
_OWN = _COURSE + MOST_TICKS * len(COARSE_LEVELS_W)
SIZE = _OWN + len(LOG_ODDS)


class _Moment(NamedTuple):
    """A tick to learn from: the log-odds that the network alone gave, and what the power did.

    It had risen by `level_w` over what was drawn before, by `step_w` at once, and been up for `risen` ticks. `learnt` are the
    log-odds with what had been learnt by then.
    """

    time_s: float
    log_odds: float
    level_w: float
    step_w: float
    risen: int
    learnt: float = 0.0


class Hindsight:
    """What one home has taught about one appliance."""

    def __init__(self) -> None:
        self._weights = array("f", bytes(4 * SIZE))
        self._squares = array("f", [FIRST_SQUARES]) * SIZE
        self._awaited = deque[_Moment]()
        self._past = deque[_Moment](maxlen=KEPT_MOMENTS)
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
        moment = _Moment(time_s, logit(probability), _level_w(recent_w, len(recent_w) - 1), _step_w(recent_w), _ticks_since_rise(recent_w))
        learnt = self._corrected(moment, _features(moment))
        self._awaited.append(moment._replace(learnt=learnt))
        self.changed = True
        return logistic(learnt) if self._loss_learnt <= self._loss else probability

    def hear_later(self, time_s: float, probability: float) -> None:
        """What is known by now of the tick at that time. Ticks are spoken of in their order."""
        awaited = self._awaited
        while awaited and awaited[0].time_s < time_s:
            awaited.popleft()
        if awaited and awaited[0].time_s == time_s:
            moment = awaited.popleft()
            self._compare(moment, probability)
            self._learn(moment, probability)
            self._past.append(moment)

    def be_told(self, first_s: float, last_s: float, truth: bool) -> None:
        """A person's word on the ticks between two times: it counts for more than hindsight, and in its place."""
        moments = [moment for moment in (*self._past, *self._awaited) if first_s <= moment.time_s <= last_s]
        self._awaited = deque(moment for moment in self._awaited if not first_s <= moment.time_s <= last_s)
        for _ in range(WORTH_OF_A_WORD):
            for moment in moments:
                self._learn(moment, float(truth))

    def forget_awaited(self) -> None:
        """After a gap no hindsight of the ticks before it comes."""
        self._awaited.clear()

    def _compare(self, moment: _Moment, truth: float) -> None:
        self._loss = REMEMBERED * self._loss + cross_entropy(moment.log_odds, truth)
        self._loss_learnt = REMEMBERED * self._loss_learnt + cross_entropy(moment.learnt, truth)

    def _learn(self, moment: _Moment, truth: float) -> None:
        weights, squares, features = self._weights, self._squares, _features(moment)
        wrong = logistic(self._corrected(moment, features)) - truth
        for place, share in features:
            slope = wrong * share + DECAY * weights[place]
            squares[place] += slope * slope
            weights[place] -= LEARNING_RATE * slope / math.sqrt(squares[place])
        self.changed = True

    def _corrected(self, moment: _Moment, features: Sequence[Feature]) -> float:
        """The log-odds with what was learnt."""
        weights = self._weights
        return moment.log_odds + sum(weights[place] * share for place, share in features)

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
        restored._awaited.extend(_Moment(*moment) for moment in saved["awaited"])
        restored._loss, restored._loss_learnt = saved["losses"]
        return restored


def _numbers(saved: str) -> "array[float]":
    numbers = array("f", b64decode(saved))
    if len(numbers) != SIZE:
        raise ValueError(f"{len(numbers)} weights were saved, {SIZE} are needed")
    return numbers


def _features(moment: _Moment) -> list[Feature]:
    """A constant; the level above what the home drew before; the last step; level by ticks since it rose; the log-odds."""
    course = [(_COURSE + MOST_TICKS * place + moment.risen, share) for place, share in _between(moment.level_w, COARSE_LEVELS_W)]
    return [
        (0, 1.0),
        *((_LEVEL + place, share) for place, share in _between(moment.level_w, LEVELS_W)),
        *((_STEP + place, share) for place, share in _between(moment.step_w, LEVELS_W)),
        *course,
        *((_OWN + place, share) for place, share in _between(moment.log_odds, LOG_ODDS)),
    ]


def _step_w(recent_w: Sequence[float]) -> float:
    """The last rise: a meter's mean may show it in two steps."""
    return max((recent_w[-1] - recent_w[-1 - back] for back in (1, 2) if back < len(recent_w)), default=0.0)


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
