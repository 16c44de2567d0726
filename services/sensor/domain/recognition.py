"""What prints these lines: which meter, or a voltage sensor, and how one can tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, get_args

from services.sensor.domain.lines import ResetBlock
from services.sensor.domain.mains import is_near
from services.sensor.domain.profiles import MeterProfile, layouts, meter_parser
from services.sensor.domain.readings import MeterLine, Rejected, VoltageLine
from services.sensor.domain.zmpt101b import parse_voltage

PROFILES: tuple[MeterProfile, ...] = get_args(MeterProfile)
_LEAST_GOOD_LINES = 2
_LEAST_GOOD_SHARE = 0.3


@dataclass(frozen=True)
class Heard:
    """What a port said at one speed: its lines, and what an RPICT tells of itself at its start."""

    lines: tuple[bytes, ...] = ()
    resets: tuple[ResetBlock, ...] = ()
    byte_count: int = 0

    @property
    def vest_v(self) -> float | None:
        """The voltage that the board multiplies its currents by, if it said so."""
        return self.resets[-1].vest_v if self.resets else None


@dataclass(frozen=True)
class Recognised:
    """What a port seems to be.

    Attributes:
        kind: a meter on the incoming supply, or a voltage sensor.
        profile: the name of its lines in `hems.yaml`.
        readings: the lines that could be read.
        why: how one can tell, for people.
    """

    kind: Literal["meter", "voltage"]
    profile: MeterProfile | Literal["zmpt101b"]
    readings: tuple[MeterLine | VoltageLine, ...]
    why: str


def recognise(heard: Heard, nominal_voltage_v: float) -> Recognised | None:
    """The reading that fits best; None where none fits well enough to be believed."""
    # The first of equals counts: a line that tells powers besides its voltage is a meter's.
    tried = [*(_as_meter(heard, profile) for profile in PROFILES), _as_voltage(heard)]
    fitting = [one for one in tried if _is_believable(one, heard)]
    return max(fitting, key=lambda one: (len(one.readings), _volts_near(one, nominal_voltage_v)), default=None)


def _is_believable(tried: Recognised, heard: Heard) -> bool:
    return len(tried.readings) >= max(_LEAST_GOOD_LINES, _LEAST_GOOD_SHARE * len(heard.lines))


def _as_voltage(heard: Heard) -> Recognised:
    readings = tuple(read for line in heard.lines if isinstance(read := parse_voltage(line), VoltageLine))
    middle_v = median(reading.voltage_v for reading in readings) if readings else 0.0
    return Recognised("voltage", "zmpt101b", readings, f"each line is one voltage, about {middle_v:.1f} V")


def _as_meter(heard: Heard, profile: MeterProfile) -> Recognised:
    parse = meter_parser(profile)
    good = [(line, read) for line in heard.lines if not isinstance(read := parse(line), Rejected)]
    readings = tuple(read for _, read in good)
    return Recognised("meter", profile, readings, _why(profile, readings, good[-1][0] if good else b""))


def _why(profile: MeterProfile, readings: Sequence[MeterLine], line: bytes) -> str:
    if profile == "open_energy_monitor":
        return "the lines name their values, as OpenEnergyMonitor's do"
    volts = [reading.voltage_v for reading in readings if reading.voltage_v is not None]
    measured = f", the voltage among them, about {median(volts):.0f} V" if volts else ", and no voltage"
    return f"the lines have the {len(line.replace(b',', b' ').split())} columns of an {profile.upper()}{measured}"


def _volts_near(one: Recognised, nominal_voltage_v: float) -> float:
    """The share of lines with a voltage near the nominal one: it tells apart layouts of equally many columns."""
    volts = [reading.voltage_v for reading in one.readings]
    return sum(voltage is not None and is_near(voltage, nominal_voltage_v) for voltage in volts) / max(len(volts), 1)


def inputs_of(profile: MeterProfile, readings: Sequence[MeterLine]) -> list[int]:
    """The inputs that a meter's lines give a power for."""
    found = {channel for reading in readings for channel in (*reading.real_power_w, *reading.apparent_power_va)}
    return sorted(found) or sorted({column.channel for layout in layouts(profile, None) for column in layout if column.channel})
