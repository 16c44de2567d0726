"""The lines that the meters would have printed.

A recording holds real power; an RPICT3T1 knows only currents, so the line carries the apparent power at the board's
assumed voltage that leads a sensor with the same settings back to the recorded power. Recordings hold no voltage
either: a slow, plausible one is made up.
"""

import math
from dataclasses import dataclass

_MEAN_V = 240.0
_SWINGS = ((2.2, 86_400.0), (1.3, 5_230.0), (0.6, 617.0))
"""Amplitude in V and period in s: the day, the street, the neighbours."""
_TEMPERATURE_C = 21.5


@dataclass(frozen=True)
class Assumptions:
    """What the sensor will assume: `sensor.meter` in `hems.yaml`."""

    power_factor: float = 0.95
    vest_v: float = 230.0


def made_up_voltage_v(at_us: int) -> float:
    """The supply's voltage at a time, V RMS to a tenth: within 4.1 V of 240 V, the same whenever it is asked for."""
    at_s = at_us / 1e6
    return round(_MEAN_V + sum(swing_v * math.sin(math.tau * at_s / period_s) for swing_v, period_s in _SWINGS), 1)


def rpict3t1_line(power_w: float, voltage_v: float, assumptions: Assumptions) -> bytes:
    """`11 P1 P2 P3 temperature`, as the board prints it: never signed, inputs 2 and 3 empty."""
    at_vest_va = abs(power_w) / assumptions.power_factor * assumptions.vest_v / voltage_v
    return f"11 {at_vest_va:.1f} 0.0 -0.0 {_TEMPERATURE_C}\r\n".encode()


def esp8266_line(voltage_v: float) -> bytes:
    """`Vrms: 230.1 V`, as a sketch for the ZMPT101B prints it."""
    return f"Vrms: {voltage_v:.1f} V\r\n".encode()
