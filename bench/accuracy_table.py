"""What was measured on recorded homes, as a table for people and as the figures of a model's card."""

from dataclasses import dataclass
from typing import Any

from services.disaggregator.evaluation.judge import Verdict
from services.disaggregator.evaluation.scores import SampleScores

_HEADS = (
    "F1", "MAE", "starts", "false/d", "late s", "ECE", "sure", "true", "F1 corr", "MAE corr", "F1 edge", "MAE edge", "MAE zero", "MAE mean",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One appliance of one pack; `standing` is what the home is to the network: left out, never seen, or trained on."""

    home: str
    pack: str
    model: str
    standing: str
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        about = {"appliance": self.verdict.appliance, "home": self.home, "pack": self.pack, "model": self.model, "home_is": self.standing}
        return about | self.verdict.as_json()


def as_table(rows: list[Row]) -> str:
    """A line an appliance and pack, appliances together; a dash where there is nothing to say."""
    if not rows:
        return "nothing could be judged: none of these homes metered an appliance that the models know"
    ordered = sorted(rows, key=lambda row: (row.verdict.appliance, _RANKS[row.standing], row.pack))
    lines = [f"{'appliance':16}{'pack':32.32}{'the home was':13}{'days':>6}" + "".join(f"{head:>9}" for head in _HEADS)]
    return "\n".join([*lines, *(_line(row) for row in ordered), "", *_LEGEND])


_RANKS = {"left out": 0, "never seen": 1, "trained on": 2}
_LEGEND = (
    "F1 and MAE (W) by sample, as said at once; starts: F1 of announcements in time; late: their median delay; sure: what was claimed of",
    "announced starts (mean confidence), true: how many of them were; corr: the history as corrected 10 minutes later.",
)


def _line(row: Row) -> str:
    verdict, events = row.verdict, row.verdict.events
    cells = (
        _share(verdict.causal.f1), _watts(verdict.causal), _share(events.announced_f1), _number(events.false_a_day, 2),
        _number(events.delay_median_s, 0), _number(verdict.calibration.ece, 3), _share(events.confidence), _share(events.true_share),
        _share(verdict.corrected.f1), _watts(verdict.corrected), _share(verdict.edge.samples.f1), _watts(verdict.edge.samples),
        _watts(verdict.zero.samples), _watts(verdict.mean.samples),
    )  # fmt: skip
    return f"{verdict.appliance:16}{row.pack:32.31}{row.standing:13}{verdict.days:6.1f}" + "".join(f"{cell:>9}" for cell in cells)


def _share(value: float) -> str:
    return _number(value, 3)


def _watts(scores: SampleScores) -> str:
    return _number(scores.mae_w, 1)


def _number(value: float, digits: int) -> str:
    return "-" if value != value else f"{value:.{digits}f}"


def card_figures(rows: list[Row]) -> dict[str, Any]:
    """By appliance and pack, those of homes that the judged network never saw."""
    figures: dict[str, Any] = {}
    for row in rows:
        if row.standing != "trained on":
            figures.setdefault(row.verdict.appliance, {})[row.pack] = _card_entry(row)
    return figures


def _card_entry(row: Row) -> dict[str, Any]:
    verdict, events = row.verdict, row.verdict.events
    return {
        "home_is": row.standing,
        "days": _rounded(verdict.days),
        "at_once": _samples(verdict.causal)
        | {
            "event_f1": _rounded(events.announced_f1),
            "false_a_day": _rounded(events.false_a_day),
            "delay_median_s": _rounded(events.delay_median_s),
            "delay_p90_s": _rounded(events.delay_p90_s),
            "ece": _rounded(verdict.calibration.ece),
            "starts_confidence": _rounded(events.confidence),
            "starts_true_share": _rounded(events.true_share),
        },
        "corrected": _samples(verdict.corrected),
        "edge_rule": _samples(verdict.edge.samples),
        "always_zero_mae_w": _rounded(verdict.zero.samples.mae_w),
        "mean_mae_w": _rounded(verdict.mean.samples.mae_w),
    }


def _samples(scores: SampleScores) -> dict[str, float | None]:
    return {name: _rounded(getattr(scores, name)) for name in ("f1", "precision", "recall", "mae_w", "sae")}


def _rounded(value: float) -> float | None:
    return None if value != value else float(f"{value:.4g}")
