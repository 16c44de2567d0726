"""Recorded mains through the streaming code: one row a tick, as it would have been said at that moment."""

import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.disaggregator.domain.home import Home, Step
from services.disaggregator.domain.in_lanes import MOST_LANES, Answers, answers
from services.disaggregator.domain.network import Floats, Network
from services.disaggregator.domain.tracking import Event

Times = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Progress = Callable[[int], None]

_CHUNK = 4096
_FEW = 128  # answers become lists: of more of them, they outgrow the processor's cache
_Answer = tuple[list[list[float]], list[list[float]]]
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


def disaggregate(
    networks: Sequence[Network], times_s: Times, mains_w: Floats, progress: Progress | None = None, most_lanes: int = MOST_LANES
) -> History:
    """Read a recording of one home, [samples] each; NaN is a gap.

    The networks are asked about many stretches at once (`in_lanes`), and what they answered is then heard reading by
    reading, as if they had been asked one tick after another.

    Args:
        networks: the models.
        times_s: seconds since 1970.
        mains_w: the home's power.
        progress: told how many more samples are done.
        most_lanes: in how many stretches at once a network is asked at most.
    """
    told = _Told(progress, len(times_s))
    asked = _asked(networks, times_s, mains_w, told.share(0.1))
    ticks = sum(len(each.power_w) for each in asked)
    heard = list[Iterator[_Answer]]()
    for network, each in zip(networks, asked, strict=True):
        share = 0.4 * len(each.power_w) / max(1, ticks)
        heard.append(
            _one_by_one(answers(network, np.array(each.power_w, np.float32), np.array(each.reset, np.bool_), told.share(share), most_lanes))
        )
    home = Home(networks)
    names = tuple(appliance.appliance for appliance in home.appliances)
    rows = _Rows(len(names))
    passes_through = _passes_through(networks, times_s)
    playing = told.share(0.5)
    for time_s, power_w in _readings(times_s, mains_w, playing):
        if power_w == power_w:
            for step in _heard(home, heard, time_s, power_w):
                rows.add(step)
        elif passes_through:
            rows.add_silence(time_s)
    told.finish()
    return rows.history(names, home.counts["dropped_readings"])


class _Asked(NamedTuple):
    """The ticks that a network is asked about: W, and whether its state is a reset's."""

    power_w: "array[float]"
    reset: "array[int]"


def _asked(networks: Sequence[Network], times_s: Times, mains_w: Floats, progress: Callable[[float], None]) -> list[_Asked]:
    """Which ticks there will be follows from the readings alone."""
    home, asked = Home(networks), [_Asked(array("f"), array("b")) for _ in networks]
    states: list[Floats | None] = [None for _ in networks]
    for time_s, power_w in _readings(times_s, mains_w, progress):
        if power_w != power_w:
            continue
        for tick, number in home.take(time_s, power_w).due:
            state = home.networks[number].state
            asked[number].power_w.append(tick.power_w)
            asked[number].reset.append(state is not states[number])
            states[number] = state
    return asked


def _heard(home: Home, heard: Sequence[Iterator[_Answer]], time_s: float, power_w: float) -> Iterator[Step]:
    closing, due = home.take(time_s, power_w)
    yield from closing
    for tick, number in due:
        network = home.networks[number]
        yield home.hear(tick, number, network.hear(tick, *next(heard[number]), network.state))


def _one_by_one(said: Answers) -> Iterator[_Answer]:
    for first in range(0, len(said.probability), _FEW):
        part = slice(first, first + _FEW)
        yield from zip(said.probability[part].tolist(), said.on_power_w[part].tolist(), strict=True)


def _readings(times_s: Times, mains_w: Floats, progress: Callable[[float], None]) -> Iterator[tuple[float, float]]:
    for first in range(0, len(times_s), _CHUNK):
        part = slice(first, first + _CHUNK)
        yield from zip(times_s[part].tolist(), mains_w[part].tolist(), strict=True)
        progress(min(_CHUNK, len(times_s) - first) / len(times_s))


class _Told:
    """Tells shares of the work as samples."""

    def __init__(self, progress: Progress | None, samples: int) -> None:
        self._progress, self._samples, self._done, self._said = progress, samples, 0.0, 0

    def share(self, whole: float) -> Callable[[float], None]:
        """Told shares of a part of the work that is this share of the whole."""

        def note(done: float) -> None:
            self._done += done * whole
            self._tell(min(int(self._done * self._samples), self._samples))

        return note

    def finish(self) -> None:
        """All is done."""
        self._tell(self._samples)

    def _tell(self, samples: int) -> None:
        if self._progress and samples > self._said:
            self._progress(samples - self._said)
            self._said = samples


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
