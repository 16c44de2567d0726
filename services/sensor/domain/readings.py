"""What a line says, or why it says nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["not_text", "words", "columns", "not_finite", "implausible", "other_node"]

MOST_CHANNELS = 32

GREATEST_POWER_W = 100_000.0
"""More than this on one input (W or VA) is noise: a home's supply is fused at 100 A."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf(?:inity)?|ovf)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Rejected:
    """A line that carries no reading, and why."""

    kind: Kind
    detail: str

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True)
class MeterLine:
    """A meter's line. Inputs are numbered from 1; what the line lacks, or gives as not a number, is absent.

    Attributes:
        apparent_power_va: RMS current times the meter's configured voltage: never signed.
        real_power_w: from voltage and current sampled together: signed.
        voltage_v: the meter's own, RMS.
        tells_voltage: the line has a place for the meter's own voltage, whether or not a number stood there.
    """

    apparent_power_va: Mapping[int, float] = field(default_factory=dict[int, float])
    real_power_w: Mapping[int, float] = field(default_factory=dict[int, float])
    current_a: Mapping[int, float] = field(default_factory=dict[int, float])
    voltage_v: float | None = None
    temperature_c: float | None = None
    node_id: int | None = None
    tells_voltage: bool = True


@dataclass(frozen=True)
class VoltageLine:
    """A voltage sensor's line, V RMS."""

    voltage_v: float


def decoded(line: bytes) -> str | Rejected:
    """The text of a line, or why it is none: line noise is seldom printable."""
    if line.isascii() and (text := line.decode("ascii").strip("\r\n \t\0")).replace("\t", " ").isprintable():
        return text
    return Rejected("not_text", "holds bytes that are not text")


def number(token: str) -> float | None:
    """A finite decimal number, or None. Python's wider forms (`1_000`, other scripts' digits) are noise here."""
    if not _NUMBER.fullmatch(token):
        return None
    value = float(token)
    return value if -1e300 < value < 1e300 else None


def is_not_finite(token: str) -> bool:
    """An Arduino's word for a number that it doesn't have: `nan`, `inf`, `ovf`."""
    return bool(_NOT_FINITE.fullmatch(token))


def is_plausible_power(value: float) -> bool:
    """Whether one input of a home can carry it; W or VA."""
    return abs(value) <= GREATEST_POWER_W
