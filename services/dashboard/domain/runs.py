"""Runs of appliances: from events as they are announced, and from the history."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hems.contracts.appliances import ApplianceEvent, ApplianceState

_KEPT_FOR = timedelta(hours=26)
_SAME_RUN = timedelta(seconds=90)
_PROBABLE_FOR = timedelta(minutes=5)
_MOST_NAMES = 64
_MOST_RUNS = 500
_MOST_EVENTS = 5_000


@dataclass(frozen=True)
class Run:
    """From when to when an appliance ran; None while it does, or where the end is not known."""

    appliance: str
    start: datetime
    end: datetime | None
    confidence: float
    probable: bool = False
    energy_kwh: float | None = None

    @property
    def duration_s(self) -> float | None:
        """How long it took, s."""
        return None if self.end is None else (self.end - self.start).total_seconds()


class Runs:
    """The runs of the last day."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Run]] = {}
        self._seen: dict[str, datetime] = {}

    def see_event(self, appliance: str, event: ApplianceEvent) -> bool:
        """Take an event; False where it was told before."""
        runs = self._of(appliance)
        if event.id in self._seen or runs is None:
            return False
        self._seen[event.id] = event.at
        if len(self._seen) > _MOST_EVENTS:
            del self._seen[next(iter(self._seen))]
        if event.kind == "finished":
            self._finish(appliance, runs, event)
        else:
            self._start(appliance, runs, event.at, event.confidence, probable=event.kind == "probable")
        return True

    def see_state(self, appliance: str, state: ApplianceState) -> None:
        """A state tells of runs that began before this page listened, and of ends that were not announced."""
        runs = self._of(appliance)
        if runs is None:
            return
        if state.running:
            self._start(appliance, runs, state.since or state.observed_at, state.confidence, probable=False, only_if_none=True)
        elif runs and runs[-1].end is None:
            self._stop(runs, state)

    def within(self, oldest: datetime, now: datetime) -> list[Run]:
        """The runs that overlap the time from `oldest` to `now`, by their start; forgets what is older than a day."""
        for appliance, runs in self._runs.items():
            self._runs[appliance] = [run for run in runs if (run.end or now) > now - _KEPT_FOR]
        self._seen = {identity: at for identity, at in self._seen.items() if at > now - _KEPT_FOR}
        found = [run for runs in self._runs.values() for run in runs if (run.end or now) > oldest and run.start < now]
        return sorted(found, key=lambda run: (run.start, run.appliance))

    def _of(self, appliance: str) -> list[Run] | None:
        """Its runs; None for names beyond what a home has: who may write topics could fill the memory."""
        if appliance not in self._runs and len(self._runs) >= _MOST_NAMES:
            return None
        runs = self._runs.setdefault(appliance, [])
        del runs[:-_MOST_RUNS]
        return runs

    def _start(
        self, appliance: str, runs: list[Run], at: datetime, confidence: float, *, probable: bool, only_if_none: bool = False
    ) -> None:
        if runs and runs[-1].end is None:
            if only_if_none:
                return
            runs[-1] = replace(runs[-1], start=min(at, runs[-1].start), confidence=confidence, probable=probable)
        elif not runs or runs[-1].end is None or at > runs[-1].end - _SAME_RUN:
            runs.append(Run(appliance, at, None, confidence, probable))

    def _stop(self, runs: list[Run], state: ApplianceState) -> None:
        """It does not run. What was only probable is given a few minutes, then it has not come true."""
        run = runs[-1]
        if not run.probable:
            runs[-1] = replace(run, end=max(state.since or state.observed_at, run.start))
        elif state.observed_at - run.start > _PROBABLE_FOR:
            runs.pop()

    def _finish(self, appliance: str, runs: list[Run], event: ApplianceEvent) -> None:
        start = event.at - timedelta(seconds=event.duration_s or 0)
        finished = Run(appliance, start, event.at, event.confidence, energy_kwh=event.energy_kwh)
        overlapping = [run for run in runs if run.start <= event.at and (run.end or event.at) >= start]
        for run in overlapping:
            runs.remove(run)
        earliest = min([start, *(run.start for run in overlapping)]) if event.duration_s is None else start
        runs.append(replace(finished, start=earliest))
        runs.sort(key=lambda run: run.start)


@dataclass(frozen=True)
class Habit:
    """How an appliance is used."""

    count: int
    per_week: float
    typical_duration_s: float
    typical_energy_kwh: float | None
    last: Run


def habit(runs: Sequence[Run], days: float) -> Habit | None:
    """The typical run: medians, so that one odd run changes nothing; None without a finished run.

    Args:
        runs: finished runs, by their start.
        days: how much time they were looked for in.
    """
    finished = [(run, run.duration_s) for run in runs if run.duration_s is not None]
    if not finished:
        return None
    energies = [run.energy_kwh for run, _ in finished if run.energy_kwh is not None]
    return Habit(
        count=len(finished),
        per_week=len(finished) / max(days, 1 / 24) * 7,
        typical_duration_s=statistics.median(seconds for _, seconds in finished),
        typical_energy_kwh=statistics.median(energies) if energies else None,
        last=finished[-1][0],
    )


def events_of(rows: Iterable[Sequence[Any]]) -> list[tuple[str, ApplianceEvent]]:
    """Events as the history tells them: rows of time, appliance and event; what can't be read is left out."""
    found: list[tuple[str, ApplianceEvent]] = []
    for _, appliance, said in rows:
        try:
            found.append((str(appliance), ApplianceEvent.model_validate(said)))
        except ValueError:
            continue
    return found


def finished_runs(events: Iterable[tuple[str, ApplianceEvent]]) -> Mapping[str, list[Run]]:
    """Each appliance's finished runs, by their start."""
    found: dict[str, list[Run]] = {}
    for appliance, event in events:
        if event.kind == "finished" and event.duration_s is not None:
            start = event.at - timedelta(seconds=event.duration_s)
            found.setdefault(appliance, []).append(Run(appliance, start, event.at, event.confidence, energy_kwh=event.energy_kwh))
    return {appliance: sorted(runs, key=lambda run: run.start) for appliance, runs in found.items()}
