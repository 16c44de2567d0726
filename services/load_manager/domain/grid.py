"""What a grid operator asks from afar, and the demand events that it becomes."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hems.contracts.demand import DemandEvent, DemandLevel

SOURCE = "openadr"
_LEVELS: tuple[DemandLevel, ...] = ("normal", "moderate", "high", "special")
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,40}")
_MOST_STEPS = 48


@dataclass(frozen=True)
class Step:
    """A level from 0 (normal) to 3 (special), and its span."""

    level: int
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class GridEvent:
    """What is asked for, in as many steps as the operator likes.

    Attributes:
        id: the operator's own.
        modification: goes up each time the operator changes it.
        steps: in order of time; none where nothing was said that is understood here.
        is_test: to be answered, and to be left at that.
        wants_answer: whether the operator wants to know who takes part.
    """

    id: str
    modification: int
    steps: tuple[Step, ...]
    is_cancelled: bool = False
    is_test: bool = False
    wants_answer: bool = True
    reason: str | None = None

    @property
    def family(self) -> str:
        """What the ids of its demand events begin with; the same for all modifications."""
        plain = _PLAIN.fullmatch(self.id) is not None
        return f"{SOURCE}-{self.id if plain else hashlib.sha256(self.id.encode()).hexdigest()[:24]}"

    def is_over(self, now: datetime) -> bool:
        """Whether it was taken back, or its time has passed; it is not known of one that is not understood."""
        return self.is_cancelled or (bool(self.steps) and all(step.ends_at <= now for step in self.steps))

    def demand_events(self) -> list[DemandEvent]:
        """One for each stretch of a level; none where nothing is to be done."""
        if self.is_cancelled or self.is_test:
            return []
        asking = [step for step in _joined(self.steps) if step.level > 0][:_MOST_STEPS]
        return [self._demand_event(number, step) for number, step in enumerate(asking)]

    def _demand_event(self, number: int, step: Step) -> DemandEvent:
        return DemandEvent(
            id=f"{self.family}.{number}" if number else self.family,
            level=_LEVELS[min(step.level, 3)],
            starts_at=step.starts_at,
            ends_at=step.ends_at,
            reason=self.reason,
            source=SOURCE,
        )


def family_of(event_id: str) -> str:
    """What the ids of one operator's event have in common; other events' ids as they are."""
    return event_id.split(".", 1)[0] if event_id.startswith(f"{SOURCE}-") else event_id


def news(event: GridEvent, known: Mapping[str, DemandEvent], now: datetime) -> list[DemandEvent]:
    """What has to be said so that what is known becomes what the operator asks: new, changed, and taken back."""
    wanted = {demand.id: demand for demand in event.demand_events() if demand.ends_at > now}
    ours = {key: demand for key, demand in known.items() if family_of(key) == event.family and demand.level != "normal"}
    gone = [demand.model_copy(update={"level": "normal"}) for key, demand in ours.items() if key not in wanted and demand.ends_at > now]
    return [*gone, *(demand for key, demand in wanted.items() if ours.get(key) != demand)]


def opted_out(event: GridEvent, ids: Iterable[str]) -> bool:
    """Whether a person opted out of any part of it: that is an answer to all of it."""
    return any(family_of(key) == event.family for key in ids)


def _joined(steps: Sequence[Step]) -> list[Step]:
    """Neighbours of the same level are one."""
    found: list[Step] = []
    for step in sorted(steps, key=lambda each: each.starts_at):
        if found and found[-1].level == step.level and found[-1].ends_at == step.starts_at:
            found[-1] = Step(step.level, found[-1].starts_at, step.ends_at)
        else:
            found.append(step)
    return found
