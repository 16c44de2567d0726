"""From a meter's line to what the home draws: what is measured, and what is estimated."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hems.contracts.mains import Mains
from services.sensor.domain.readings import MeterLine, Rejected

_TOLERANCE = 0.2
"""A voltage farther than this from the nominal one is a sensor without supply, or noise."""


@dataclass(frozen=True)
class Wiring:
    """How the meter is wired and what it assumes.

    Attributes:
        mains_channels: the inputs on the incoming supply; their powers are summed, others never.
        invert: inputs whose clamp sits the wrong way round; means something only to meters with a sign.
        power_factor: real over apparent power, assumed where only current is measured.
        vest_v: the voltage that an RPICT3T1 multiplies its currents by.
        nominal_voltage_v: of the supply.
        node_id: take only this node's lines.
        scale: multiplies the meter's powers and currents, by calibration.
    """

    mains_channels: tuple[int, ...] = (1,)
    invert: frozenset[int] = frozenset()
    power_factor: float = 0.95
    vest_v: float = 230.0
    nominal_voltage_v: float = 230.0
    node_id: int | None = None
    scale: float = 1.0


@dataclass(frozen=True)
class Voltmeter:
    """The newest good voltage from a sensor of its own."""

    nominal_v: float
    valid_for: timedelta
    voltage_v: float | None = None
    measured_at: datetime | None = None

    def with_reading(self, voltage_v: float, at: datetime) -> "Voltmeter | Rejected":
        """Take a voltage, unless it can't be the mains."""
        if not is_near(voltage_v, self.nominal_v):
            return Rejected("implausible", f"{voltage_v:.1f} V is more than 20 % away from {self.nominal_v:g} V")
        return Voltmeter(self.nominal_v, self.valid_for, voltage_v, at)

    def at(self, moment: datetime) -> float | None:
        """The voltage then, V, or None where the newest is too old."""
        fresh = self.measured_at is not None and abs(moment - self.measured_at) <= self.valid_for
        return self.voltage_v if fresh else None


def is_near(voltage_v: float, nominal_v: float) -> bool:
    """Within 20 % of the nominal voltage."""
    return abs(voltage_v - nominal_v) <= _TOLERANCE * nominal_v


def to_mains(line: MeterLine, voltage_v: float | None, measured_at: datetime, wiring: Wiring) -> Mains | Rejected:
    """What the home draws, by one line and the newest voltage of a sensor of its own (None where there is none).

    Real power counts only where the meter's own voltage is good: a board whose voltage adapter is unplugged multiplies
    by nothing. Then, and for boards that know only currents, power is estimated.
    """
    if wiring.node_id is not None and line.node_id not in (None, wiring.node_id):
        return Rejected("other_node", f"is from node {line.node_id}, not {wiring.node_id}")
    line = scaled(line, wiring.scale)
    own_v = line.voltage_v if line.voltage_v is not None and is_near(line.voltage_v, wiring.nominal_voltage_v) else None
    try:
        if line.real_power_w and (own_v is not None or not line.tells_voltage):
            return _measured(line, voltage_v if own_v is None else own_v, measured_at, wiring)
        return _estimated(line, voltage_v, measured_at, wiring)
    except ValueError:
        return Rejected("implausible", "gives values that no home has")


def scaled(line: MeterLine, scale: float) -> MeterLine:
    """The line with its powers and currents multiplied."""
    if scale == 1:
        return line
    apparent, real, current = (
        {channel: value * scale for channel, value in values.items()}
        for values in (line.apparent_power_va, line.real_power_w, line.current_a)
    )
    return replace(line, apparent_power_va=apparent, real_power_w=real, current_a=current)


def _measured(line: MeterLine, voltage_v: float | None, measured_at: datetime, wiring: Wiring) -> Mains | Rejected:
    powers = {channel: -power if channel in wiring.invert else power for channel, power in line.real_power_w.items()}
    power_w = _total(powers, wiring)
    if power_w is None:
        return _missing(line.real_power_w, wiring)
    current_a = _total(_magnitudes(line.current_a), wiring)
    apparent_va = _total(_magnitudes(line.apparent_power_va), wiring)
    if apparent_va is None and current_a is not None and voltage_v is not None:
        apparent_va = current_a * voltage_v
    return Mains(
        measured_at=measured_at,
        power_w=power_w,
        quality="measured",
        apparent_power_va=apparent_va,
        voltage_v=voltage_v,
        current_a=current_a,
        power_factor=_power_factor(power_w, apparent_va),
        channels=_channels(line.real_power_w),
        temperature_c=_temperature(line),
    )


def _estimated(line: MeterLine, voltage_v: float | None, measured_at: datetime, wiring: Wiring) -> Mains | Rejected:
    said = line.apparent_power_va or {channel: current * wiring.vest_v for channel, current in line.current_a.items()} or line.real_power_w
    at_vest_va = _total(_magnitudes(said), wiring)
    if at_vest_va is None:
        return _missing(said, wiring)
    apparent_va = at_vest_va if voltage_v is None else at_vest_va * voltage_v / wiring.vest_v
    return Mains(
        measured_at=measured_at,
        power_w=apparent_va * wiring.power_factor,
        quality="estimated",
        apparent_power_va=apparent_va,
        voltage_v=voltage_v,
        current_a=at_vest_va / wiring.vest_v,
        channels=_channels(line.apparent_power_va or line.real_power_w or said),
        temperature_c=_temperature(line),
    )


def _total(values: Mapping[int, float], wiring: Wiring) -> float | None:
    """The sum over the mains channels; None where one of them is missing: half a supply is no reading."""
    if not all(channel in values for channel in wiring.mains_channels):
        return None
    return sum(values[channel] for channel in wiring.mains_channels) + 0.0  # never -0.0


def _magnitudes(values: Mapping[int, float]) -> dict[int, float]:
    return {channel: abs(value) for channel, value in values.items()}


def _missing(values: Mapping[int, float], wiring: Wiring) -> Rejected:
    absent = [channel for channel in wiring.mains_channels if channel not in values]
    return Rejected("not_finite", f"has no number for input {', '.join(map(str, absent))}")


def _power_factor(power_w: float, apparent_va: float | None) -> float | None:
    return max(-1.0, min(1.0, power_w / apparent_va)) if apparent_va else None


def _channels(values: Mapping[int, float]) -> dict[str, float]:
    return {str(channel): value + 0.0 for channel, value in values.items()}


def _temperature(line: MeterLine) -> float | None:
    return line.temperature_c if line.temperature_c is not None and -60 <= line.temperature_c <= 150 else None
