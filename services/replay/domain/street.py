"""Many homes made of a few recordings: each plays one, at another time of it and at another scale."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from services.replay.domain.recording import Recording

_SMALLEST, _LARGEST = 0.7, 1.3
_GOLDEN = 0.618_033_988_749_895
"""Multiples of it, modulo 1, lie evenly however many there are: homes are spread over recordings' days and over a period."""


class Reading(NamedTuple):
    """One reading of one home, said at `at_s` (seconds since 1970)."""

    home: str
    at_s: float
    power_w: float


class Power:
    """What a recorded home draws at any time after its first reading, held between readings, again and again."""

    def __init__(self, recording: Recording) -> None:
        valid = np.isfinite(recording.mains_w)
        self._at_s = (recording.at_us[valid] - recording.at_us[valid][0]) / 1e6
        self._mains_w = recording.mains_w[valid]
        self.span_s = float(self._at_s[-1]) + 1.0

    def at_w(self, after_s: float) -> float:
        """So many seconds after the first reading, W."""
        return float(self._mains_w[np.searchsorted(self._at_s, after_s % self.span_s, side="right") - 1])


class SimulatedHome:
    """A home: a recording from one of its moments on.

    Args:
        power: shared with other homes: a recording of weeks takes megabytes.
        share: in 0..1, where in the recording it begins, and where in each period it speaks.
    """

    def __init__(self, name: str, power: Power, share: float, scale: float) -> None:
        self._power = power
        self._scale = scale
        self.name = name
        self.share = share

    def power_w(self, after_s: float) -> float:
        """What it draws so many seconds after the simulation began, W."""
        return round(self._power.at_w(self.share * self._power.span_s + after_s) * self._scale, 1)


class Street:
    """Homes that speak at one interval, spread evenly over it.

    Args:
        recordings: taken in turn.
        first: the number of the first home, where several simulators share the homes.
    """

    def __init__(self, recordings: Sequence[Recording], homes: int, period_s: float, first: int = 0, name: str = "sim") -> None:
        self.period_s = period_s
        numbers = range(first, first + homes)
        powers = [Power(recording) for recording in recordings]
        self.homes = sorted((_home(powers, number, name) for number in numbers), key=lambda home: home.share)

    def readings(self, start_s: float) -> Iterator[Reading]:
        """All readings for ever, in order of their time; the first turn lies in the period after `start_s`."""
        turn_s = start_s
        while True:
            for home in self.homes:
                at_s = round(turn_s + home.share * self.period_s, 3)
                yield Reading(home.name, at_s, home.power_w(at_s - start_s))
            turn_s += self.period_s


def _home(powers: Sequence[Power], number: int, name: str) -> SimulatedHome:
    scale = _SMALLEST + (_LARGEST - _SMALLEST) * (number * _GOLDEN**2 % 1)
    return SimulatedHome(f"{name}-{number:05d}", powers[number % len(powers)], number * _GOLDEN % 1, round(scale, 3))
