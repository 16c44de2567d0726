"""What is written down of every switch and refusal."""

from dataclasses import dataclass
from typing import Literal

Event = Literal["switched", "refused", "failed"]


@dataclass(frozen=True)
class Entry:
    """One switch or refusal. `at` is UTC, ISO 8601; `source` is absent where a timer decided."""

    at: str
    relay: str
    event: Event
    state: str | None = None
    source: str | None = None
    command_id: str | None = None
    reason: str | None = None
