"""Recorded mains through the streaming code: one row a tick, as it would have been said at that moment."""

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.disaggregator.domain.home import Home, Step
from services.disaggregator.domain.network import Floats, Network
from services.disaggregator.domain.tracking import Event

Times = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Progress = Callable[[int], None]

_CHUNK = 4096
_ON_THE_PERIOD = 0.1


@dataclass(frozen=True)
class History:
    """What was said, one row a tick.

    Attributes:
        times_s: seconds since 1970, [rows].
        mains_w: mean mains power of the tick, NaN in a gap, [rows].
        probability, running, power_w: said at that time, [rows, appliances]; probability is NaN in a gap.
        running_corrected, power_w_corrected: known of that time after the model's longest lag, [rows, appliances].
        dropped_readings: those that were not later than the one before.
    """

    appliances: tuple[str, ...]
    times_s: Times
    mains_w: Floats
    probability: Floats
    running: Flags
    power_w: Floats
    running_corrected: Flags
    power_w_corrected: Floats
    events: tuple[Event, ...]
    dropped_readings: int


def disaggregate(networks: Sequence[Network], times_s: Times, mains_w: Floats, progress: Progress | None = None) -> History:
    """Read a recording of one home, [samples] each; NaN is a gap. `progress` is told how many samples are done."""
    home = Home(networks)
    names = tuple(appliance.appliance for appliance in home.appliances)
    rows = _Rows(len(names))
    passes_through = _passes_through(networks, times_s)
    for first in range(0, len(times_s), _CHUNK):
        part = slice(first, first + _CHUNK)
        for time_s, power_w in zip(times_s[part].tolist(), mains_w[part].tolist(), strict=True):
            if power_w == power_w:
                for step in home.read(time_s, power_w):
                    rows.add(step)
            elif passes_through:
                rows.add_silence(time_s)
        if progress:
            progress(min(_CHUNK, len(times_s) - first))
    return rows.history(names, home.counts["dropped_readings"])


def _passes_through(networks: Sequence[Network], times_s: Times) -> bool:
    """Whether the samples are ticks as they are, so that a missing one is a row without an answer."""
    if len(times_s) < 2:
        return False
    finest_s = min(network.model.period_s for network in networks)
    return bool(abs(np.median(np.diff(times_s)) - finest_s) <= _ON_THE_PERIOD * finest_s)


class _Rows:
    """Collects steps: plain numbers in a row, since a year has a million of them."""

    def __init__(self, appliances: int) -> None:
        self.times_s, self.mains_w = array("d"), array("f")
        self.probability, self.running, self.power_w = array("f"), array("b"), array("f")
        self.events = list[Event]()
        self._appliances = appliances
        self._silence = ([math.nan] * appliances, [False] * appliances, [0.0] * appliances)
        self._rows_of: dict[int, array[int]] = {}
        self._corrections = array("d")

    def add(self, step: Step) -> None:
        """One step; several networks that tick at one time make one row."""
        self.events.extend(step.events)
        if step.network is None:
            return
        if self.times_s and self.times_s[-1] == step.time_s:
            self._take_back()
        self._append(step.time_s, step.mains_w, step.probability, step.running, step.power_w)
        rows = self._rows_of.setdefault(step.network, array("q"))
        rows.append(len(self.times_s) - 1)
        for correction in step.corrections:
            self._corrections.extend((rows[-1 - correction.ticks_ago], correction.column, correction.running, correction.power_w))

    def add_silence(self, time_s: float) -> None:
        """A tick of which nothing is known."""
        self._append(time_s, math.nan, *self._silence)

    def _append(self, time_s: float, mains_w: float, probability: list[float], running: list[bool], power_w: list[float]) -> None:
        self.times_s.append(time_s)
        self.mains_w.append(mains_w)
        self.probability.extend(probability)
        self.running.extend(running)
        self.power_w.extend(power_w)

    def _take_back(self) -> None:
        for column in (self.times_s, self.mains_w):
            column.pop()
        for column in (self.probability, self.running, self.power_w):
            del column[-self._appliances :]

    def history(self, names: tuple[str, ...], dropped: int) -> History:
        """All of it, in order of time."""
        shape = (-1, self._appliances)
        probability, power_w = (np.array(column, np.float32).reshape(shape) for column in (self.probability, self.power_w))
        running = np.array(self.running, np.bool_).reshape(shape)
        running_corrected, power_w_corrected = self._corrected(running, power_w)
        times_s = np.array(self.times_s, np.float64)
        order = np.argsort(times_s, kind="stable")
        return History(
            names, times_s[order], np.array(self.mains_w, np.float32)[order], probability[order], running[order], power_w[order],
            running_corrected[order], power_w_corrected[order], tuple(self.events), dropped,
        )  # fmt: skip

    def _corrected(self, running: Flags, power_w: Floats) -> tuple[Flags, Floats]:
        """What was said, replaced by what was known later; before a gap there is no later."""
        later = np.array(self._corrections, np.float64).reshape(-1, 4)
        at = (later[:, 0].astype(np.int64), later[:, 1].astype(np.int64))
        running, power_w = running.copy(), power_w.copy()
        running[at], power_w[at] = later[:, 2] > 0, later[:, 3]
        return running, power_w
