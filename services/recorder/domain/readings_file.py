"""Readings in CSV files of several kinds, told apart by their header."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from services.recorder.domain.energy import HOLE_US
from services.recorder.domain.records import MainsRow, Row, microseconds

_TIMES = ("time", "timestamp", "datetime", "date", "at", "measured_at", "utc", "unix", "unix_time")
_POWERS = ("power_w", "power", "watts", "w", "mains", "aggregate", "value")
_DEVICES = ("device_id", "device", "sensor", "node", "meter")
_EARLIEST = 631_152_000  # 1990
_LARGEST_W = 1e6


class UnknownForm(ValueError):
    """The header names no time or no power; the message says what it should."""


@dataclass(frozen=True)
class Columns:
    """Where time, power and device stand."""

    time: int
    power: int
    device: int | None


@dataclass
class Refusals:
    """Lines that could not be read."""

    count: int = 0
    samples: list[str] = field(default_factory=list[str])

    def add(self, line: int, reason: str) -> None:
        """Count one, and keep the first few."""
        self.count += 1
        if len(self.samples) < 3:
            self.samples.append(f"line {line}: {reason}")


class Steps:
    """Counts the steps from reading to reading that are too long for their energy to be known."""

    def __init__(self) -> None:
        self.long = 0
        self._last_us: int | None = None

    def follow(self, rows: Sequence[Row]) -> None:
        """Go on over further rows, in order of time."""
        for at_us in (row.at_us for row in rows if isinstance(row, MainsRow)):
            self.long += self._last_us is not None and abs(at_us - self._last_us) > HOLE_US
            self._last_us = at_us


def columns(header: Sequence[str]) -> Columns:
    """Find the columns.

    Raises:
        UnknownForm: there is no time or no power among them.
    """
    names = [name.strip().lower().lstrip("\ufeff") for name in header]
    time, power, device = (_first(names, known) for known in (_TIMES, _POWERS, _DEVICES))
    if time is None or power is None:
        raise UnknownForm(f"the first line names {', '.join(header)!r}: it must name a time ({_TIMES[0]}, …) and a power ({_POWERS[0]}, …)")
    return Columns(time, power, device)


def devices(rows: Iterable[Sequence[str]], where: Columns) -> set[str]:
    """The devices that a file holds; empty where it names none."""
    return set() if where.device is None else {row[where.device].strip() for row in rows if len(row) > where.device}


def readings(rows: Iterable[Sequence[str]], where: Columns, zone: tzinfo, device: str | None, refusals: Refusals) -> Iterator[MainsRow]:
    """The readings of one device.

    Args:
        zone: of times that name none.
        device: None takes every line.
        refusals: is told of what can't be read.
    """
    for number, row in enumerate(rows, start=2):
        try:
            if not row or (device is not None and where.device is not None and row[where.device].strip() != device):
                continue
            yield MainsRow(_time(row[where.time].strip(), zone), _power_mw(row[where.power]))
        except (ValueError, IndexError, OverflowError, OSError) as error:
            refusals.add(number, str(error))


def _first(names: Sequence[str], known: Sequence[str]) -> int | None:
    return next((names.index(name) for name in known if name in names), None)


def _time(text: str, zone: tzinfo) -> int:
    number = _number(text)
    if number is None:
        moment = datetime.fromisoformat(text.removesuffix(" UTC") + ("+00:00" if text.endswith(" UTC") else ""))
        return microseconds(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    # Seconds, milliseconds or microseconds: the first that makes a year before 2170.
    per_second = next((unit for unit in (1, 1_000, 1_000_000) if number / unit < 10 * _EARLIEST), 1_000_000_000)
    at_us = round(number * 1_000_000 / per_second)
    if at_us < _EARLIEST * 1_000_000:
        raise ValueError(f"{text!r} is no time after 1990")
    return at_us


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _power_mw(text: str) -> int:
    power_w = float(text)
    if not math.isfinite(power_w) or abs(power_w) > _LARGEST_W:
        raise ValueError(f"{text!r} is no power in W")
    return round(power_w * 1_000)
