"""Training sequences: real mains, and synthetic ones where an appliance of one home runs in another."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from services.disaggregator.training.activations import Flags, activations, cut, rule_of, running, runs
from services.disaggregator.training.packs import Floats, Recording


@dataclass(frozen=True)
class Augmentation:
    """How one appliance's sequences are varied. Shares are probabilities of a sequence."""

    around_share: float = 0.5
    remove_share: float = 0.0
    insert_share: float = 0.0
    insert_most: int = 2
    stretch: tuple[float, float] = (1.0, 1.0)
    power: tuple[float, float] = (1.0, 1.0)
    crop_share: float = 0.0
    mains_power: tuple[float, float] = (0.95, 1.05)
    base_w: float = 100.0


@dataclass
class Background:
    """A home as a source of sequences: its valid stretches, and the appliance's truth in it."""

    mains_w: Floats
    power_w: Floats
    on: Flags
    stretches: list[tuple[int, int]]
    starts: list[int]


@dataclass
class Batch:
    """Sequences [count, samples]: mains W, the appliance's W, whether it is on, whether the sample counts."""

    mains_w: Floats
    power_w: Floats
    on: Flags
    valid: Flags = field(default_factory=lambda: np.zeros((0, 0), bool))


def background(recording: Recording, appliance: str) -> Background:
    """Prepare one home for one appliance."""
    power_w = recording.truth_w[appliance]
    rule = rule_of(appliance, recording.period_s)
    known = np.isfinite(recording.mains_w) & np.isfinite(power_w)
    return Background(
        recording.mains_w,
        np.nan_to_num(power_w),
        running(power_w, rule, recording.period_s),
        [(start, end) for start, end in runs(known) if end - start >= 60],
        [start for start, _ in activations(power_w, rule, recording.period_s)],
    )


class Sequences:
    """Draws sequences of `length` samples for one appliance from several homes."""

    def __init__(
        self,
        recordings: list[Recording],
        appliance: str,
        augmentation: Augmentation,
        length: int,
        random: np.random.Generator,
        extra: list[Recording] | None = None,
    ) -> None:
        self.homes = [background(recording, appliance) for recording in recordings]
        self.library = [cut(recording, appliance) for recording in (*recordings, *(extra or []))]
        self.library = [pieces for pieces in self.library if pieces]
        self.augmentation, self.length, self.random = augmentation, length, random
        self.on_above_w = rule_of(appliance, recordings[0].period_s).on_above_w
        sizes = np.array([sum(end - start for start, end in home.stretches) for home in self.homes], np.float64)
        self.share = np.sqrt(sizes) / np.sqrt(sizes).sum()

    def draw(self, count: int) -> Batch:
        """`count` sequences; what lies past the end of a valid stretch is marked as not valid."""
        shape = (count, self.length)
        batch = Batch(np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.zeros(shape, bool), np.zeros(shape, bool))
        for row in range(count):
            self._fill(batch, row)
        return batch

    def _fill(self, batch: Batch, row: int) -> None:
        home = self.homes[int(self.random.choice(len(self.homes), p=self.share))]
        start, end = self._place(home)
        size = end - start
        mains, power, on = (values[start:end].copy() for values in (home.mains_w, home.power_w, home.on))
        mains, power, on = self._vary(mains, power, on)
        batch.mains_w[row, :size], batch.power_w[row, :size], batch.on[row, :size] = mains, power, on
        batch.mains_w[row, size:] = mains[-1]
        batch.valid[row, :size] = True

    def _place(self, home: Background) -> tuple[int, int]:
        if home.starts and self.random.random() < self.augmentation.around_share:
            centre = home.starts[self.random.integers(len(home.starts))]
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

    def _vary(self, mains: Floats, power: Floats, on: Flags) -> tuple[Floats, Floats, Flags]:
        settings, random = self.augmentation, self.random
        if random.random() < settings.remove_share:
            mains = np.maximum(mains - power, np.minimum(mains, 40.0))
            power, on = np.zeros_like(power), np.zeros_like(on)
        if random.random() < settings.insert_share:
            for _ in range(int(random.integers(1, settings.insert_most + 1))):
                self._insert(mains, power, on)
        factor = np.float32(random.uniform(*settings.mains_power))
        base = np.float32(random.uniform(0, settings.base_w)) if random.random() < 0.3 else np.float32(0)
        return mains * factor + base, power * factor, on

    def _insert(self, mains: Floats, power: Floats, on: Flags) -> None:
        pieces = self.library[int(self.random.integers(len(self.library)))]
        piece = self.varied(pieces[int(self.random.integers(len(pieces)))])
        start = int(self.random.integers(-len(piece) // 2, max(1, len(mains))))
        first, last = max(0, start), min(len(mains), start + len(piece))
        if last <= first or on[max(0, first - 4) : last + 4].any():
            return
        part = piece[first - start : last - start]
        mains[first:last] += part
        power[first:last] = part
        on[first:last] = True

    def varied(self, piece: Floats) -> Floats:
        """One activation with its prelude cropped, its time stretched and its power scaled."""
        settings, random = self.augmentation, self.random
        if random.random() < settings.crop_share:
            piece = crop_prelude(piece, float(random.random()))
        piece = stretch(piece, float(np.exp(random.uniform(*np.log(settings.stretch)))))
        return np.maximum(piece * np.float32(random.uniform(*settings.power)), self.on_above_w + 1)


def crop_prelude(piece: Floats, share: float) -> Floats:
    """Leave out a share of what comes before the first heater block: homes differ most in it."""
    hot = np.flatnonzero(piece > 1000)
    return piece[int(hot[0] * share) :] if len(hot) else piece


def stretch(piece: Floats, factor: float) -> Floats:
    """The same course over `factor` times the samples; each new sample is the mean of what it covers."""
    if factor == 1.0 or len(piece) < 2:
        return piece
    size = max(1, round(len(piece) * factor))
    edges: npt.NDArray[np.float64] = np.linspace(0, len(piece), size + 1)
    energy = np.interp(edges, np.arange(len(piece) + 1), np.concatenate(([0.0], np.cumsum(piece, dtype=np.float64))))
    return (np.diff(energy) * size / len(piece)).astype(np.float32)
