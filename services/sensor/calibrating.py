"""Takes readings of a port for a calibration."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median
from typing import Protocol

from hems.contracts.mains import Mains
from services.sensor.detecting import listen
from services.sensor.domain.mains import Wiring, is_near, to_mains
from services.sensor.domain.profiles import meter_parser
from services.sensor.domain.readings import Rejected, VoltageLine
from services.sensor.domain.recognition import Heard
from services.sensor.domain.zmpt101b import parse_voltage
from services.sensor.settings import MeterSettings, SensorSettings, VoltageSettings

_LONGEST_PERIOD_S = 12.0
"""No known meter prints less often."""
_SHORTEST_WAIT_S = 5.0


class Progress(Protocol):
    """Told how many lines have come."""

    def __call__(self, count: int, wanted: int) -> None:
        """So many of those that are wanted."""
        ...


class PortFailed(Exception):
    """A port can't be read."""

    def __init__(self, path: str, reason: OSError) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True)
class Phase:
    """What was heard while the load was on, or off: the meter's lines, and the voltage meanwhile, if it is known."""

    meter: Heard
    voltage_v: float | None


async def take_voltages(settings: VoltageSettings, wanted: int, progress: Progress) -> list[float]:
    """What the voltage sensor says, V, with the scale in force.

    Raises:
        PortFailed: its port can't be read.
    """
    assert settings.port is not None, "there is no voltage sensor on a port"  # noqa: S101
    heard = await _lines(settings.port, settings.baud, wanted, progress)
    return [value * settings.scale for value in _voltages(heard)]


async def take_phase(settings: SensorSettings, nominal_voltage_v: float, wanted: int, progress: Progress) -> Phase:
    """The meter's lines, and the voltage sensor's beside them where there is one.

    Raises:
        PortFailed: one of the ports can't be read.
    """
    meter, voltage = settings.meter, settings.voltage
    if voltage.port is None:
        return Phase(await _lines(meter.port, meter.baud, wanted, progress), None)
    heard, volts = await asyncio.gather(
        _lines(meter.port, meter.baud, wanted, progress), _lines(voltage.port, voltage.baud, wanted, _still)
    )
    values = [value * voltage.scale for value in _voltages(volts)]
    return Phase(heard, median(values) if values and is_near(median(values), nominal_voltage_v) else None)


def powers(phase: Phase, meter: MeterSettings, wiring: Wiring) -> list[float]:
    """What the home drew, W, each time as the sensor would say it with a load of power factor 1: a heater's or a kettle's."""
    parse = meter_parser(meter.profile, meter.columns)
    plain = replace(wiring, power_factor=1.0)
    now = datetime.now(UTC)
    readings = [
        to_mains(parsed, phase.voltage_v, now, plain) for line in phase.meter.lines if not isinstance(parsed := parse(line), Rejected)
    ]
    return [reading.power_w for reading in readings if isinstance(reading, Mains)]


async def _lines(path: str, baud: int, wanted: int, progress: Progress) -> Heard:
    def is_enough(heard: Heard) -> bool:
        progress(len(heard.lines), wanted)
        return len(heard.lines) >= wanted

    try:
        return await listen(path, baud, max(_SHORTEST_WAIT_S, wanted * _LONGEST_PERIOD_S), _nothing, is_enough)
    except OSError as error:
        raise PortFailed(path, error) from None


def _voltages(heard: Heard) -> list[float]:
    found: Sequence[VoltageLine | Rejected] = [parse_voltage(line) for line in heard.lines]
    return [one.voltage_v for one in found if isinstance(one, VoltageLine)]


def _still(count: int, wanted: int) -> None:
    """Two counts at once would only confuse."""


def _nothing(line: bytes) -> None:
    """The lines themselves are not shown."""
