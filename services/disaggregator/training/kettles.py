"""Kettles read off the mains by looking back and forth: labels for homes where none was metered."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LEAST_RISE_W = 1500.0
KETTLE_W = (2200.0, 3300.0)
KETTLE_S = (30.0, 330.0)
NEVER_W = (1800.0, 3600.0)
NEVER_S = (18.0, 420.0)
_REACH_S = 600.0


def recognised(mains_w: Floats, period_s: float) -> Floats:
    """The kettle's power [samples] on a clock of about 6 s: 0 where surely none runs, NaN where it may be one.

    A kettle rises by 2.2 to 3.3 kW, holds that evenly for 30 to 330 s and falls by as much; what rises clearly less or more, or
    holds for much shorter or longer, is none.
    """
    power_w = np.where(np.isfinite(mains_w), np.float32(0), np.float32(np.nan))
    rises = np.flatnonzero(mains_w[3:] - mains_w[:-3] > LEAST_RISE_W) + 1
    after = 0
    for at in rises.tolist():
        if at < max(after, 6) or at + 8 >= len(mains_w):
            continue
        end, kind, step_w, base_w = _judged(mains_w, at, period_s)
        after = max(at + 3, end)
        if kind == "kettle":
            power_w[at:end] = np.clip(mains_w[at:end] - base_w, 0, step_w * 1.05)
        elif kind == "unsure":
            power_w[at - 1 : end + 2] = np.nan
    return power_w


def _judged(mains_w: Floats, at: int, period_s: float) -> tuple[int, str, float, float]:
    """End of what rose at `at`, what it is, its step and what it stands on, W."""
    base_w, top_w = float(np.median(mains_w[at - 5 : at])), float(np.median(mains_w[at + 3 : at + 6]))
    step_w, reach = top_w - base_w, int(_REACH_S / period_s)
    low = np.flatnonzero(mains_w[at + 2 : at + 2 + reach] < base_w + 0.5 * step_w)
    end = at + 2 + (int(low[0]) if len(low) else min(reach, len(mains_w) - at - 3))
    seconds, held = (end - at) * period_s, mains_w[at + 2 : max(at + 3, end - 1)]
    if not (NEVER_W[0] < step_w < NEVER_W[1] and NEVER_S[0] < seconds < NEVER_S[1]):
        return end, "none", step_w, base_w
    fall_w = float(np.median(mains_w[max(at, end - 4) : end - 1]) - np.median(mains_w[end + 1 : end + 5]))
    even = float(np.std(held)) < 0.06 * step_w and abs(fall_w - step_w) < 0.12 * step_w
    sure = even and KETTLE_W[0] < step_w < KETTLE_W[1] and KETTLE_S[0] <= seconds <= KETTLE_S[1]
    return end, "kettle" if sure else "unsure", step_w, base_w
