"""What could not be shown while the cloud was away, kept thinner the longer that lasts, and filled in afterwards."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.bridge_adafruit.domain.quota import Kind, Quota

_WORTH_A_CALL = 5
_FIRST_SPACING_S = 10.0
_SHORTEST_SPACING_S = 1.0
_KEPT_BY_ADAFRUIT = timedelta(days=29)


@dataclass(frozen=True)
class Point:
    """A value and its time."""

    at: datetime
    value: str


@dataclass(frozen=True)
class Batch:
    """Points of one feed, the oldest first, that go in one call."""

    key: str
    points: tuple[Point, ...]


@dataclass
class GapState:
    """What survives a restart. `sending` may or may not have arrived; `spacing_s` is the least time between two points of a feed."""

    points: dict[str, list[Point]] = field(default_factory=dict[str, list[Point]])
    spacing_s: dict[str, float] = field(default_factory=dict[str, float])
    sending: Batch | None = None


class Gap:
    """The points of an outage.

    Args:
        quota: what may be sent.
        most: points kept of a feed; beyond it, every second one goes.
        paces: for each feed the least time between two points, s.
    """

    def __init__(self, quota: Quota, most: int, paces: Mapping[str, float]) -> None:
        self._quota = quota
        self._most = most
        self._paces = dict(paces)
        self.state = GapState()
        self.thinned = 0

    @property
    def waiting(self) -> int:
        """Points that are still to be filled in."""
        unsure = len(self.state.sending.points) if self.state.sending else 0
        return unsure + sum(map(len, self.state.points.values()))

    def note(self, key: str, value: str, at: datetime) -> None:
        """A value that can't be sent now."""
        points, spacing_s = self.state.points.setdefault(key, []), self.state.spacing_s.get(key, self._paces.get(key, 0.0))
        if points and (at - points[-1].at).total_seconds() < max(spacing_s, _SHORTEST_SPACING_S):
            self.thinned += 1
            return
        points.append(Point(at, value))
        while len(points) > self._most:
            self._thin(key)
            points = self.state.points[key]

    def drop_newest(self, values: Mapping[str, str]) -> None:
        """These are said live now: where a feed's last point is the same value, it need not be said twice."""
        for key, value in values.items():
            points = self.state.points.get(key)
            if points and points[-1].value == value:
                points.pop()
        self._forget_empty()

    def batch(self, now: datetime, now_s: float) -> Batch | None:
        """The next points to send, begun in the quota; `sending` until one of the next three calls."""
        if self.state.sending is not None or not self.state.points:
            return None
        self._forget_old(now)
        if not self.state.points:
            return None
        key, points = min(self.state.points.items(), key=lambda entry: entry[1][0].at)
        room = 0
        while room < len(points) and self._quota.admits(Kind.FILL, now_s):
            self._quota.begin(Kind.FILL)
            room += 1
        if room < min(_WORTH_A_CALL, len(points)):
            self._give_back(room)
            return None
        self.state.sending = Batch(key, tuple(points[:room]))
        del points[:room]
        self._forget_empty()
        return self.state.sending

    def sent(self, now_s: float) -> None:
        """The batch was taken."""
        self._over(now_s)

    def refused(self, now_s: float) -> None:
        """The batch was certainly not taken: it waits again."""
        if batch := self._over(now_s):
            self.state.points[batch.key] = [*batch.points, *self.state.points.get(batch.key, [])]

    def unsure(self, now_s: float) -> None:
        """No answer came: the batch stays `sending` until it is known what is there."""
        if self.state.sending is not None:
            self._end(len(self.state.sending.points), now_s)

    def found(self, there: Collection[datetime]) -> None:
        """Of an unsure batch, points at these times are there; the others wait again."""
        batch, self.state.sending = self.state.sending, None
        if batch is not None:
            missing = [point for point in batch.points if point.at.replace(microsecond=0) not in there]
            self.state.points[batch.key] = [*missing, *self.state.points.get(batch.key, [])]
            self._forget_empty()

    def _over(self, now_s: float) -> Batch | None:
        batch, self.state.sending = self.state.sending, None
        if batch is not None:
            self._end(len(batch.points), now_s)
        return batch

    def _end(self, count: int, now_s: float) -> None:
        open_now = min(count, self._quota.open(Kind.FILL))
        self._quota.end(Kind.FILL, now_s, open_now)

    def _give_back(self, count: int) -> None:
        for _ in range(count):
            self._quota.give_back(Kind.FILL)

    def _thin(self, key: str) -> None:
        points, kept = self.state.points[key], list[Point]()
        self.state.spacing_s[key] = spacing_s = max(_FIRST_SPACING_S, 2 * self.state.spacing_s.get(key, self._paces.get(key, 0.0)))
        for point in points:
            if not kept or (point.at - kept[-1].at).total_seconds() >= spacing_s:
                kept.append(point)
        self.thinned += len(points) - len(kept)
        self.state.points[key] = kept

    def _forget_old(self, now: datetime) -> None:
        for key, points in self.state.points.items():
            kept = [point for point in points if now - point.at < _KEPT_BY_ADAFRUIT]
            self.thinned += len(points) - len(kept)
            self.state.points[key] = kept
        self._forget_empty()

    def _forget_empty(self) -> None:
        self.state.points = {key: points for key, points in self.state.points.items() if points}
        self.state.spacing_s = {key: spacing for key, spacing in self.state.spacing_s.items() if key in self.state.points}
