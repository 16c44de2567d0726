"""Courses of power that are put into a home's mains, and one that is changed: what makes one home look like another."""

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from services.disaggregator.training.packs import Floats

Times = npt.NDArray[np.float64]
Course = TypeVar("Course", bound=npt.NDArray[Any])
_REACH_S = 1800


def add_heater(mains: Floats, random: np.random.Generator, period_s: float, rooms_share: float) -> None:
    """Put in a heater that no one labelled: a shower, an oven, an iron, a heated room; never what a kettle or a microwave looks like."""
    power_w = _between(600, 9500, random)
    size = int(heating_minutes(power_w, random, rooms_share) * 60 / period_s) + 1
    cycle_s, duty = random.uniform(60, 600), random.uniform(0.3, 1.0)
    first, end, at = somewhere(np.arange(size), len(mains), random)
    cycles = random.random() < 0.4 and power_w < 3300
    on = (at * period_s) % cycle_s < duty * cycle_s if cycles else np.ones(len(at), bool)
    mains[first:end] += np.float32(power_w) * on


def somewhere(course: Course, size: int, random: np.random.Generator) -> tuple[int, int, Course]:
    """A place for a course in a sequence of `size` samples: first and last (exclusive) index, and the part of it that lies inside."""
    start = int(random.integers(-len(course) // 2, max(1, size)))
    first, end = max(0, start), max(0, min(size, start + len(course)))
    return first, max(first, end), course[first - start : max(first, end) - start]


def heating_minutes(power_w: float, random: np.random.Generator, rooms_share: float) -> float:
    """How long such a heater is on: a room's for hours, a shower for minutes, one with a kettle's or a microwave's power for longer."""
    if random.random() < rooms_share:
        return _between(40, 800, random)
    if power_w > 3600 and random.random() < 0.6:
        return _between(0.4, 4, random)
    least = 15.0 if power_w < 1700 else 8.0 if power_w < 3300 else 0.0
    return max(least, _between(3, 40, random))


def _between(least: float, most: float, random: np.random.Generator) -> float:
    """Each doubling is as likely as the next."""
    return float(np.exp(random.uniform(np.log(least), np.log(most))))


def add_wandering(mains: Floats, random: np.random.Generator, period_s: float) -> None:
    """Put in what changes slowly and without steps: a heat pump, many small things at once."""
    apart = max(1, int(random.uniform(2, 20) * 60 / period_s))
    knots = np.abs(np.cumsum(random.normal(0, 1, len(mains) // apart + 2)))
    course = np.interp(np.arange(len(mains)), np.arange(len(knots)) * apart, knots / max(1.0, float(knots.max())))
    mains += np.float32(_between(50, 1500, random)) * course.astype(np.float32)


def add_cycler(mains: Floats, random: np.random.Generator, period_s: float) -> None:
    """Put in what switches on and off for hours all by itself, and draws too much for a fridge: a room's heater, a dehumidifier, a pump.

    Its edges lie between samples, as a meter's means show them: with edges on samples it is known by them, and its power is not learnt.
    """
    power_w, duty, cycle_s = _between(260, 600, random), random.uniform(0.2, 0.8), _between(600, 3600, random)
    cycles = 1 + int(_between(3600, 120_000, random) / cycle_s)
    edges_s = np.cumsum(np.tile([1 - duty, duty], cycles) * cycle_s * random.uniform(0.8, 1.25, 2 * cycles))
    share = share_on(edges_s, int(edges_s[-1] / period_s) + 2, period_s)
    share *= 1 + random.normal(0, random.uniform(0, 0.008), len(share))
    first, end, part = somewhere(power_w * share, len(mains), random)
    mains[first:end] += part.astype(np.float32)


def share_on(edges_s: Times, size: int, period_s: float) -> Times:
    """How much of each of `size` samples something is on that starts and stops at these times in turn."""
    lasting_s = np.diff(edges_s, prepend=0.0)
    lasting_s[::2] = 0  # off until the first, third, ... of the edges
    return np.diff(np.interp(np.arange(size + 1) * period_s, edges_s, np.cumsum(lasting_s))) / period_s


def bared(others: Floats, random: np.random.Generator, period_s: float) -> Floats:
    """The rest of a home [samples] with all that is small taken out: a base that hardly moves, and what stands out from it."""
    reach = int(_REACH_S / period_s)
    lowest = np.lib.stride_tricks.sliding_window_view(np.pad(others, (reach, 0), "edge"), reach + 1).min(1)
    outstanding = np.maximum(others - lowest - _between(20, 200, random), 0)
    noise_w = random.normal(0, random.choice([0.0, 0.5, 2.0]), len(others))
    return (outstanding + _between(30, 400, random) + noise_w).astype(np.float32)


def halved(values: Floats) -> Floats:
    """[..., samples] as a meter of half the speed tells them: each pair's mean, said with its last sample and held for one more."""
    means = (values[..., 1:] + values[..., :-1]) / 2
    out = values.copy()
    out[..., 1::2] = means[..., ::2]
    out[..., 2::2] = means[..., ::2][..., : out[..., 2::2].shape[-1]]
    return out


def crop_prelude(piece: Floats, share: float) -> Floats:
    """Leave out a share of what comes before the first heater block: homes differ most in it."""
    hot = np.flatnonzero(piece > 1000)
    return piece[int(hot[0] * share) :] if len(hot) else piece


def warped(piece: Floats, most: float, random: np.random.Generator) -> Floats:
    """The same course, each of up to six parts of it slower or faster by up to `most`; what isn't heated draws more or less.

    Homes' programmes differ in how long each phase lasts: a network that has seen one course alone recites it.
    """
    cuts = np.sort(random.integers(0, len(piece) + 1, int(random.integers(1, 6))))
    parts = [part for part in np.split(piece, cuts) if len(part)]
    factors = np.exp(random.uniform(-np.log(most), np.log(most), len(parts)))
    changed = np.concatenate([stretch(part, float(factor)) for part, factor in zip(parts, factors, strict=True)])
    return np.where(changed < 400, changed * np.float32(np.exp(random.uniform(-0.7, 0.7))), changed)


def stretch(piece: Floats, factor: float) -> Floats:
    """The same course over `factor` times the samples; each new sample is the mean of what it covers."""
    if factor == 1.0 or len(piece) < 2:
        return piece
    size = max(1, round(len(piece) * factor))
    edges: npt.NDArray[np.float64] = np.linspace(0, len(piece), size + 1)
    energy = np.interp(edges, np.arange(len(piece) + 1), np.concatenate(([0.0], np.cumsum(piece, dtype=np.float64))))
    return (np.diff(energy) * size / len(piece)).astype(np.float32)
