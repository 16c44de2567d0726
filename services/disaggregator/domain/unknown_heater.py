"""A large step that no known appliance explains: told as what it is rather than under a wrong name.

Electric showers, ovens, immersion heaters and convectors have no model. A rise of the unexplained power that lasts is
announced as `unknown_heater`. What a 13 A plug can carry is left to an appliance that runs or probably runs, since it
may be one of its heaters.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.disaggregator.domain.tracking import JOULES_PER_KWH, Event, Tracker

UNKNOWN_HEATER = "unknown_heater"
RISE_W = 1000.0
PLUG_W = 3200.0
LASTING_S = 120.0
PAUSE_S = 300.0
MOST_W = 100_000.0
"""No home draws or exports more: what a meter says beyond it is cut."""
_KEPT_SHARE = 0.6
_POSSIBLE = 0.5


@dataclass(slots=True)
class UnknownHeater:
    """The unexplained power, and the heater in it: at most one at a time."""

    running: bool = False
    power_w: float = 0.0
    since_s: float | None = None
    chance: float = 0.0
    previous_w: float | None = None
    base_w: float = 0.0
    rise_w: float = 0.0
    onset_s: float | None = None
    low_s: float | None = None
    energy_ws: float = 0.0
    energy_at_low_ws: float = 0.0

    @property
    def appliance(self) -> str:
        """Its name in topics."""
        return UNKNOWN_HEATER

    @property
    def probability(self) -> float:
        """The chance that a heater without a name runs."""
        return self.chance if self.running else 0.0

    @property
    def confidence(self) -> float:
        """How likely what is said now is true."""
        return self.chance if self.running else 1.0

    def step(self, time_s: float, elapsed_s: float, unexplained_w: float, heaters: list[Tracker]) -> Event | None:
        """One tick, after the known appliances have spoken: what they leave of the power, and those of them that heat."""
        unexplained_w = min(max(unexplained_w, -MOST_W), MOST_W)
        previous_w, self.previous_w = self.previous_w, unexplained_w
        if self.onset_s is None:
            if previous_w is not None and unexplained_w - previous_w >= RISE_W:
                self._note_rise(time_s, elapsed_s, previous_w, unexplained_w)
            return None
        self._follow(time_s, elapsed_s, unexplained_w)
        return self._step_running(time_s, heaters) if self.running else self._step_rising(time_s, heaters)

    def gap(self, last_s: float, time_s: float) -> Event | None:
        """No readings from `last_s` to `time_s`: a run survives only what would pass for a pause."""
        self.previous_w = None
        if self.running and time_s - last_s > PAUSE_S:
            return self._finish(self.low_s or last_s, time_s)
        if not self.running:
            self.onset_s = None
        return None

    def _note_rise(self, time_s: float, elapsed_s: float, base_w: float, unexplained_w: float) -> None:
        self.base_w, self.rise_w, self.onset_s, self.low_s = base_w, unexplained_w - base_w, time_s, None
        self.energy_ws = self.rise_w * elapsed_s

    def _follow(self, time_s: float, elapsed_s: float, unexplained_w: float) -> None:
        drawn_w = unexplained_w - self.base_w
        if drawn_w < _KEPT_SHARE * self.rise_w:
            if self.low_s is None:
                self.low_s, self.energy_at_low_ws = time_s, self.energy_ws
            drawn_w = 0.0
        else:
            self.low_s = None
            # The first tick of a rise may have caught only its end.
            self.rise_w = drawn_w if time_s - (self.onset_s or 0.0) <= elapsed_s else self.rise_w
        self.energy_ws += drawn_w * elapsed_s
        self.power_w = drawn_w if self.running else 0.0

    def _step_rising(self, time_s: float, heaters: list[Tracker]) -> Event | None:
        if self.onset_s is None or self.low_s is not None or self._may_be_one_of(heaters):
            self.onset_s = None
            return None
        if time_s - self.onset_s < LASTING_S:
            return None
        self.chance = _unexplained(self.rise_w, heaters)
        self.running, self.since_s, self.power_w = True, self.onset_s, self.rise_w
        return Event(UNKNOWN_HEATER, "started", self.onset_s, time_s, self.chance)

    def _step_running(self, time_s: float, heaters: list[Tracker]) -> Event | None:
        if self._was_one_of(heaters):
            return self._finish(time_s if self.low_s is None else self.low_s, time_s)
        if self.low_s is not None and time_s - self.low_s >= PAUSE_S:
            return self._finish(self.low_s, time_s)
        return None

    def _may_be_one_of(self, heaters: list[Tracker]) -> bool:
        return self.rise_w <= PLUG_W and any(tracker.running or tracker.probability >= _POSSIBLE for tracker in heaters)

    def _was_one_of(self, heaters: list[Tracker]) -> bool:
        latest_s = (self.onset_s or 0.0) + LASTING_S
        return self.rise_w <= PLUG_W and any(
            tracker.running and tracker.onset_s is not None and tracker.onset_s <= latest_s for tracker in heaters
        )

    def _finish(self, at_s: float, announced_s: float) -> Event:
        energy_ws = self.energy_ws if self.low_s is None else self.energy_at_low_ws
        duration_s = at_s - (at_s if self.onset_s is None else self.onset_s)
        event = Event(UNKNOWN_HEATER, "finished", at_s, announced_s, self.chance, duration_s, energy_ws / JOULES_PER_KWH)
        self.running, self.power_w, self.since_s, self.onset_s, self.low_s = False, 0.0, at_s, None, None
        return event

    def save(self) -> dict[str, Any]:
        """The state, as JSON takes it."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> "UnknownHeater":
        """Go on where `save` was called."""
        return cls(**saved)


def _unexplained(rise_w: float, heaters: list[Tracker]) -> float:
    """The chance that fewer of the known appliances have begun to run than it takes to draw so much."""
    needed = math.ceil(rise_w / PLUG_W)
    chances = [1.0] + [0.0] * len(heaters)
    for tracker in heaters:
        begun = 0.0 if tracker.running else tracker.probability
        chances = [begun * fewer + (1.0 - begun) * same for fewer, same in zip([0.0, *chances], chances, strict=False)]
    return min(1.0, sum(chances[:needed]))
