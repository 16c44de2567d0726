"""Many homes, each as if it were alone: all that are due are stepped in one batch a network."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from services.disaggregator.domain.home import Due, Home, Step
from services.disaggregator.domain.network import Network
from services.disaggregator.domain.saying import Sayer

MOST_TOGETHER = 256
"""Homes in one batch: with more of them their states outgrow the processor's cache, and a step costs twice as much."""
_CONTIGUOUS = 1.5


class Reading(NamedTuple):
    """One reading of one home: seconds since 1970, W."""

    home: str
    time_s: float
    power_w: float


class Resident(NamedTuple):
    """A home that is in memory, and what was said of it."""

    home: Home
    sayer: Sayer


class _Asking(NamedTuple):
    """A home that waits for answers: the ticks that it asks, the next one last, and where its steps go."""

    home: Home
    due: list[Due]
    said: list[Step]


class ManyHomes:
    """The homes in memory, the one that was heard least lately first.

    What a home says depends on its own readings alone: batches are made of ticks that belong to different homes, and the
    next tick of a home is asked for once the one before is answered.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        self._networks = networks
        self._residents: OrderedDict[str, Resident] = OrderedDict()

    def __len__(self) -> int:
        return len(self._residents)

    def __contains__(self, name: str) -> bool:
        return name in self._residents

    @property
    def names(self) -> list[str]:
        """The homes in memory."""
        return list(self._residents)

    def __getitem__(self, name: str) -> Resident:
        return self._residents[name]

    def admit(self, name: str, saved: Mapping[str, bytes], now_s: float, left_at_most_s: float) -> str | None:
        """Take a home into memory as it was left, or as a new one. Returns why a saved state was of no use, where it was not.

        Args:
            saved: the parts of its state; none for a home that was never heard.
            now_s: the time now.
            left_at_most_s: a state from further ahead would never be reached by a reading.
        """
        home, problem = Home(self._networks), None
        try:
            home.restore(saved)
        except (ValueError, KeyError, TypeError) as error:
            home, problem = Home(self._networks), f"it can't be read: {error!r}"
        if home.reading_s is not None and home.reading_s - now_s > left_at_most_s:
            home, problem = Home(self._networks), "it lies in the future"
        sayer = Sayer()
        if home.reading_s is not None:
            sayer.recall(home.appliances, home.reading_s)
        self._residents[name] = Resident(home, sayer)
        return problem

    def let_go(self, names: Iterable[str]) -> None:
        """Forget homes: they are admitted again with what was saved of them."""
        for name in names:
            self._residents.pop(name, None)

    def silent(self, before_s: float, most: int) -> list[str]:
        """The homes to let go: their newest reading is from before then, or there are more than `most` and they were heard least lately."""
        excess = len(self._residents) - most
        found: list[str] = []
        for place, (name, resident) in enumerate(self._residents.items()):
            if place >= excess and (resident.home.reading_s is None or resident.home.reading_s >= before_s):
                break
            found.append(name)
        return found

    def follows(self, name: str, last_s: float | None, time_s: float) -> bool:
        """Whether no reading can be missing between the last one and this one, as far as the meter's interval tells."""
        home = self._residents[name].home
        last_s = home.reading_s if last_s is None else last_s
        return last_s is None or home.interval_s is None or time_s - last_s <= _CONTIGUOUS * home.interval_s

    def read(self, readings: Sequence[Reading]) -> list[list[Step]]:
        """What each reading says, in order; every home is admitted, and a home's readings are in the order in which they count."""
        said = [list[Step]() for _ in readings]
        for wave in _waves(readings):
            asking: list[_Asking] = []
            for index in wave:
                reading = readings[index]
                home = self._residents[reading.home].home
                self._residents.move_to_end(reading.home)
                closing, due = home.take(reading.time_s, reading.power_w)
                said[index].extend(closing)
                if due:
                    asking.append(_Asking(home, list(reversed(due)), said[index]))
            while asking:
                asking = self._answer(asking)
        return said

    def _answer(self, asking: list[_Asking]) -> list[_Asking]:
        """One tick of each home; returns those that ask on."""
        by_network: defaultdict[int, list[_Asking]] = defaultdict(list)
        for one in asking:
            by_network[one.due[-1].network].append(one)
        for number, group in by_network.items():
            for first in range(0, len(group), MOST_TOGETHER):
                self._step(number, group[first : first + MOST_TOGETHER])
        return [one for one in asking if one.due]

    def _step(self, number: int, group: list[_Asking]) -> None:
        ticks = [one.due.pop().tick for one in group]
        running = [one.home.networks[number] for one in group]
        power_w = np.array([[tick.power_w] for tick in ticks], np.float32)
        state = np.concatenate([network.state for network in running])
        probability, on_power_w, state_next = self._networks[number].step(power_w, state)
        chances, watts = probability.tolist(), on_power_w.tolist()
        for place, one in enumerate(group):
            # A copy: a view would keep the whole batch alive for as long as the slowest of its homes.
            kept = state_next[place : place + 1].copy()
            answer = running[place].hear(ticks[place], chances[place], watts[place], kept)
            one.said.append(one.home.hear(ticks[place], number, answer))


def _waves(readings: Sequence[Reading]) -> list[list[int]]:
    """The readings' places: first the first of each home, then the second of each, and so on."""
    turns, waves = Counter[str](), list[list[int]]()
    for index, reading in enumerate(readings):
        turn = turns[reading.home]
        turns[reading.home] += 1
        if turn == len(waves):
            waves.append([])
        waves[turn].append(index)
    return waves
