"""Judges what was said about a home against its appliances' own meters, beside three answers that anyone could give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.disaggregator.domain.network import Floats, Network
from services.disaggregator.domain.tracking import Event
from services.disaggregator.evaluation.edge_rule import EdgeRule
from services.disaggregator.evaluation.scores import (
    DAY_S,
    Calibration,
    EnergyScores,
    EventScores,
    SampleScores,
    as_json,
    calibration,
    energy_scores,
    event_scores,
    sample_scores,
)
from services.disaggregator.evaluation.truth import RULES, Run, rule_of, running, runs
from services.disaggregator.history import Flags, History, Progress, Times, disaggregate

_SAME_CLOCK = 0.9


@dataclass(frozen=True)
class Truth:
    """One appliance at the judged times: its power [samples], whether it runs [samples], its runs, what can be judged."""

    power_w: Floats
    on: Flags
    runs: list[Run]
    known: Flags


@dataclass(frozen=True)
class Beside:
    """What an answer that needs no learning gets."""

    samples: SampleScores
    events: EventScores | None = None


@dataclass(frozen=True)
class Verdict:
    """All scores of one appliance in one home."""

    appliance: str
    days: float
    causal: SampleScores
    corrected: SampleScores
    events: EventScores
    energy: EnergyScores
    calibration: Calibration
    zero: Beside
    mean: Beside
    edge: Beside

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        beside = {name: self._beside(answer) for name, answer in (("zero", self.zero), ("mean", self.mean), ("edge", self.edge))}
        parts = {name: as_json(getattr(self, name)) for name in ("causal", "corrected", "events", "energy", "calibration")}
        return {"days": self.days, **parts, "beside": beside}

    @staticmethod
    def _beside(answer: Beside) -> dict[str, Any]:
        return {"samples": as_json(answer.samples), "events": as_json(answer.events) if answer.events else None}


@dataclass(frozen=True)
class Judgement:
    """A home judged: its verdicts, and what the pictures are drawn from."""

    home: str
    interval_s: float
    times_s: Times
    history: History
    truth: dict[str, Truth]
    verdicts: tuple[Verdict, ...]

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        verdicts = {verdict.appliance: verdict.as_json() for verdict in self.verdicts}
        return {"home": self.home, "interval_s": self.interval_s, "appliances": verdicts}


def judge(
    home: str, networks: Sequence[Network], times_s: Times, mains_w: Floats, truth_w: dict[str, Floats], progress: Progress | None = None
) -> Judgement:
    """Run a recording [samples] through the networks and judge every appliance that was metered and is known to them.

    `progress` is told of every sample twice: once for the networks, once for the edge rule.
    """
    history = disaggregate(networks, times_s, mains_w, progress)
    names = tuple(name for name in history.appliances if name in truth_w and name in RULES)
    # A network whose clock is finer than the readings is silent: what counts is how often anything was said.
    period_s = float(np.median(np.diff(history.times_s))) if len(history.times_s) > 1 else networks[0].model.period_s
    edge = disaggregate([EdgeRule(names, period_s)], times_s, mains_w, progress, most_lanes=1) if names else history
    interval_s = float(np.median(np.diff(times_s)))
    clock = _Clock(times_s, interval_s, history.times_s, period_s)
    truth = {name: _truth(name, clock, truth_w[name], mains_w) for name in names}
    verdicts = tuple(_verdict(name, clock, truth[name], history, edge) for name in names)
    return Judgement(home, clock.interval_s, clock.times_s, history, truth, verdicts)


class _Clock:
    """The times to judge at: the recording's, or the ticks where these are coarser."""

    def __init__(self, times_s: Times, interval_s: float, ticks_s: Times, period_s: float) -> None:
        self.as_recorded = interval_s >= _SAME_CLOCK * period_s
        self.times_s = times_s if self.as_recorded else ticks_s
        self.interval_s = interval_s if self.as_recorded else period_s
        self._recorded_s = times_s

    def averaged(self, power_w: Floats) -> Floats:
        """A recorded column at the judged times: means over the ticks, of at least half their samples."""
        if self.as_recorded:
            return power_w
        tick = np.searchsorted(self.times_s, self._recorded_s)
        size, known = len(self.times_s), np.isfinite(power_w)
        fitting = tick < size
        count = np.bincount(tick[fitting & known], minlength=size)
        total = np.bincount(tick[fitting & known], power_w[fitting & known].astype(np.float64), size)
        enough = (count > 0) & (2 * count >= np.bincount(tick[fitting], minlength=size))
        return np.where(enough, total / np.maximum(count, 1), np.nan).astype(np.float32)

    def rows(self, history: History) -> tuple[Any, Flags]:
        """Per judged time the row of a history said last, and whether it is recent."""
        row = np.searchsorted(history.times_s, self.times_s, side="right") - 1
        at = np.maximum(row, 0)
        recent = (row >= 0) & (self.times_s - history.times_s[at] < self.interval_s) & np.isfinite(history.mains_w[at])
        return at, recent


def _truth(name: str, clock: _Clock, recorded_w: Floats, mains_w: Floats) -> Truth:
    power_w = clock.averaged(recorded_w)
    found = runs(clock.times_s, power_w, rule_of(name, clock.interval_s), clock.interval_s)
    known = np.isfinite(power_w) & np.isfinite(clock.averaged(mains_w))
    return Truth(power_w, running(clock.times_s, found), found, known)


def _verdict(name: str, clock: _Clock, truth: Truth, history: History, edge: History) -> Verdict:
    column = history.appliances.index(name)
    row, recent = clock.rows(history)
    use = truth.known & recent
    row, on, power_w = row[use], truth.on[use], truth.power_w[use]
    days = len(row) * clock.interval_s / DAY_S
    said_w = history.power_w[row, column]
    true_runs = [run for run in truth.runs if _judged(clock, use, run.start_s)]
    events = [event for event in history.events if event.appliance == name and _judged(clock, use, event.announced_s)]
    tolerance_s = max(rule_of(name, clock.interval_s).tolerance_s, clock.interval_s)
    return Verdict(
        appliance=name,
        days=days,
        causal=sample_scores(history.running[row, column], said_w, on, power_w),
        corrected=sample_scores(history.running_corrected[row, column], history.power_w_corrected[row, column], on, power_w),
        events=event_scores(events, true_runs, tolerance_s, days),
        energy=energy_scores(clock.times_s[use], clock.interval_s, said_w, power_w),
        calibration=calibration(history.probability[row, column], on),
        zero=_constant(0.0, name, clock, on, power_w),
        mean=_constant(float(power_w.mean()) if len(power_w) else 0.0, name, clock, on, power_w),
        edge=_beside_edge(name, clock, truth, edge, true_runs, tolerance_s),
    )


def _constant(constant_w: float, name: str, clock: _Clock, on: Flags, power_w: Floats) -> Beside:
    said_w = np.full_like(power_w, constant_w)
    return Beside(sample_scores(said_w > rule_of(name, clock.interval_s).on_above_w, said_w, on, power_w))


def _beside_edge(name: str, clock: _Clock, truth: Truth, edge: History, true_runs: list[Run], tolerance_s: float) -> Beside:
    column = edge.appliances.index(name)
    row, recent = clock.rows(edge)
    use = truth.known & recent
    row = row[use]
    days = len(row) * clock.interval_s / DAY_S
    events = [event for event in edge.events if event.appliance == name and _judged(clock, use, event.announced_s)]
    samples = sample_scores(edge.running[row, column], edge.power_w[row, column], truth.on[use], truth.power_w[use])
    return Beside(samples, event_scores(events, true_runs, tolerance_s, days))


def _judged(clock: _Clock, use: Flags, time_s: float) -> bool:
    at = min(int(np.searchsorted(clock.times_s, time_s)), len(use) - 1)
    return bool(use[at])


def events_of(history: History, appliance: str) -> list[Event]:
    """One appliance's events."""
    return [event for event in history.events if event.appliance == appliance]
