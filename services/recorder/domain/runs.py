"""What appliances did in a recorded time, tick by tick, as the rows that a live home would have left."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from hems.contracts.appliances import ApplianceEvent, EventKind, event_id
from services.recorder.domain.energy import MINUTE_US, SECOND_US
from services.recorder.domain.records import Happening, Row, StateRow, happening, moment

_JOULES_PER_KWH = 3.6e6


class Tick(NamedTuple):
    """An appliance at one time; a probability that is not known (in a gap) counts as off."""

    at_us: int
    probability: float
    running: bool
    power_w: float


class Runs:
    """One appliance's states, one a change and one a minute while it runs, and its starts and ends."""

    def __init__(self, home: str, appliance: str) -> None:
        self._home = home
        self._appliance = appliance
        self._last: Tick | None = None
        self._said_us = 0
        self._since: tuple[datetime, float] | None = None
        self._energy_j = 0.0

    def rows(self, ticks: Iterable[Tick]) -> Iterator[Row]:
        """The rows of further ticks, in order of time."""
        for tick in ticks:
            last = self._last
            if last is not None and last.running:
                self._energy_j += last.power_w * min(tick.at_us - last.at_us, MINUTE_US) / SECOND_US
            if last is None or tick.running != last.running:
                yield from self._changed(tick)
            elif tick.running and tick.at_us - self._said_us >= MINUTE_US:
                yield self._state(tick)
            self._last = tick

    def _changed(self, tick: Tick) -> Iterator[Row]:
        yield self._state(tick)
        at, sure = moment(tick.at_us), _confidence(tick)
        if tick.running:
            self._since, self._energy_j = (at, sure), 0.0
            yield self._event("started", at, sure)
        elif self._since is not None:
            began, sure_then = self._since
            self._since = None
            yield self._event("finished", at, sure_then, (at - began).total_seconds(), self._energy_j / _JOULES_PER_KWH)

    def _state(self, tick: Tick) -> StateRow:
        self._said_us = tick.at_us
        power_mw = round(tick.power_w * 1_000) if tick.running else 0
        return StateRow(tick.at_us, self._appliance, tick.running, power_mw, round(_confidence(tick) * 1_000))

    def _event(
        self, kind: EventKind, at: datetime, confidence: float, duration_s: float | None = None, energy_kwh: float | None = None
    ) -> Happening:
        told = ApplianceEvent(
            id=event_id(self._home, self._appliance, kind, at), kind=kind, at=at, announced_at=at, confidence=confidence,
            duration_s=duration_s, energy_kwh=energy_kwh,
        )  # fmt: skip
        return happening("event", at, self._appliance, told, told.id)


def _confidence(tick: Tick) -> float:
    known = min(max(tick.probability, 0.0), 1.0) if tick.probability == tick.probability else 0.0
    return known if tick.running else 1.0 - known
