"""The coloured bands of the live line: where their names stand, so that they don't cover each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.dashboard.domain.colours import colour
from services.dashboard.domain.runs import Run

LANES = 4
USUAL_WIDTH_PX = 700.0
_LETTER_PX = 7.7
_MARGIN_PX = 14.0
_AXIS_PX = 70.0
_NAMED_AGAIN_PX = 80.0
"""A fridge that runs forty times a day is named now and then; its colour tells the rest."""


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


def bands(runs: Sequence[Run], names: dict[str, str], oldest: datetime, now: datetime, width_px: float = USUAL_WIDTH_PX) -> list[Band]:
    """Runs cut to the picture, each name in the highest lane that is free there; a name that stands just before is not said again.

    Args:
        runs: by their start.
        names: what is written on them.
        width_px: of the whole picture.
    """
    px_per_s = (width_px - _AXIS_PX) / (now - oldest).total_seconds()
    free_from_px = [0.0] * LANES
    named_until_px = dict[str, float]()
    found: list[Band] = []
    for run in runs:
        start, end = max(run.start, oldest), min(run.end or now, now)
        left_px = (start - oldest).total_seconds() * px_per_s
        wide_px = _MARGIN_PX + _LETTER_PX * len(names.get(run.appliance, run.appliance))
        name_before = left_px + wide_px > width_px - _AXIS_PX
        first_px = left_px - wide_px if name_before else left_px
        said = first_px < named_until_px.get(run.appliance, first_px)
        lane = None if said else next((number for number, free_px in enumerate(free_from_px) if free_px <= first_px), None)
        if lane is not None:
            free_from_px[lane] = first_px + wide_px
            named_until_px[run.appliance] = first_px + wide_px + _NAMED_AGAIN_PX
        found.append(Band(run.appliance, run.start, start, end, run.end is None, run.probable, colour(run.appliance), lane, name_before))
    return found
