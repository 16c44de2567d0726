"""Training sequences: real mains, and synthetic ones where an appliance of one home runs in another."""

from dataclasses import dataclass, field

import numpy as np

from services.disaggregator.training.activations import Flags, activations, cut, rule_of, running, runs
from services.disaggregator.training.courses import (
    add_cycler,
    add_heater,
    add_wandering,
    bared,
    crop_prelude,
    halved,
    somewhere,
    stretch,
    warped,
)
from services.disaggregator.training.packs import Floats, Recording


@dataclass(frozen=True)
class Variation:
    """How one appliance's own sequences are varied; they count for that appliance only.

    `share` of all sequences are drawn for it: round one of its starts, its own runs taken out in `remove_share` of
    them, runs of any home put in in `insert_share`, with their highest power drawn from `peak_w`; parts of such a run
    are made slower or faster by up to `warp`.
    """

    share: float = 0.1
    remove_share: float = 0.0
    insert_share: float = 0.8
    insert_most: int = 3
    stretch: tuple[float, float] = (1.0, 1.0)
    peak_w: tuple[float, float] | None = None
    crop_share: float = 0.0
    warp: float = 1.0


@dataclass(frozen=True)
class Mixture:
    """What an epoch is made of; sequences that no appliance's own variation claims are real mains and count for all.

    `heater_share` of them get a heater that no one labelled (`rooms_share` of these are on for hours), `wandering_share` a load
    without steps, `cycler_share` one that switches on and off for hours; in `bare_share` the home's base never moves.
    `distractors` are other appliances whose runs are put in as well, without being said. `slow_share` of the sequences
    come from a meter that is half as fast as the clock. In `swap_share` of them a single appliance that runs all day (a
    fridge) gives way to another home's or time's, its time stretched and its power scaled.
    """

    own: dict[str, Variation] = field(default_factory=dict[str, Variation])
    around_share: float = 0.5
    mains_power: tuple[float, float] = (0.9, 1.1)
    base_w: float = 150.0
    heater_share: float = 0.2
    rooms_share: float = 0.25
    wandering_share: float = 0.0
    cycler_share: float = 0.0
    bare_share: float = 0.0
    distractors: tuple[tuple[str, Variation], ...] = ()
    distract_share: float = 0.0
    slow_share: float = 0.0
    swap_share: float = 0.0
    swap_power_w: tuple[float, float] = (55.0, 220.0)
    swap_stretch: tuple[float, float] = (0.55, 1.8)


@dataclass
class Home:
    """A home as a source of sequences: `power_w`, `on`, `known` are [appliances, samples].

    `shown`: how much of the first appliance's power the mains shows; meters differ, and mains may be apparent power.
    """

    mains_w: Floats
    power_w: Floats
    on: Flags
    known: Flags
    stretches: list[tuple[int, int]]
    starts: list[list[int]]
    shown: float = 1.0


@dataclass
class Batch:
    """Sequences: mains W [count, samples]; W, on, and how much it counts, [count, samples, appliances]."""

    mains_w: Floats
    power_w: Floats
    on: Floats
    weight: Floats


def home_of(recording: Recording, appliances: tuple[str, ...]) -> Home:
    """Prepare one home."""
    nothing = np.full(len(recording.mains_w), np.nan, np.float32)
    period_s, rules = recording.period_s, [rule_of(name, recording.period_s) for name in appliances]
    power_w = [recording.truth_w.get(name, nothing) for name in appliances]
    valid = np.isfinite(recording.mains_w)
    pairs = list(zip(power_w, rules, strict=True))
    return Home(
        recording.mains_w,
        np.nan_to_num(np.stack(power_w)),
        np.stack([running(power, rule, period_s) for power, rule in pairs]),
        np.isfinite(np.stack(power_w)) & valid,
        [(start, end) for start, end in runs(valid) if end - start >= 60],
        [[start for start, _ in activations(power, rule, period_s) if valid[start]] for power, rule in pairs],
        shown_share(recording.mains_w, power_w[0], runs(running(power_w[0], rules[0], period_s))),
    )


def happens(share: float, random: np.random.Generator) -> bool:
    """What never happens asks for no number: sequences drawn before there was such a share are drawn again."""
    return share > 0 and random.random() < share


def shown_share(mains_w: Floats, power_w: Floats, spans: list[tuple[int, int]], reach: int = 7) -> float:
    """The mains' step by the appliance's own, the median over its starts and ends; 1 where there are few."""
    edges = [edge for start, end in spans if end - start > reach for edge in (start, end)][:2000]
    inside = [edge for edge in edges if reach <= edge < len(mains_w) - reach]
    before, after = ([slice(edge - reach, edge - 2) for edge in inside], [slice(edge + 2, edge + reach) for edge in inside])
    steps = [[np.median(of[late]) - np.median(of[early]) for early, late in zip(before, after, strict=True)] for of in (mains_w, power_w)]
    if len(inside) < 20:
        return 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.array(steps[0]) / np.array(steps[1])
    return float(np.clip(np.nanmedian(shares[np.isfinite(shares)]), 0.3, 1.2))


class Sequences:
    """Draws sequences of `length` samples from several homes."""

    def __init__(
        self,
        recordings: list[Recording],
        templates: list[Recording],
        appliances: tuple[str, ...],
        mixture: Mixture,
        length: int,
        random: np.random.Generator,
    ) -> None:
        self.homes = [home_of(recording, appliances) for recording in recordings]
        self.library = [_library([*recordings, *templates], name) for name in appliances]
        self.distractors = [(name, _library([*recordings, *templates], name)) for name, _ in mixture.distractors]
        self.appliances, self.mixture, self.length, self.random = appliances, mixture, length, random
        self.period_s = recordings[0].period_s
        sizes = np.array([home.known.sum() for home in self.homes], np.float64)
        self.share = np.sqrt(sizes) / np.sqrt(sizes).sum()

    def draw(self, count: int) -> Batch:
        """`count` sequences; what lies past the end of a valid stretch counts for nothing."""
        shape, each = (count, self.length), (count, self.length, len(self.appliances))
        batch = Batch(np.zeros(shape, np.float32), *(np.zeros(each, np.float32) for _ in range(3)))
        for row in range(count):
            mains, power, on, weight = self._sequence()
            size = len(mains)
            batch.mains_w[row, :size], batch.mains_w[row, size:] = mains, mains[-1]
            batch.power_w[row, :size], batch.on[row, :size], batch.weight[row, :size] = power.T, on.T, weight.T
        return batch

    def _sequence(self) -> tuple[Floats, Floats, Flags, Floats]:
        own = self._own()
        choices = [index for index, home in enumerate(self.homes) if own is None or home.known[own].any()]
        home = self.homes[int(self.random.choice(choices, p=self.share[choices] / self.share[choices].sum()))]
        start, end = self._place(home, own)
        mains, power, on = home.mains_w[start:end].copy(), home.power_w[:, start:end].copy(), home.on[:, start:end].copy()
        weight = home.known[:, start:end].astype(np.float32)
        if own is not None:
            mains = self._vary(mains, power, on, own)
            weight[np.arange(len(weight)) != own] = 0
        if self.random.random() < self.mixture.swap_share:
            mains, power, on = self._swap(home, mains, power, weight)
        if happens(self.mixture.bare_share, self.random):
            metered = power.sum(0)
            mains = bared(np.maximum(mains - metered, 0), self.random, self.period_s) + metered
        if self.distractors and self.random.random() < self.mixture.distract_share:
            self._distract(mains)
        if self.random.random() < self.mixture.heater_share:
            add_heater(mains, self.random, self.period_s, self.mixture.rooms_share)
        if self.random.random() < self.mixture.wandering_share:
            add_wandering(mains, self.random, self.period_s)
        if happens(self.mixture.cycler_share, self.random):
            add_cycler(mains, self.random, self.period_s)
        factor = np.float32(self.random.uniform(*self.mixture.mains_power))
        base = self.random.uniform(0, self.mixture.base_w) if self.random.random() < 0.3 else 0.0
        if self.random.random() < self.mixture.slow_share:
            mains, power = halved(mains), halved(power)
            on = self._still_on(power, halved(on.astype(np.float32)))
        return mains * factor + np.float32(base), power * factor, on, weight

    def _still_on(self, power: Floats, on: Floats) -> Flags:
        """A short load has to reach its threshold in the longer mean; a cycle is on where it was."""
        above_w = np.array([[rule_of(name, self.period_s).on_above_w] for name in self.appliances], np.float32)
        return (on > 0) & ((power > above_w) | (above_w < 100))

    def _own(self) -> int | None:
        at = self.random.random()
        for name, variation in self.mixture.own.items():
            at -= variation.share
            if at < 0:
                return self.appliances.index(name)
        return None

    def _place(self, home: Home, own: int | None) -> tuple[int, int]:
        index = int(self.random.integers(len(self.appliances))) if own is None else own
        if home.starts[index] and home.known[index].any() and self.random.random() < self.mixture.around_share:
            centre = home.starts[index][self.random.integers(len(home.starts[index]))]
            start = centre - int(self.random.integers(self.length))
            for first, last in home.stretches:
                if first <= centre < last:
                    begin = min(max(first, start), max(first, last - self.length))
                    return begin, min(last, begin + self.length)
        sizes = np.array([last - first for first, last in home.stretches], np.float64)
        first, last = home.stretches[int(self.random.choice(len(sizes), p=sizes / sizes.sum()))]
        begin = int(self.random.integers(first - self.length // 4, last - self.length // 4))
        begin = min(max(first, begin), max(first, last - self.length // 4))
        return begin, min(last, begin + self.length)

    def _vary(self, mains: Floats, power: Floats, on: Flags, own: int) -> Floats:
        variation, random = self.mixture.own[self.appliances[own]], self.random
        if random.random() < variation.remove_share:
            mains = np.maximum(mains - power[own], np.minimum(mains, 40.0))
            power[own], on[own] = 0, False
        if self.library[own] and random.random() < variation.insert_share:
            for _ in range(int(random.integers(1, variation.insert_most + 1))):
                self._insert(mains, power[own], on[own], own)
        return mains

    def _insert(self, mains: Floats, power: Floats, on: Flags, own: int) -> None:
        name = self.appliances[own]
        piece = self._varied(self._piece(self.library[own]), name, self.mixture.own[name])
        first, last, part = somewhere(piece, len(mains), self.random)
        if on[max(0, first - 4) : last + 4].any():
            return
        mains[first:last] += part
        power[first:last] = part
        on[first:last] = True

    def _swap(self, home: Home, mains: Floats, power: Floats, weight: Floats) -> tuple[Floats, Floats, Flags]:
        """The first appliance gives way to a piece of a home's that is changed in time and power."""
        factor, size = float(np.exp(self.random.uniform(*np.log(self.mixture.swap_stretch)))), len(mains)
        donor = self.homes[int(self.random.integers(len(self.homes)))]
        first, last = max(donor.stretches, key=lambda span: (span[1] - span[0]) * self.random.random())
        start = int(self.random.integers(first, max(first + 1, last - round(size / factor))))
        piece = stretch(donor.power_w[0, start : min(last, start + round(size / factor) + 1)], factor)
        other = np.pad(piece, (0, max(0, size - len(piece))), "wrap")[:size]
        usual_w = float(np.median(other[other > 50])) if (other > 50).any() else 100.0
        other = other * np.float32(np.exp(self.random.uniform(*np.log(self.mixture.swap_power_w))) / usual_w)
        mains = np.maximum(mains - home.shown * power[0] * (weight[0] > 0), np.minimum(mains, 20.0))
        rule = rule_of(self.appliances[0], self.period_s)
        return mains + np.float32(self.random.uniform(0.65, 1.05)) * other, other[None], running(other, rule, self.period_s)[None]

    def _distract(self, mains: Floats) -> None:
        index = int(self.random.integers(len(self.distractors)))
        name, library = self.distractors[index]
        piece = self._varied(self._piece(library), name, self.mixture.distractors[index][1])
        first, last, part = somewhere(piece, len(mains), self.random)
        mains[first:last] += part

    def _piece(self, library: list[list[Floats]]) -> Floats:
        pieces = library[int(self.random.integers(len(library)))]
        return pieces[int(self.random.integers(len(pieces)))]

    def _varied(self, piece: Floats, name: str, variation: Variation) -> Floats:
        """One activation with its prelude cropped, its time stretched and its power scaled."""
        if self.random.random() < variation.crop_share:
            piece = crop_prelude(piece, float(self.random.random()))
        piece = stretch(piece, float(np.exp(self.random.uniform(*np.log(variation.stretch)))))
        if variation.warp > 1:
            piece = warped(piece, variation.warp, self.random)
        if variation.peak_w:
            piece = piece * np.float32(np.clip(self.random.uniform(*variation.peak_w) / piece.max(), 0.4, 2.5))
        least = rule_of(name, self.period_s).on_above_w + 1
        return np.maximum(piece, np.float32(least) * (piece > least / 2))


def _library(recordings: list[Recording], name: str) -> list[list[Floats]]:
    known = [recording for recording in recordings if name in recording.truth_w]
    return [pieces for pieces in (cut(recording, name) for recording in known) if pieces]
