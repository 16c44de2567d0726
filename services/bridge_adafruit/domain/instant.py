"""Now, on both clocks."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Instant:
    """The time of day (UTC), and seconds of a clock that never jumps."""

    at: datetime
    s: float
