"""Readings onto a model's clock.

A reading speaks of the time since the one before it, as a meter's mean does, and is known at its own time: a tick is
made of nothing later than itself. Readings that come at the model's own period are ticks as they are. A reading that
comes late for its meter speaks only of one typical interval; the one before it is held until then.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

_ON_THE_PERIOD = 0.1
_HELD_INTERVALS = 1.5


class Tick(NamedTuple):
    """The mean power over the time since the tick before, known at `time_s` (seconds since 1970)."""

    time_s: float
    power_w: float


@dataclass(slots=True)
class TickClock:
    """One model's clock. Ticks lie on whole multiples of the period, or on the readings that come at the period."""

    period_s: float
    tick_s: float = -math.inf
    reading_s: float = -math.inf
    power_w: float = 0.0
    counted: int = 0
    energy_ws: float = 0.0
    seconds: float = 0.0

    def start(self, time_s: float, power_w: float, interval_s: float) -> list[Tick]:
        """The first reading after a gap, or the first of all."""
        on_the_period = self._on_the_period(interval_s)
        self.tick_s = (time_s if on_the_period else math.ceil(time_s / self.period_s) * self.period_s) - self.period_s
        self.reading_s, self.power_w = time_s, power_w
        self.counted, self.energy_ws, self.seconds = 0, 0.0, 0.0
        self._count(power_w, interval_s)
        return [self._take(time_s)] if time_s >= self.tick_s + self.period_s else []

    def read(self, time_s: float, power_w: float, interval_s: float) -> list[Tick]:
        """The ticks that a reading completes. `time_s` grows; `interval_s` is the meter's typical interval."""
        ticks = self._follow(time_s, power_w) if self._on_the_period(interval_s) else self._resample(time_s, power_w, interval_s)
        self.reading_s, self.power_w = time_s, power_w
        return ticks

    def _on_the_period(self, interval_s: float) -> bool:
        return abs(interval_s - self.period_s) <= _ON_THE_PERIOD * self.period_s

    def _follow(self, time_s: float, power_w: float) -> list[Tick]:
        period_s, ticks = self.period_s, list[Tick]()
        while time_s - self.tick_s > _HELD_INTERVALS * period_s:
            ticks.append(self._take(self.tick_s + period_s))
        self._count(power_w, time_s - self.reading_s)
        if time_s - self.tick_s >= 0.5 * period_s:
            ticks.append(self._take(time_s))
        return ticks

    def _resample(self, time_s: float, power_w: float, interval_s: float) -> list[Tick]:
        period_s, elapsed_s = self.period_s, time_s - self.reading_s
        due_s = (self.tick_s // period_s + 1) * period_s
        in_time = elapsed_s <= _HELD_INTERVALS * interval_s
        if in_time and time_s <= due_s:
            self._count(power_w, elapsed_s)
            return [self._take(due_s)] if time_s == due_s else []
        return self._hold_and_take(time_s, power_w, due_s, elapsed_s if in_time else interval_s)

    def _hold_and_take(self, time_s: float, power_w: float, due_s: float, spoken_s: float) -> list[Tick]:
        """A late reading, or one beyond the end of a tick."""
        ticks, period_s = list[Tick](), self.period_s
        held_until_s, known_s = time_s - spoken_s, self.reading_s
        while due_s < time_s:
            known_s = self._hold(known_s, min(due_s, held_until_s))
            ticks.append(self._take(due_s))
            due_s += period_s
        known_s = self._hold(known_s, held_until_s)
        self._count(power_w, time_s - known_s)
        if due_s == time_s:
            ticks.append(self._take(due_s))
        return ticks

    def _hold(self, known_s: float, until_s: float) -> float:
        if until_s <= known_s:
            return known_s
        self._count(self.power_w, until_s - known_s)
        return until_s

    def _count(self, power_w: float, seconds: float) -> None:
        self.counted += 1
        self.energy_ws += power_w * seconds
        self.seconds += seconds

    def _take(self, time_s: float) -> Tick:
        power_w = self._mean_w()
        self.tick_s = time_s
        self.counted, self.energy_ws, self.seconds = 0, 0.0, 0.0
        return Tick(time_s, power_w)

    def _mean_w(self) -> float:
        return self.energy_ws / self.seconds if self.counted else self.power_w

    def save(self) -> dict[str, Any]:
        """The state, as JSON takes it."""
        return {name: None if value == -math.inf else value for name in self.__slots__ for value in (getattr(self, name),)}

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> "TickClock":
        """Go on where `save` was called."""
        known = {name: value for name, value in saved.items() if value is not None}
        return cls(**known)
