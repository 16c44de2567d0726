"""One network at work in one home: its clock, its carried state, and which appliances it speaks for."""

import math
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from services.disaggregator.domain.hindsight import Hindsight
from services.disaggregator.domain.lessons import Lessons
from services.disaggregator.domain.network import Floats, Head, Network
from services.disaggregator.domain.ticks import Tick, TickClock
from services.disaggregator.domain.tracking import Tracker


class Voice(NamedTuple):
    """An appliance that a network speaks for: its row in the outputs, its place in the home's order, its corrections' lag."""

    row: int
    column: int
    head: Head
    tracker: Tracker
    ticks_ago: int
    lessons: Lessons


class Answer(NamedTuple):
    """A network's outputs at one tick, each [appliances][lags], and the time since its tick before, s."""

    probability: list[list[float]]
    power_w: list[list[float]]
    elapsed_s: float


class RunningNetwork:
    """Steps a network from tick to tick. A reset starts clock and state anew."""

    def __init__(self, network: Network) -> None:
        self.model = network.model
        self.voices: list[Voice] = []
        self.watches_the_rest = False
        self.lag_ticks = [round(lag_s / self.model.period_s) for lag_s in self.model.lags_s]
        self._network = network
        self._power = np.zeros((1, 1), np.float32)
        self.lessons = {head.appliance: Lessons(Hindsight() if head.learns_from_hindsight else None) for head in network.model.heads}
        self._recent_s, self._recent_w = (deque[float](maxlen=max(self.lag_ticks) + 1) for _ in range(2))
        self._clock = TickClock(self.model.period_s)
        self.state = self._zeros()
        self.stepped_s = 0.0

    def reset(self) -> None:
        """Forget: after a gap, or when another network spoke meanwhile."""
        self._clock = TickClock(self.model.period_s)
        self.state = self._zeros()
        self._recent_s.clear()
        self._recent_w.clear()
        for lessons in self.lessons.values():
            lessons.interrupted()

    def ticks(self, time_s: float, power_w: float, interval_s: float) -> list[Tick]:
        """The ticks that a reading completes."""
        clock = self._clock
        follow = clock.start if clock.tick_s == -math.inf else clock.read
        return follow(time_s, power_w, interval_s)

    def step(self, tick: Tick) -> Answer:
        """Ask the network."""
        self._power[0, 0] = tick.power_w
        probability, power_w, state = self._network.step(self._power, self.state)
        return self.hear(tick, probability[0].tolist(), power_w[0].tolist(), state)

    def hear(self, tick: Tick, probability: list[list[float]], power_w: list[list[float]], state: Floats) -> Answer:
        """Take an answer, perhaps one asked for together with other homes': each [appliances][lags]; the state [1, state_size]."""
        self.state = state
        elapsed_s = tick.time_s - self.stepped_s if self._recent_w else self.model.period_s
        self.stepped_s = tick.time_s
        self._recent_s.append(tick.time_s)
        self._recent_w.append(tick.power_w)
        return Answer(probability, power_w, elapsed_s)

    @property
    def heard_since_reset(self) -> int:
        """Ticks since the last reset, as far as the longest lag reaches."""
        return len(self._recent_w)

    def time_then_s(self, ticks_ago: int) -> float:
        """When the tick so many ticks ago was, fewer than `heard_since_reset`; seconds since 1970."""
        return self._recent_s[-1 - ticks_ago]

    @property
    def recent_w(self) -> Sequence[float]:
        """The mains power of the last ticks, W, as far as the longest lag reaches."""
        return self._recent_w

    def _zeros(self) -> Floats:
        return np.zeros((1, self.model.state_size), np.float32)

    def save_clock(self) -> dict[str, Any]:
        """What every reading changes, as JSON takes it."""
        return self._clock.save()

    def save_state(self) -> dict[str, Any]:
        """What every tick changes, as JSON takes it."""
        recent = {"recent_s": list(self._recent_s), "recent_w": list(self._recent_w)}
        return {"state": b64encode(self.state.tobytes()).decode(), **recent, "stepped_s": self.stepped_s}

    def restore(self, clock: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """Go on where both were saved."""
        carried = np.frombuffer(b64decode(state["state"]), np.float32)
        self.state = carried.reshape(1, self.model.state_size).copy()
        self._clock = TickClock.restore(clock)
        self._recent_s.extend(state["recent_s"])
        self._recent_w.extend(state["recent_w"])
        self.stepped_s = float(state["stepped_s"])

    @property
    def has_learnt(self) -> bool:
        """Whether the home has taught something since `save_learnt`."""
        return any(lessons.has_changed for lessons in self.lessons.values())

    def save_learnt(self) -> dict[str, Any]:
        """What the home has taught, by appliance, as JSON takes it."""
        return {appliance: lessons.save() for appliance, lessons in self.lessons.items()}

    def restore_learnt(self, saved: Mapping[str, Any]) -> None:
        """Go on with what was learnt."""
        for appliance in self.lessons.keys() & saved.keys():
            self.lessons[appliance].recall(saved[appliance])  # the voices have these at hand
