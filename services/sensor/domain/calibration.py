"""Making a meter read true: by how much its figures have to be multiplied, and how sure that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

LEAST_READINGS = 8
LEAST_LOAD_W = 200.0
_LEAST_READING_V = 20.0
_REFERENCE_TOLERANCE = 0.2
_STEADY_V = 0.02
_SHOWS = 0.1
_SAME_BASE = 0.04
_STEADY_LOAD = 0.05
_LEAST_SCALE, _GREATEST_SCALE = 0.5, 2.0
_SPREAD_TO_DEVIATION = 1.4826  # of a normal distribution's median absolute deviation
_EFFICIENCY_OF_MEDIAN = 1.2533
_OUTLIER_DEVIATIONS = 4.0
_MOST_UNCERTAIN = 0.02
_SURE = 1.96  # 95 %


class Refused(ValueError):
    """It can't be calibrated from this; the message says why, and what to do."""


@dataclass(frozen=True)
class Figure:
    """A figure from several readings: the value, how far it may be off (95 %), and the count.

    Readings that are far from all others (a spike, a line that noise changed) don't count.
    """

    value: float
    uncertainty: float
    count: int


@dataclass(frozen=True)
class Calibration:
    """What to multiply a meter's figures by.

    Attributes:
        scale: the new factor, in place of the one in force.
        uncertainty: how far the factor may be off by the readings' own spread, as a share (95 %).
        before: what the meter says now, of the reference.
        after: what it will say.
        count: how many readings this rests on.
    """

    scale: float
    uncertainty: float
    before: float
    after: float
    count: int


def figure(readings: Sequence[float]) -> Figure:
    """The middle of some readings.

    Raises:
        Refused: there are too few.
    """
    if len(readings) < LEAST_READINGS:
        raise Refused(f"only {len(readings)} readings came where {LEAST_READINGS} are needed; look at the port with `hems detect`")
    middle = median(readings)
    deviation = _SPREAD_TO_DEVIATION * median(abs(reading - middle) for reading in readings)
    kept = [reading for reading in readings if abs(reading - middle) <= _OUTLIER_DEVIATIONS * deviation + 1e-9]
    if len(kept) < max(LEAST_READINGS, len(readings) // 2):
        return Figure(middle, _SURE * _EFFICIENCY_OF_MEDIAN * stdev(readings) / math.sqrt(len(readings)), len(readings))
    return Figure(fmean(kept), _SURE * stdev(kept) / math.sqrt(len(kept)), len(kept))


def voltage_calibration(readings_v: Sequence[float], reference_v: float, scale: float, nominal_v: float) -> Calibration:
    """From what a sensor says, V, with `scale`, the factor in force, in it, while a trusted meter shows `reference_v`.

    Raises:
        Refused: the reference is no mains voltage, or the readings aren't of one.
    """
    if abs(reference_v - nominal_v) > _REFERENCE_TOLERANCE * nominal_v:
        raise Refused(f"{reference_v:g} V is no mains voltage of {nominal_v:g} V; correct it, or home.nominal_voltage_v")
    said = figure(readings_v)
    if said.value < _LEAST_READING_V:
        raise Refused(f"the sensor reads {said.value:.1f} V, as one without mains does; connect it, and try again")
    if _spread(readings_v) > _STEADY_V:
        raise Refused("the voltage is not steady; wait until no large load switches, and try again")
    return _calibration(said, reference_v, scale)


def power_calibration(
    before_w: Sequence[float], with_load_w: Sequence[float], after_w: Sequence[float], load_w: float, scale: float
) -> Calibration:
    """From what the home drew before, with and after a known load of `load_w`, by the factor in force.

    The figures are those that the meter says with `scale` in them. The load is what they rise by, so that the home may go on.

    Raises:
        Refused: the load is too small, nothing rose, or something else switched meanwhile.
    """  # fmt: skip
    if load_w < LEAST_LOAD_W:
        raise Refused(f"{load_w:g} W is too little to calibrate by; take a kettle or a heater of {LEAST_LOAD_W:g} W or more")
    before, loaded, after = figure(before_w), figure(with_load_w), figure(after_w)
    rise_w = loaded.value - (before.value + after.value) / 2
    if rise_w < -_SHOWS * load_w:
        raise Refused(f"the power fell by {-rise_w:.0f} W: the clamp sits the wrong way round; turn it, or set sensor.meter.invert")
    if rise_w < _SHOWS * load_w:
        raise Refused(f"the power rose by {rise_w:.0f} W only: the clamp is not round the conductor that feeds this load")
    drift_w = abs(after.value - before.value)
    if drift_w > _SAME_BASE * load_w:
        raise Refused(f"something else switched meanwhile ({before.value:.0f} W before, {after.value:.0f} W after); try again")
    if max(map(_changes, (before_w, with_load_w, after_w))) > _STEADY_LOAD * load_w:
        raise Refused("the power was not steady; let fridge and heating rest, and try again")
    # What the rest of the home drew meanwhile lies between before and after; nobody knows where.
    uncertain_w = math.hypot(loaded.uncertainty, before.uncertainty / 2, after.uncertainty / 2) + drift_w / 2
    return _calibration(Figure(rise_w, uncertain_w, before.count + loaded.count + after.count), load_w, scale)


def load_at(rated_w: float, rated_v: float, voltage_v: float) -> float:
    """What a heater of `rated_w` at `rated_v` draws at another voltage, W: its resistance stays."""
    return rated_w * (voltage_v / rated_v) ** 2


def _calibration(said: Figure, reference: float, scale: float) -> Calibration:
    found = scale * reference / said.value
    uncertainty = said.uncertainty / said.value
    if uncertainty > _MOST_UNCERTAIN:
        raise Refused(f"the readings scatter too much to be sure (±{uncertainty:.1%}); take more with --readings, or mend the noise")
    if not _LEAST_SCALE <= found <= _GREATEST_SCALE and not _LEAST_SCALE <= found / scale <= _GREATEST_SCALE:
        raise Refused(
            f"the meter says {said.value:.1f} where {reference:g} is true: that is no matter of calibration; "
            "check the wiring, the clamp's size, and sensor.meter.profile"
        )
    return Calibration(scale=found, uncertainty=uncertainty, before=said.value, after=said.value * found / scale, count=said.count)


def _spread(readings: Sequence[float]) -> float:
    middle = median(readings)
    return _SPREAD_TO_DEVIATION * median(abs(reading - middle) for reading in readings) / middle if middle else math.inf


def _changes(readings: Sequence[float]) -> float:
    """How far the first and the last part of some readings lie apart: what noise does not do, and a switch does."""
    third = max(len(readings) // 3, 1)
    return abs(median(readings[:third]) - median(readings[-third:]))
