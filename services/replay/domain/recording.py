"""A recorded home, and when each of its readings is due."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UnusableRecording(ValueError):
    """A recording that can't be played; the message says why and what would help."""


def to_us(moment: datetime) -> int:
    """Microseconds since 1970, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(at_us: int) -> datetime:
    """The time of day, UTC."""
    return _EPOCH + int(at_us) * _MICROSECOND


@dataclass(frozen=True)
class Recording:
    """Readings of a home's supply, in order of time; NaN is a gap.

    Attributes:
        at_us: shape (n,), microseconds since 1970 (UTC), strictly increasing.
        mains_w: shape (n,), W.
        appliances_w: what single appliances drew, W, shape (n,) each; empty where it is not known.
    """

    at_us: npt.NDArray[np.int64]
    mains_w: npt.NDArray[np.float32]
    appliances_w: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict[str, "npt.NDArray[np.float32]"])

    def __post_init__(self) -> None:
        if not np.isfinite(self.mains_w).any():
            raise UnusableRecording("the recording holds no reading; is 'mains' its column of whole-home power?")
        if (np.diff(self.at_us) <= 0).any():
            raise UnusableRecording("the recording's times don't increase; sort it, and drop rows that share a time")

    @property
    def first(self) -> datetime:
        """The time of its first row."""
        return from_us(self.at_us[0])

    @property
    def last(self) -> datetime:
        """The time of its last row."""
        return from_us(self.at_us[-1])

    def mains_between(self, start: datetime, end: datetime) -> "Recording":
        """The mains alone, from `start` to before `end`.

        Raises:
            UnusableRecording: nothing was recorded then.
        """
        part = slice(*np.searchsorted(self.at_us, [to_us(start), to_us(end)]))
        return Recording(self.at_us[part], self.mains_w[part])


@dataclass(frozen=True)
class Due:
    """A reading and the domain time at which the meter says it."""

    at_us: int
    power_w: float


class Schedule:
    """When each reading is due, for ever: after the last row comes the first again, and time goes on.

    Args:
        recording: what is played; rows without a reading are silence.
        shift: domain time less the recording's own time, in the first round.
    """

    def __init__(self, recording: Recording, shift: timedelta = timedelta(0)) -> None:
        valid = np.isfinite(recording.mains_w)
        self._at_us = recording.at_us[valid]
        self._mains_w = recording.mains_w[valid]
        usual_us = int(np.median(np.diff(recording.at_us))) if len(recording.at_us) > 1 else 1_000_000
        self._first_us = int(recording.at_us[0])
        self._span_us = int(recording.at_us[-1]) - self._first_us + usual_us
        self._shift_us = shift // _MICROSECOND

    def after(self, domain_us: int) -> Due:
        """The first reading that is due later than this."""
        lap, place = self._place(domain_us)
        return self._due(lap, place)

    def until(self, domain_us: int) -> Due:
        """The last reading that was due by then."""
        lap, place = self._place(domain_us)
        return self._due(lap, place - 1)

    def _place(self, domain_us: int) -> tuple[int, int]:
        lap, within_us = divmod(domain_us - self._shift_us - self._first_us, self._span_us)
        return lap, int(np.searchsorted(self._at_us, self._first_us + within_us, side="right"))

    def _due(self, lap: int, place: int) -> Due:
        more, index = divmod(place, len(self._at_us))
        at_us = int(self._at_us[index]) + self._shift_us + (lap + more) * self._span_us
        return Due(at_us, float(self._mains_w[index]))
