"""Pictures of a judgement, as SVG: a day of mains, truth and answer, and a calibration curve."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

import numpy as np

from services.disaggregator.domain.network import Floats
from services.disaggregator.evaluation.judge import Judgement, Verdict
from services.disaggregator.evaluation.scores import DAY_S, Calibration
from services.disaggregator.history import Flags, Times

_MAINS, _TRUTH, _SAID = "#b8bec7", "#1b7f4b", "#d1495b"
_STYLE = "font-family:system-ui,sans-serif;font-size:12px;fill:#333"


@dataclass(frozen=True)
class _Axes:
    """A rectangle of the picture, and the ranges that it shows; both ranges begin at 0."""

    left: float
    top: float
    width: float
    height: float
    x_end: float
    y_end: float

    def line(self, x: Times, y: Times, colour: str, width: float = 1.2, steps: bool = False) -> str:
        """A curve; in steps where a value holds until the next."""
        if steps:
            x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
        points = " ".join(f"{self._x(a):.1f},{self._y(b):.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True) if b == b)
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>'

    def frame(self, x_marks: dict[float, str], y_marks: dict[float, str], title: str) -> Iterator[str]:
        """The border, the title and the marks."""
        box = f'x="{self.left}" y="{self.top}" width="{self.width}" height="{self.height}"'
        yield f'<rect {box} fill="none" stroke="#888"/>'
        yield f'<text x="{self.left}" y="{self.top - 8}">{escape(title)}</text>'
        for value, text in x_marks.items():
            yield f'<text x="{self._x(value):.1f}" y="{self.top + self.height + 16}" text-anchor="middle">{escape(text)}</text>'
        for value, text in y_marks.items():
            yield f'<text x="{self.left - 6}" y="{self._y(value) + 4:.1f}" text-anchor="end">{escape(text)}</text>'

    def _x(self, value: float) -> float:
        return self.left + self.width * value / self.x_end

    def _y(self, value: float) -> float:
        return self.top + self.height * (1 - min(max(value / self.y_end, 0), 1))


def picture(judgement: Judgement, verdict: Verdict) -> str:
    """One appliance: the day with the most of its energy of which all is known, and the calibration of its probability."""
    name = verdict.appliance
    parts = [*_day(judgement, name), *_curve(verdict.calibration)]
    legend = "".join(
        f'<text x="{70 + 130 * place}" y="330" ><tspan style="fill:{colour}">■</tspan> {text}</text>'
        for place, (colour, text) in enumerate(((_MAINS, "mains"), (_TRUTH, "its own meter"), (_SAID, "said at once")))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="1120" height="350" style="{_STYLE};background:#fff">{"".join(parts)}{legend}</svg>'
    )


def _day(judgement: Judgement, name: str) -> Iterator[str]:
    history, truth = judgement.history, judgement.truth[name]
    day_s = _shown_day_s(judgement.times_s, truth.power_w, truth.known)
    said, meant = (_within(times_s, day_s) for times_s in (history.times_s, judgement.times_s))
    mains_w = history.mains_w[said]
    top_w = max(1000.0, 1000.0 * np.ceil(float(np.nanmax(mains_w, initial=0.0)) / 1000))
    axes = _Axes(60, 30, 720, 260, DAY_S / 3600, top_w)
    date = datetime.fromtimestamp(day_s, UTC).date().isoformat()
    yield from axes.frame({h: f"{h:02.0f}:00" for h in range(0, 25, 4)}, _watt_marks(top_w), f"{judgement.home}, {name}, {date} (UTC), W")
    yield axes.line((history.times_s[said] - day_s) / 3600, mains_w.astype(np.float64), _MAINS, 1.0)
    yield axes.line((judgement.times_s[meant] - day_s) / 3600, truth.power_w[meant].astype(np.float64), _TRUTH, 1.8, steps=True)
    column = history.appliances.index(name)
    yield axes.line((history.times_s[said] - day_s) / 3600, history.power_w[said, column].astype(np.float64), _SAID, 1.2, steps=True)


def _curve(calibration: Calibration) -> Iterator[str]:
    axes = _Axes(840, 30, 260, 260, 1.0, 1.0)
    marks = {0.0: "0", 0.5: "0.5", 1.0: "1"}
    yield from axes.frame(marks, marks, f"how often so, over how likely said; ECE {calibration.ece:.3f}")
    yield axes.line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), _MAINS)
    yield axes.line(np.array(calibration.stated), np.array(calibration.observed), _SAID, 2.0)


def _watt_marks(top_w: float) -> dict[float, str]:
    return {top_w * share: f"{top_w * share:.0f}" for share in (0, 0.25, 0.5, 0.75, 1)}


def _within(times_s: Times, day_s: float) -> slice:
    return slice(int(np.searchsorted(times_s, day_s)), int(np.searchsorted(times_s, day_s + DAY_S)))


def _shown_day_s(times_s: Times, truth_w: Floats, known: Flags) -> float:
    day = (times_s // DAY_S).astype(np.int64) - int(times_s[0] // DAY_S)
    energy = np.bincount(day, np.where(known, np.nan_to_num(truth_w), 0).astype(np.float64))
    complete = np.bincount(day, known) >= 0.9 * np.bincount(day).max()
    return float(times_s[0] // DAY_S + int(np.argmax(energy * (0.001 + complete)))) * DAY_S
