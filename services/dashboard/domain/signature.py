"""The picture of one run: how the home's power rises above what it was before."""

import statistics
from collections.abc import Sequence
from datetime import datetime


def shape(power: Sequence[tuple[datetime, float]], start: datetime) -> list[tuple[datetime, float]]:
    """Power above the median of what was drawn before the run, never below nothing.

    Args:
        power: time and power, W, from a little before the run to a little behind it.
        start: of the run.
    """
    before = [power_w for at, power_w in power if at < start]
    base_w = statistics.median(before) if before else min((power_w for _, power_w in power), default=0.0)
    return [(at, round(max(power_w - base_w, 0.0), 1)) for at, power_w in power]
