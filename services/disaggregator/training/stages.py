"""The features of `features.py` as a few wide operations: the exported graph's way.

At one home every operation of a graph costs some tenths of a microsecond, however little it does. So the features are
computed in columns that are all treated alike:

    columns = min(max(power * (memory . times_power + first) + (memory . plus + always), lowest), highest) * kept
    kept    = relu(which of the columns exceed their thresholds . conditions + unconditional)

and what the network sees, and the memory of the next sample, are sums of columns; some are seen under a logarithm. The scales
of the features are not here: they belong into the weights of whoever reads them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from services.disaggregator.training import features as by_name
from services.disaggregator.training.features import LINEAR_SCALES, MEAN_UNITS, MOST_LINEAR, MOST_MEAN_STEP_W, MOST_STEP, STEP_SCALES
from services.disaggregator.training.packs import Floats

Sum = Mapping[str, float]
"""Weights of columns by name; `one` is a constant."""
MEANS = tuple(f"mean{number}" for number in range(len(MEAN_UNITS)))
_ANY = float(np.finfo(np.float32).max)
_COUNTED = ("heating", "block", "since")


class Affine(NamedTuple):
    """A matrix [from, to] and what is added, [to]."""

    weights: Floats
    constant: Floats


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        power: how much of the power is in it.
        if_first: how much of the power in addition, where the memory is a reset's.
        memory: how much of the memory, by name.
        while_: when it is kept: always, while something heats, or while that has lasted for long; else it is 0.
    """

    name: str
    power: float = 0.0
    if_first: float = 0.0
    memory: Sum = field(default_factory=dict[str, float])
    constant: float = 0.0
    lowest: float = -_ANY
    highest: float = _ANY
    while_: Literal["always", "hot", "long"] = "always"


@dataclass(frozen=True)
class Stages:
    """The matrices of one clock and window.

    Attributes:
        times_power, plus: of the memory, to all columns.
        lowest, highest: bounds of the columns.
        thresholds, conditions: which columns are looked at, and what keeps a column.
        under_log: of the columns, to what is seen as a logarithm: the window's, then the features'.
        plain, most_plain: of the columns, to what is seen as it is, and its bounds: the features, the constant 1, the window.
        memory_next: of the columns.
        scales: what each number seen has to be multiplied with, [seen].
        features: the places of the features in what is seen, in the order of `features.py`, the constant behind them; the window's
            places likewise.
    """

    times_power: Affine
    plus: Affine
    lowest: Floats
    highest: Floats
    thresholds: Floats
    conditions: Affine
    under_log: Affine
    plain: Affine
    most_plain: Floats
    memory_next: Affine
    scales: Floats
    features: list[int]
    window: list[int]

    @property
    def memory_size(self) -> int:
        """Numbers that are carried from sample to sample."""
        return len(self.memory_next.constant)


def stages(period_s: float, ages: Sequence[int]) -> Stages:
    """For a clock, and recent samples of these ages."""
    ring = max(ages)
    remembered = ["seen", *_COUNTED, *MEANS, "baseline", *(_sample(age) for age in range(1, ring + 1))]
    columns = _columns(period_s, ring)
    names = [column.name for column in columns]
    means, window = _means(period_s), [{_sample(age): 1.0} for age in ages]
    logs = [*window, *_shown(""), *means]
    plain = [*_shown("_bounded"), *means, {"step_large": 1.0}, {"step_small": 1.0}, {"one": 1.0}, *window]
    linear, log = by_name.WINDOW_SCALES
    scales = [*[log] * len(window), *by_name.LOG_SCALES, *LINEAR_SCALES, *STEP_SCALES, 1.0, *[linear] * len(window)]
    most_plain = np.full(len(plain), _ANY, np.float32)
    most_plain[[plain.index(mean) for mean in means]] = [MOST_LINEAR / scale for scale in LINEAR_SCALES[-len(means) :]]
    first, last = len(window), len(scales) - len(window)
    return Stages(
        times_power=_affine(remembered, [{"seen": -column.if_first, "one": column.power + column.if_first} for column in columns]),
        plus=_affine(remembered, [{**column.memory, "one": column.constant} for column in columns]),
        lowest=np.array([column.lowest for column in columns], np.float32),
        highest=np.array([column.highest for column in columns], np.float32),
        thresholds=_thresholds(names),
        conditions=_affine(names, [_KEPT[column.while_] for column in columns]),
        under_log=_affine(names, [{**each, "one": 1.0} for each in logs]),
        plain=_affine(names, plain),
        most_plain=most_plain,
        memory_next=_affine(names, _memory_next(period_s, ring)),
        scales=np.array(scales, np.float32),
        features=list(range(first, last - 1)),
        window=[*range(last, len(scales)), *range(first)],
    )


_KEPT: dict[str, Sum] = {
    "always": {"one": 1.0},
    "hot": {"excess": 1.0},
    "long": {"excess": 1.0, "heating_long": 1.0, "one": -1.0},
}
"""Sums of flags: `excess` stands for something that heats, `heating_long` for that having lasted."""


def _thresholds(names: list[str]) -> Floats:
    """A column's flag is up above its threshold."""
    thresholds = np.full(len(names), _ANY, np.float32)
    thresholds[names.index("excess")] = by_name.HEATER_W
    thresholds[names.index("heating_long")] = np.nextafter(np.float32(by_name.LONG_BLOCK), np.float32(0))
    return thresholds


def _columns(period_s: float, ring: int) -> list[Column]:
    """Each as it is, and again where it is shown bounded."""
    tick = period_s / 30
    power, excess, size, heating, block, since = (MOST_LINEAR / scale for scale in LINEAR_SCALES[:6])
    return [
        Column("power", 1),
        Column("power_bounded", 1, highest=power),
        *(Column(f"excess{end}", 1, -1, {"baseline": -1}, lowest=0, highest=most) for end, most in (("", _ANY), ("_bounded", excess))),
        Column("baseline", 0, 1, {"baseline": 1}),
        Column("below", -1, 1, {"baseline": 1}, lowest=0),
        *_steps("", _ANY),
        *_steps("_bounded", size),
        *_steps("_mean", MOST_MEAN_STEP_W),
        *(
            Column(f"step_{kind}", 1, -1, {"ago1": -1}, lowest=-MOST_STEP / scale, highest=MOST_STEP / scale)
            for kind, scale in zip(("large", "small"), STEP_SCALES, strict=True)
        ),
        Column("hot", constant=1, while_="hot"),
        *_counter("heating", "heating", tick, heating, "hot"),
        *_counter("heating_long", "heating", tick, block, "long"),
        *_counter("block", "block", 0, block, "always"),
        *_counter("block_over", "block", 0, block, "long"),
        *_counter("since", "since", tick, since, "always"),
        *_counter("since_over", "since", tick, since, "long"),
        *(Column(name, memory={name: 1 - float(share)}) for name, share in zip(MEANS, by_name.shares(period_s), strict=True)),
        *(Column(name, 0, 1, {name: 1}) for name in (_sample(age) for age in range(1, ring + 1))),
    ]


def _steps(end: str, most: float) -> list[Column]:
    """The power's rise and its fall, one of which is 0: their sum is the step's size."""
    rise = Column(f"rise{end}", 1, -1, {"ago1": -1}, lowest=0, highest=most)
    return [rise, Column(f"fall{end}", -1, 1, {"ago1": 1}, lowest=0, highest=most)]


def _counter(name: str, memory: str, tick: float, most: float, while_: Literal["always", "hot", "long"]) -> list[Column]:
    return [
        Column(f"{name}{end}", memory={memory: 1}, constant=tick, highest=bound, while_=while_)
        for end, bound in (("", _ANY), ("_bounded", most))
    ]


def _shown(end: str) -> list[Sum]:
    """Power, excess, the step's size and the counters, from columns that are bounded or not."""
    block = {f"heating_long{end}": 1.0, f"block{end}": 1.0, f"block_over{end}": -1.0}
    counted = [{f"heating{end}": 1.0}, block, {f"since{end}": 1.0, f"since_over{end}": -1.0}]
    return [{f"power{end}": 1.0}, {f"excess{end}": 1.0}, {f"rise{end}": 1.0, f"fall{end}": 1.0}, *counted]


def _means(period_s: float) -> list[Sum]:
    now: list[Sum] = [{"excess": 1.0}, {"excess": 1.0}, {"rise_mean": 1.0, "fall_mean": 1.0}, {"hot": 1.0}]
    shares = [float(share) * unit for share, unit in zip(by_name.shares(period_s), MEAN_UNITS, strict=True)]
    return [
        {name: 1.0, **{column: share * weight for column, weight in each.items()}}
        for name, share, each in zip(MEANS, shares, now, strict=True)
    ]


def _memory_next(period_s: float, ring: int) -> list[Sum]:
    counted = _shown("")[-len(_COUNTED) :]
    # Not power less excess: what rounding leaves of a large power would stay in the baseline.
    baseline = {"baseline": 1.0, "below": -1.0, "one": float(by_name.rise_w(period_s))}
    return [{"one": 1.0}, *counted, *_means(period_s), baseline, *({_sample(age): 1.0} for age in range(ring))]


def _sample(age: int) -> str:
    return f"ago{age}" if age else "power"


def _affine(names: list[str], sums: Sequence[Sum]) -> Affine:
    """Each sum in a column of the matrix."""
    weights, constant = np.zeros((len(names), len(sums)), np.float32), np.zeros(len(sums), np.float32)
    for place, each in enumerate(sums):
        for name, weight in each.items():
            if name == "one":
                constant[place] = weight
            else:
                weights[names.index(name), place] = weight
    return Affine(weights, constant)
