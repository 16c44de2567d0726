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


class SimulatedHome:
    """A home: a recording from one of its moments on, again and again, its power held between the recorded readings.

    Args:
        share: in 0..1, where in the recording it begins, and where in each period it speaks.
    """

    def __init__(self, name: str, recording: Recording, share: float, scale: float) -> None:
        valid = np.isfinite(recording.mains_w)
        self._at_s = (recording.at_us[valid] - recording.at_us[valid][0]) / 1e6
        self._mains_w = recording.mains_w[valid]
        self._span_s = float(self._at_s[-1]) + 1.0
        self._begins_s = share * self._span_s
        self._scale = scale
        self.name = name
        self.share = share

    def power_w(self, after_s: float) -> float:
        """What it draws so many seconds after the simulation began, W."""
        place = np.searchsorted(self._at_s, (self._begins_s + after_s) % self._span_s, side="right") - 1
        return round(float(self._mains_w[place]) * self._scale, 1)


class Street:
    """Homes that speak at one interval, spread evenly over it.

    Args:
        recordings: taken in turn.
        first: the number of the first home, where several simulators share the homes.
    """

    def __init__(self, recordings: Sequence[Recording], homes: int, period_s: float, first: int = 0, name: str = "sim") -> None:
        self.period_s = period_s
        numbers = range(first, first + homes)
        self.homes = sorted((_home(recordings, number, name) for number in numbers), key=lambda home: home.share)

    def readings(self, start_s: float) -> Iterator[Reading]:
        """All readings for ever, in order of their time; the first turn lies in the period after `start_s`."""
        turn_s = start_s
        while True:
            for home in self.homes:
                at_s = round(turn_s + home.share * self.period_s, 3)
                yield Reading(home.name, at_s, home.power_w(at_s - start_s))
            turn_s += self.period_s


def _home(recordings: Sequence[Recording], number: int, name: str) -> SimulatedHome:
    scale = _SMALLEST + (_LARGEST - _SMALLEST) * (number * _GOLDEN**2 % 1)
    return SimulatedHome(f"{name}-{number:05d}", recordings[number % len(recordings)], number * _GOLDEN % 1, round(scale, 3))
