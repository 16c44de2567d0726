"""Prices and carbon intensities that hold for a while, and sums over them."""

from collections.abc import Sequence
from datetime import datetime

from hems.contracts.energy import Series

Span = tuple[datetime, datetime, float]
"""From, to, value."""


def value_at(series: Series | None, now: datetime) -> float | None:
    """The value that holds now; None where none is known."""
    found = (entry.value for entry in (series.values if series else ()) if entry.start <= now < entry.end)
    return next(found, None)


def next_cheaper(series: Series | None, now: datetime) -> datetime | None:
    """When the price next falls below what it is now."""
    current = value_at(series, now)
    if series is None or current is None:
        return None
    return min((entry.start for entry in series.values if entry.start > now and entry.value < current - 1e-9), default=None)


def carbon_kg(energy: Sequence[tuple[datetime, float]], intensities: Sequence[Span]) -> float | None:
    """The carbon of energy: each kWh by the intensity, g/kWh, that held when it was used.

    None where more than a tenth of the energy has no intensity.
    """
    total_kwh = sum(kwh for _, kwh in energy)
    known_kwh, grams = 0.0, 0.0
    ordered = sorted(intensities)
    place = 0
    for at, kwh in sorted(energy):
        while place < len(ordered) and ordered[place][1] <= at:
            place += 1
        if place < len(ordered) and ordered[place][0] <= at:
            known_kwh += kwh
            grams += kwh * ordered[place][2]
    if total_kwh <= 0 or known_kwh < total_kwh * 0.9:
        return None
    return grams / known_kwh * total_kwh / 1_000
