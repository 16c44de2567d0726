"""A network over a long recording, many stretches of it at once, with the answers of one tick after another.

The recording is cut into lanes that are stepped in one batch. At first each begins as after a reset, which is right for
the first one only. Then every lane whose beginning differs from what the lane before it ended with is run again from
there, until it meets what it went through before; and so on until each begins where the one before it ended. What is
said of a tick never depends on a later one: it follows from the state that the ticks before it have left.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from services.disaggregator.domain.network import Floats, Network

MOST_LANES = 128
SHORTEST_LANE = 1024
"""Ticks; shorter recordings are stepped tick by tick."""
CHECK_EVERY = 128
SAME = 1e-4
"""Carried numbers that differ by this share (or, below 1, by this much) are the same: batches of other sizes round otherwise."""

Flags = npt.NDArray[np.bool_]
Progress = Callable[[float], None]


class Answers(NamedTuple):
    """Of each tick: probability, and watts while running, [ticks, appliances, lags]."""

    probability: Floats
    on_power_w: Floats


def answers(network: Network, power_w: Floats, resets: Flags, progress: Progress, most_lanes: int = MOST_LANES) -> Answers:
    """What a network says of every tick.

    Args:
        network: asked for several homes at once.
        power_w: mean mains power of each tick, [ticks].
        resets: before which ticks its state is a reset's, [ticks].
        progress: told which share of the ticks was stepped for the first time since the last call.
        most_lanes: 1 steps tick by tick.
    """
    count = max(1, min(most_lanes, len(power_w) // SHORTEST_LANE))
    lanes = _Lanes(network, power_w, resets, count)
    lanes.run(np.arange(count), progress)
    while len(wrong := lanes.begun_wrong()):
        lanes.run(wrong, _no_progress)
    return Answers(lanes.probability[: len(power_w)], lanes.on_power_w[: len(power_w)])


def _no_progress(_share: float) -> None:
    return


class _Lanes:
    def __init__(self, network: Network, power_w: Floats, resets: Flags, count: int) -> None:
        self._network, model = network, network.model
        self._length = -(-len(power_w) // count)
        padding = (0, count * self._length - len(power_w))
        self._power_w = np.pad(power_w, padding).reshape(count, self._length)
        self._resets = np.pad(resets, padding).reshape(count, self._length)
        self.probability, self.on_power_w = (
            np.empty((count * self._length, len(model.heads), len(model.lags_s)), np.float32) for _ in range(2)
        )
        self._began, self._ended, self._slope = (np.zeros((count, model.state_size), np.float32) for _ in range(3))
        self._wanted = self._began.copy()
        checks = -(-self._length // CHECK_EVERY)
        self._passed = np.empty((checks, count, model.state_size), np.float32)
        self._ran = False

    def begun_wrong(self) -> npt.NDArray[np.int64]:
        """The lanes that did not begin where the one before them ended.

        A number that a lane carries through (a counter that nothing resets, say) ends as much higher as it began higher. So
        each lane's end is guessed from how it answered to another beginning; without that, a counter would have to be
        carried on lane by lane.
        """
        for lane in range(1, len(self._wanted)):
            before = lane - 1
            self._wanted[lane] = self._ended[before] + self._slope[before] * (self._wanted[before] - self._began[before])
        return np.flatnonzero(~_same(self._wanted, self._began))

    def run(self, lanes: npt.NDArray[np.int64], progress: Progress) -> None:
        """Step these lanes from where they should begin until they end, or are where they were before."""
        moved = self._wanted[lanes] - self._began[lanes]
        before = self._ended[lanes].copy()
        self._began[lanes] = self._wanted[lanes]
        everyone, state = lanes, self._wanted[lanes].copy()
        for first in range(0, self._length, CHECK_EVERY):
            passed = self._passed[first // CHECK_EVERY]
            running = ~_same(state, passed[lanes]) | (not self._ran)
            lanes, state = lanes[running], state[running]
            if not len(lanes):
                break
            passed[lanes] = state
            last = min(first + CHECK_EVERY, self._length)
            state = self._step(lanes, state, first, last)
            progress((last - first) / self._length)
        self._ended[lanes], self._ran = state, True
        self._slope[everyone] = _slope(self._ended[everyone] - before, moved, self._ended[everyone] == self._began[everyone])

    def _step(self, lanes: npt.NDArray[np.int64], state: Floats, first: int, last: int) -> Floats:
        rows = lanes * self._length
        power_w, resets = self._power_w[lanes], self._resets[lanes]
        reset_at: Flags = np.logical_or.reduce(resets[:, first:last], axis=0)
        for tick in range(first, last):
            if reset_at[tick - first]:
                state[resets[:, tick]] = 0
            probability, on_power_w, state = self._network.step(np.ascontiguousarray(power_w[:, tick : tick + 1]), state)
            self.probability[rows + tick], self.on_power_w[rows + tick] = probability, on_power_w
        return state


def _slope(change: Floats, moved: Floats, kept: Flags) -> Floats:
    """How an end follows its beginning; where the beginning was the same, a number that did not change may be carried through."""
    told = np.abs(moved) > SAME
    return np.where(told, np.clip(change / np.where(told, moved, 1), 0, 1), kept)


def _same(one: Floats, other: Floats) -> Flags:
    """Whether states are the same, [rows]. A broken network's NaN is the same as NaN, or there would be no end of it."""
    close: Flags = np.isclose(one, other, rtol=SAME, atol=SAME, equal_nan=True)
    return np.logical_and.reduce(close, axis=1)
