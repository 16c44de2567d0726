"""The coloured bands of the live line: where their names stand, so that they don't cover each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.dashboard.domain.colours import colour
from services.dashboard.domain.runs import Run

LANES = 4
_LETTER = 0.011
_MARGIN = 0.02


@dataclass(frozen=True)
class Band:
    """A run within the picture, which may have begun before.

    `lane` counts from the top; None where there is no room for the name. With `name_before` it stands left of the band.
    """

    appliance: str
    began: datetime
    start: datetime
    end: datetime
    running: bool
    probable: bool
    colour: int
    lane: int | None
    name_before: bool


def bands(runs: Sequence[Run], names: dict[str, str], oldest: datetime, now: datetime) -> list[Band]:
    """Runs cut to the picture, each name in the highest lane that is free there.

    Args:
        runs: by their start.
        names: what is written on them.
    """
    span_s = (now - oldest).total_seconds()
    free_from = [0.0] * LANES
    found: list[Band] = []
    for run in runs:
        start, end = max(run.start, oldest), min(run.end or now, now)
        left = (start - oldest).total_seconds() / span_s
        width = _MARGIN + _LETTER * len(names.get(run.appliance, run.appliance))
        name_before = left + width > 1
        first = left - width if name_before else left
        lane = next((number for number, free in enumerate(free_from) if free <= first), None)
        if lane is not None:
            free_from[lane] = first + width
        found.append(Band(run.appliance, run.start, start, end, run.end is None, run.probable, colour(run.appliance), lane, name_before))
    return found
