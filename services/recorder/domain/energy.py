"""Energy from power, minute by minute, in whole numbers.

Times are microseconds since 1970, powers milliwatts, energies millijoules: sums are exact, so the order of the additions,
a restart between them, or doing them again changes nothing. A minute's row depends only on the readings around it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOLE_US = MINUTE_US
"""A longer time between two readings of the mains is a hole."""
HOLD_US = 150 * SECOND_US
"""An appliance's state is said each minute: after two missed ones, nobody knows."""
MJ_PER_KWH = 3_600_000_000


class Reading(NamedTuple):
    """A power at an instant."""

    at_us: int
    power_mw: int


@dataclass(slots=True)
class Minute:
    """What a minute held. `least_mw` and `most_mw` are those of the straight lines between readings."""

    least_mw: int
    most_mw: int
    covered_us: int = 0
    imported_mj: int = 0
    exported_mj: int = 0

    def see(self, power_mw: int) -> None:
        """Widen the range."""
        self.least_mw = min(self.least_mw, power_mw)
        self.most_mw = max(self.most_mw, power_mw)


@dataclass(frozen=True)
class Gap:
    """A hole between two readings: not counted, its energy only estimated."""

    start_us: int
    end_us: int
    estimate_mj: int


Minutes = dict[int, Minute]
"""By the minute's start, µs."""


def floor_minute(at_us: int) -> int:
    """The start of the minute."""
    return at_us - at_us % MINUTE_US


def trapezoid_mj(first_mw: int, last_mw: int, span_us: int) -> int:
    """The energy of a straight line between two powers of one sign, rounded to the nearest millijoule."""
    return ((first_mw + last_mw) * span_us + SECOND_US) // (2 * SECOND_US)


def integrate(readings: Sequence[Reading]) -> tuple[Minutes, list[Gap]]:
    """The minutes and holes of readings in order of time; energy is split where a minute ends and where the sign turns.

    Args:
        readings: at different times, ascending.
    """
    minutes: Minutes = {}
    gaps: list[Gap] = []
    for reading in readings:
        _minute(minutes, floor_minute(reading.at_us), reading.power_mw)
    for first, last in pairwise(readings):
        if last.at_us - first.at_us > HOLE_US:
            gaps.append(Gap(first.at_us, last.at_us, max(0, trapezoid_mj(first.power_mw, last.power_mw, last.at_us - first.at_us))))
        else:
            _add(minutes, first, last)
    return minutes, gaps


def integrate_held(states: Sequence[Reading]) -> Minutes:
    """The minutes of a power that holds until it is said anew; nothing is counted where that takes longer than `HOLD_US`."""
    minutes: Minutes = {}
    for first, last in pairwise(states):
        if last.at_us - first.at_us <= HOLD_US:
            _add(minutes, first, Reading(last.at_us, first.power_mw))
    return minutes


def share(home_mj: int, wanted_mj: Mapping[int, int]) -> dict[int, int]:
    """The appliances' energies of a minute, scaled down where they would add up to more than the home's."""
    total_mj = sum(wanted_mj.values())
    if total_mj <= home_mj:
        return dict(wanted_mj)
    return {subject: energy_mj * home_mj // total_mj for subject, energy_mj in wanted_mj.items()}


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges that overlap or touch, made one."""
    found: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def touched(at_us: int, reach_us: int) -> tuple[int, int]:
    """The minutes that a reading can change: those within its reach."""
    return floor_minute(at_us - reach_us), floor_minute(at_us + reach_us) + MINUTE_US


def _add(minutes: Minutes, first: Reading, last: Reading) -> None:
    for start, end in _within_minutes(first, last):
        minute = _minute(minutes, floor_minute(start.at_us), start.power_mw)
        minute.see(end.power_mw)
        minute.covered_us += end.at_us - start.at_us
        for left, right in _within_signs(start, end):
            energy_mj = trapezoid_mj(left.power_mw, right.power_mw, right.at_us - left.at_us)
            if energy_mj >= 0:
                minute.imported_mj += energy_mj
            else:
                minute.exported_mj -= energy_mj


def _minute(minutes: Minutes, start_us: int, power_mw: int) -> Minute:
    minute = minutes.get(start_us)
    if minute is None:
        minute = minutes[start_us] = Minute(power_mw, power_mw)
    else:
        minute.see(power_mw)
    return minute


def _within_minutes(first: Reading, last: Reading) -> Iterator[tuple[Reading, Reading]]:
    start, span_us = first, last.at_us - first.at_us
    boundary_us = floor_minute(first.at_us) + MINUTE_US
    while boundary_us < last.at_us:
        power_mw = first.power_mw + (last.power_mw - first.power_mw) * (boundary_us - first.at_us) // span_us
        boundary = Reading(boundary_us, power_mw)
        yield start, boundary
        start, boundary_us = boundary, boundary_us + MINUTE_US
    yield start, last


def _within_signs(first: Reading, last: Reading) -> Iterator[tuple[Reading, Reading]]:
    if first.power_mw * last.power_mw >= 0:
        yield first, last
        return
    span_us = (last.at_us - first.at_us) * abs(first.power_mw) // (abs(first.power_mw) + abs(last.power_mw))
    zero = Reading(first.at_us + span_us, 0)
    yield first, zero
    yield zero, last
