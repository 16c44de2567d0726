"""What `hems.yaml` should say of a port that was recognised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from services.sensor.domain.plausibility import (
    CLAMP_FLOOR_VA,
    REAL_FLOOR_W,
    Remark,
    meter_remarks,
    negative_inputs,
    powers_by_input,
    voltage_remarks,
)
from services.sensor.domain.readings import MeterLine, VoltageLine
from services.sensor.domain.recognition import Heard, Recognised, inputs_of

ESP8266_STEP = "check that the sensor's mains side is connected, by a qualified person, and calibrate it with `hems calibrate voltage`"


@dataclass(frozen=True)
class Proposal:
    """A part of the `sensor:` section, `meter` or `voltage`, and what a person should know of it.

    Attributes:
        inputs: those that a meter's lines give a power for.
        negative: the inputs that send power out, as the meter and `invert` have it: their clamp may be the wrong way round.
    """

    part: str
    values: Mapping[str, Any]
    remarks: Sequence[Remark]
    facts: Sequence[str] = ()
    inputs: Sequence[int] = ()
    negative: Sequence[int] = ()


def propose(port: str, baud: int, heard: Heard, found: Recognised, nominal_voltage_v: float, *, invert: Sequence[int] = ()) -> Proposal:
    """The settings for a port, by what it printed; `invert` are the inputs whose sign is turned already."""
    if found.kind == "voltage":
        volts = [reading.voltage_v for reading in found.readings if isinstance(reading, VoltageLine)]
        remarks = tuple(voltage_remarks(volts, nominal_voltage_v, ESP8266_STEP))
        return Proposal("voltage", {"port": port, "baud": baud, "profile": found.profile}, remarks)
    return _meter(port, baud, heard, found, nominal_voltage_v, invert)


def _meter(port: str, baud: int, heard: Heard, found: Recognised, nominal_voltage_v: float, invert: Sequence[int]) -> Proposal:
    assert found.profile != "zmpt101b"  # noqa: S101  a voltage sensor is no meter
    lines = [reading for reading in found.readings if isinstance(reading, MeterLine)]
    inputs = inputs_of(found.profile, lines)
    channels = _mains_channels(lines, inputs)
    values: dict[str, Any] = {"port": port, "baud": baud, "profile": found.profile, "mains_channels": channels}
    if heard.vest_v is not None:
        values["vest_v"] = round(heard.vest_v, 1)
    remarks = tuple(meter_remarks(lines, channels, invert, nominal_voltage_v))
    return Proposal("meter", values, remarks, _facts(lines), inputs, tuple(negative_inputs(lines, invert)))


def _mains_channels(lines: Sequence[MeterLine], inputs: Sequence[int]) -> list[int]:
    """Input 1, unless it is silent and another one is not: which clamps are on the supply, only a person knows."""
    powers = _powers(lines)
    floor = REAL_FLOOR_W if any(line.real_power_w for line in lines) else CLAMP_FLOOR_VA
    live = [channel for channel, values in powers.items() if median(map(abs, values)) >= floor]
    return [live[0]] if live and 1 not in live else [1 if 1 in inputs or not inputs else inputs[0]]


def _facts(lines: Sequence[MeterLine]) -> tuple[str, ...]:
    unit = "W" if any(line.real_power_w for line in lines) else "VA"
    return tuple(f"input {channel}: {median(values):.0f} {unit}" for channel, values in sorted(_powers(lines).items()))


def _powers(lines: Sequence[MeterLine]) -> dict[int, list[float]]:
    return powers_by_input([line.real_power_w or line.apparent_power_va for line in lines])


def as_yaml(parts: Mapping[str, Mapping[str, Any]]) -> str:
    """A `sensor:` section to copy into `hems.yaml`."""
    return "\n".join(["sensor:", *(f"  {part}: {_flow(values)}" for part, values in parts.items())])


def _flow(values: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in values.items()) + "}"
