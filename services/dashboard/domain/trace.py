"""The live line: the power of the last minutes to hours, thinned to the width of a picture."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

SPANS_S = (900, 3_600, 21_600, 86_400)
POINTS = 480
_LONGEST_HOLE = 20


@dataclass
class Trace:
    """Mean power in slots of one `POINTS`th of the span, and never shorter than a second."""

    span_s: int
    _slots: deque[tuple[float, float, int]] = field(default_factory=lambda: deque[tuple[float, float, int]](maxlen=POINTS + 2))

    @property
    def slot_s(self) -> float:
        """A slot's length, s."""
        return max(self.span_s / POINTS, 1.0)

    def add(self, at: datetime, power_w: float) -> None:
        """Take a reading; what is older than the newest slot is left out."""
        slot_s = at.timestamp() // self.slot_s * self.slot_s
        if self._slots and slot_s < self._slots[-1][0]:
            return
        if self._slots and slot_s == self._slots[-1][0]:
            _, total_w, count = self._slots.pop()
            self._slots.append((slot_s, total_w + power_w, count + 1))
        else:
            self._slots.append((slot_s, power_w, 1))

    def seed(self, points: list[tuple[datetime, float]]) -> None:
        """Put what the history knows before what came live."""
        live = list(self._slots)
        self._slots.clear()
        first_s = live[0][0] if live else float("inf")
        for at, power_w in sorted(points):
            if at.timestamp() < first_s:
                self.add(at, power_w)
        self._slots.extend(slot for slot in live if not self._slots or slot[0] > self._slots[-1][0])

    def points(self, now: datetime) -> list[tuple[datetime, float | None]]:
        """Time and mean power, W, within the span before `now`; None breaks the line over a hole."""
        oldest = now - timedelta(seconds=self.span_s)
        found: list[tuple[datetime, float | None]] = []
        before_s: float | None = None
        hole_s = max(self.slot_s * 3, _LONGEST_HOLE * 3)
        for slot_s, total_w, count in self._slots:
            at = datetime.fromtimestamp(slot_s, now.tzinfo)
            if at < oldest:
                continue
            if before_s is not None and slot_s - before_s > hole_s:
                found.append((datetime.fromtimestamp(before_s + self.slot_s, now.tzinfo), None))
            found.append((at, round(total_w / count, 1)))
            before_s = slot_s
        return found
