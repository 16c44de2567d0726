"""Probabilities into running, and running into events: hysteresis, minimum durations, pauses that belong to a run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from hems.contracts.appliances import EventKind
from services.disaggregator.domain.network import Head

PROBABLE_REST_S = 1800.0
"""After a `probable` that came to nothing, the next one waits as long."""
JOULES_PER_KWH = 3.6e6


class Event(NamedTuple):
    """Something to announce. Times are seconds since 1970; `at_s` is when it happened, as far as it is known."""

    appliance: str
    kind: EventKind
    at_s: float
    announced_s: float
    confidence: float
    duration_s: float | None = None
    energy_kwh: float | None = None


@dataclass(slots=True)
class Tracker:
    """One appliance: whether it runs, since when, and what it draws.

    A run begins where the probability rose for good, and ends where it fell for good; both are told when they are sure.
    """

    appliance: str
    running: bool = False
    probability: float = 0.0
    power_w: float = 0.0
    since_s: float | None = None
    onset_s: float | None = None
    sure_s: float | None = None
    low_s: float | None = None
    told_probable_s: float | None = None
    energy_ws: float = 0.0
    energy_at_low_ws: float = 0.0
    ran_s: float = 0.0
    later_onset_s: float | None = None
    later_ran_s: float = -math.inf
    later_idle_s: float = -math.inf

    @property
    def confidence(self) -> float:
        """How likely what is said now is true."""
        return self.probability if self.running else 1.0 - self.probability

    def step(self, head: Head, time_s: float, elapsed_s: float, probability: float, power_w: float) -> Event | None:
        """One tick: `power_w` is what the appliance draws if it runs."""
        self.probability = probability
        if self.running:
            return self._step_running(head, time_s, elapsed_s, power_w)
        if probability < head.threshold_off and (head.probable_threshold is None or probability < head.probable_threshold):
            if self.onset_s is not None:
                self._forget_onset()
            return None
        return self._step_rising(head, time_s, elapsed_s, power_w)

    def ran_since(self, time_s: float) -> bool:
        """Whether it was said to run at any time since."""
        return self.running or self.ran_s >= time_s

    def hear_later(self, head: Head, then_s: float, ran: bool) -> None:
        """What is known only now of an earlier tick: it helps to date a start."""
        if not ran:
            self.later_idle_s = then_s
        elif self.later_onset_s is None or then_s - self.later_ran_s > head.minimum_off_s:
            self.later_onset_s = then_s
        if ran:
            self.later_ran_s = then_s

    def gap(self, head: Head, last_s: float, time_s: float) -> Event | None:
        """No readings from `last_s` to `time_s`: a run survives only what would pass for a pause."""
        if self.running and time_s - last_s > head.minimum_off_s:
            return self.finish(self.low_s or last_s, time_s)
        self._forget_onset()
        self.later_onset_s, self.later_ran_s, self.later_idle_s = None, -math.inf, -math.inf
        return None

    def finish(self, at_s: float, announced_s: float) -> Event:
        """The run ended."""
        onset_s = at_s if self.onset_s is None else self.onset_s
        energy_ws = self.energy_ws if self.low_s is None else self.energy_at_low_ws
        event = Event(
            self.appliance, "finished", at_s, announced_s, 1.0 - self.probability, max(0.0, at_s - onset_s), energy_ws / JOULES_PER_KWH
        )
        self.running, self.power_w, self.since_s, self.low_s, self.told_probable_s = False, 0.0, at_s, None, None
        self.ran_s = announced_s
        self._forget_onset()
        return event

    def _step_rising(self, head: Head, time_s: float, elapsed_s: float, power_w: float) -> Event | None:
        probability = self.probability
        if self.onset_s is None:
            self.onset_s, self.energy_ws = time_s, 0.0
        self.energy_ws += power_w * elapsed_s
        if probability >= head.threshold_on and self.sure_s is None:
            self.sure_s = time_s
        elif probability < head.threshold_off:
            self.sure_s = None
        if self.sure_s is not None and time_s - self.sure_s >= head.minimum_on_s:
            return self._start(head, time_s, power_w)
        if head.probable_threshold is not None and probability >= head.probable_threshold:
            return self._call_probable(head, time_s)
        return None

    def _start(self, head: Head, time_s: float, power_w: float) -> Event:
        self.onset_s = self._dated(head, time_s)
        self.running, self.since_s, self.power_w, self.sure_s = True, self.onset_s, power_w, None
        return Event(self.appliance, "started", self.onset_s, time_s, self.probability)

    def _call_probable(self, head: Head, time_s: float) -> Event | None:
        if self.told_probable_s is not None and time_s - self.told_probable_s < PROBABLE_REST_S:
            return None
        self.told_probable_s = time_s
        return Event(self.appliance, "probable", self._dated(head, time_s), time_s, self.probability)

    def _dated(self, head: Head, time_s: float) -> float:
        """When the run began: where the probability rose, moved by what is known later of the time before.

        No earlier than the last tick that is known to have been idle, nor than the end of the run before; and where it is
        known to have run until a pause before the rise, as early as that began.
        """
        onset_s = time_s if self.onset_s is None else self.onset_s
        if self.later_onset_s is not None and onset_s - self.later_ran_s <= head.minimum_off_s:
            onset_s = min(onset_s, self.later_onset_s)
        elif self.later_idle_s > onset_s:
            onset_s = self.later_idle_s
        return onset_s if self.since_s is None else max(onset_s, self.since_s)

    def _step_running(self, head: Head, time_s: float, elapsed_s: float, power_w: float) -> Event | None:
        if self.probability >= head.threshold_off:
            self.low_s, self.power_w = None, power_w
            self.energy_ws += power_w * elapsed_s
            return None
        if self.low_s is None:
            self.low_s, self.energy_at_low_ws, self.power_w = time_s, self.energy_ws, 0.0
        return self.finish(self.low_s, time_s) if time_s - self.low_s >= head.minimum_off_s else None

    def _forget_onset(self) -> None:
        self.onset_s, self.sure_s, self.energy_ws = None, None, 0.0

    def save(self) -> dict[str, Any]:
        """The state, as JSON takes it."""
        return {name: None if value == -math.inf else value for name in self.__slots__ for value in (getattr(self, name),)}

    @classmethod
    def restore(cls, saved: Mapping[str, Any]) -> "Tracker":
        """Go on where `save` was called."""
        known = {name: value for name, value in saved.items() if value is not None}
        return cls(**known)
