"""Whether what a meter says can be true of a home, and what to do where it can't."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from services.sensor.domain.mains import is_near
from services.sensor.domain.readings import Kind, MeterLine, Rejected, VoltageLine

CLAMP_FLOOR_VA = 40.0
"""A 100 A input with nothing on it reads up to about so much, where only current is measured."""
REAL_FLOOR_W = 5.0
_EXPORT_W = 20.0
_NOISE_SHARE = 0.02
_MOST_SHARE = 0.5
_FAR_SHARE = 0.1


@dataclass(frozen=True)
class Remark:
    """Something that a person should look at: what is so, and what to do."""

    kind: str
    says: str
    step: str


@dataclass(frozen=True)
class Sample:
    """Some lines of a port, read as its profile says.

    Attributes:
        good: what could be read.
        refused: why the others could not.
    """

    good: Sequence[MeterLine | VoltageLine]
    refused: Sequence[Rejected]

    @property
    def noise_share(self) -> float:
        """How many of the lines could not be read, 0..1."""
        count = len(self.good) + len(self.refused)
        return len(self.refused) / count if count else 0.0


def sample(lines: Sequence[bytes], parse: Callable[[bytes], MeterLine | VoltageLine | Rejected]) -> Sample:
    """Read lines by a parser; lines of other radio nodes are left out."""
    read = [parse(line) for line in lines]
    refused = [one for one in read if isinstance(one, Rejected) and one.kind != "other_node"]
    return Sample([one for one in read if not isinstance(one, Rejected)], refused)


def line_remarks(taken: Sample, setting: str) -> Iterator[Remark]:
    """Whether the lines can be read; `setting` is `sensor.meter` or `sensor.voltage`."""
    if not taken.refused or taken.noise_share < _NOISE_SHARE:
        return
    kinds: Counter[Kind] = Counter(one.kind for one in taken.refused)
    share = f"{len(taken.refused)} of {len(taken.good) + len(taken.refused)} lines can't be read ({taken.refused[-1]})"
    if taken.noise_share < _MOST_SHARE:
        yield Remark("noise", share, "check the cable, its ground and its length, and keep it away from mains cables")
    elif kinds.most_common(1)[0][0] == "not_text":
        yield Remark("wrong speed", share, f"the speed is wrong: `hems detect` finds it; then correct {setting}.baud")
    else:
        yield Remark("wrong profile", share, f"the lines are another meter's: `hems detect` names it; then correct {setting}.profile")


def meter_remarks(
    lines: Sequence[MeterLine], mains_channels: Sequence[int], invert: Sequence[int], nominal_voltage_v: float
) -> Iterator[Remark]:
    """Reversed clamps, silent inputs, and a voltage that is none."""
    real = powers_by_input([line.real_power_w for line in lines])
    apparent = powers_by_input([line.apparent_power_va for line in lines])
    for channel, power_w in negative_inputs(lines, invert).items():
        if channel in mains_channels:
            yield _reversed(channel, power_w, list(invert))
    floor, powers = (REAL_FLOOR_W, real) if real else (CLAMP_FLOOR_VA, apparent)
    for channel in mains_channels:
        if channel not in powers or max(map(abs, powers[channel])) < floor:
            yield _silent(channel, powers, floor)
    volts = [line.voltage_v for line in lines if line.voltage_v is not None]
    if volts:
        yield from voltage_remarks(volts, nominal_voltage_v, "plug in the meter's voltage adapter, or set vcal on the board")


def negative_inputs(lines: Sequence[MeterLine], invert: Sequence[int]) -> dict[int, float]:
    """The inputs of a meter with a sign that send power out, W: their clamp is the wrong way round, or the sun shines on a roof."""
    real = powers_by_input([line.real_power_w for line in lines])
    signed = {channel: median(powers) * (-1 if channel in invert else 1) for channel, powers in real.items()}
    return {channel: power_w for channel, power_w in signed.items() if power_w < -_EXPORT_W}


def voltage_remarks(volts: Sequence[float], nominal_v: float, step: str) -> Iterator[Remark]:
    """Whether these are mains voltages."""
    middle_v = median(volts)
    if not is_near(middle_v, nominal_v):
        yield Remark("voltage", f"{middle_v:.1f} V is no mains voltage of {nominal_v:g} V: it is not used", step)
    elif abs(middle_v - nominal_v) > _FAR_SHARE * nominal_v:
        yield Remark("voltage", f"{middle_v:.1f} V is far from {nominal_v:g} V", f"measure it with a meter; {step}")


def powers_by_input(readings: Sequence[Mapping[int, float]]) -> dict[int, list[float]]:
    """What each input said, in order."""
    found: dict[int, list[float]] = {}
    for reading in readings:
        for channel, power in reading.items():
            found.setdefault(channel, []).append(power)
    return found


def _reversed(channel: int, power_w: float, invert: Sequence[int]) -> Remark:
    inverted = sorted(set(invert) ^ {channel})
    step = f"turn the clamp round, or set sensor.meter.invert to {inverted}; where solar panels send power out now, look again at night"
    return Remark("reversed", f"input {channel} says {power_w:.0f} W: its clamp sits the wrong way round", step)


def _silent(channel: int, powers: Mapping[int, Sequence[float]], floor: float) -> Remark:
    heard = [other for other, values in powers.items() if other != channel and median(map(abs, values)) >= floor]
    other = f", or set sensor.meter.mains_channels to {heard}, where there is some" if heard else ""
    step = f"close the clamp round one live conductor alone, and push its plug in fully{other}"
    return Remark("silent", f"input {channel} hears no load (below {floor:g} {'W' if floor == REAL_FLOOR_W else 'VA'})", step)
