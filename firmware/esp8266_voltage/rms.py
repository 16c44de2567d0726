"""The true RMS of a waveform over whole mains cycles. Plain arithmetic: runs in MicroPython, and in CPython for its tests."""

LEAST_SWING = 16
"""Counts from the lowest to the highest sample: below this there is no mains, only the converter's noise."""

SLOWEST_HZ = 40.0
FASTEST_HZ = 70.0
_MICROSECONDS = 1e6


def measure(values, times_us):
    """The RMS about the mean, and the frequency.

    The mean, in which the module's 1.6 V offset lies, is taken out. Cycles are counted from one rise through the mean to another, the
    times of which lie between samples, so that the samples need not fit the mains.

    Args:
        values: samples, counts.
        times_us: when each was taken, us, rising; as many.

    Returns:
        RMS in counts, and the frequency in Hz; None for the frequency where no whole mains cycle is seen. The RMS is then
        that of all samples: the noise floor.
    """
    mean = sum(values) / len(values)
    swing = max(values) - min(values)
    if swing < LEAST_SWING:
        return _plain(values, mean), None
    rises = _rises(values, times_us, mean, swing / 8)
    if len(rises) < 2:
        return _plain(values, mean), None
    hertz = (len(rises) - 1) * _MICROSECONDS / (rises[-1][1] - rises[0][1])
    if not SLOWEST_HZ <= hertz <= FASTEST_HZ:
        return _plain(values, mean), None
    return _over_cycles(values, times_us, mean, rises[0], rises[-1]), hertz


def _rises(values, times_us, mean, margin):
    """Where the waveform rises through the mean: the sample after, and the time of the rise itself, us.

    It must have been below the mean by a margin before: noise around the mean is no cycle.
    """
    found = []
    armed = False
    for place in range(1, len(values)):
        if values[place] < mean - margin:
            armed = True
        elif armed and values[place] >= mean:
            armed = False
            before, after = values[place - 1], values[place]
            share = (mean - before) / (after - before) if after > before else 1.0
            found.append((place, times_us[place - 1] + share * (times_us[place] - times_us[place - 1])))
    return found


def _over_cycles(values, times_us, mean, first, last):
    """The RMS between two rises, by the trapezoids of the squares; at the rises themselves the waveform is at its mean."""
    area = square = 0.0
    start_us, before = first[1], 0.0
    for place in range(first[0], last[0]):
        after, width_us = values[place] - mean, times_us[place] - start_us
        area += width_us * (before + after) / 2
        square += width_us * (before * before + after * after) / 2
        start_us, before = times_us[place], after
    width_us = last[1] - start_us
    whole_us = last[1] - first[1]
    area = (area + width_us * before / 2) / whole_us
    square = (square + width_us * before * before / 2) / whole_us
    return max(square - area * area, 0.0) ** 0.5


def _plain(values, mean):
    return (sum((value - mean) * (value - mean) for value in values) / len(values)) ** 0.5
