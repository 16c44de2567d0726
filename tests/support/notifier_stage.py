"""A notifier on a stage: a broker in memory, a clock moved by hand, and a channel that does as it is told."""

import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hems.actor.context import Context
from hems.actor.settings import HomeSettings
from hems.testing.clocks import ManualClock
from hems.testing.harness import Stage, on_stage
from hems.testing.memory_bus import MemoryBroker
from services.notifier.actor import Notifier
from services.notifier.domain.account import Incoming
from services.notifier.domain.outgoing import Accepted, Delivered, Found, Later, Outcome
from services.notifier.settings import NotifierSettings

ME = "+447700900123"
ANNA = "+447700900456"


@dataclass
class FakeChannel:
    """Takes everything, unless `outcomes` say otherwise; `taken` is what the provider holds."""

    name: str = "sms"
    outcomes: deque[Outcome] = field(default_factory=deque[Outcome])
    taken: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    attempts: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    deliveries: deque[Delivered] = field(default_factory=deque[Delivered])
    found: deque[Found | Later] = field(default_factory=deque["Found | Later"])
    received: list[Incoming] = field(default_factory=list[Incoming])

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Nothing to open."""
        yield

    async def send(self, address: str, text: str, useful_for_s: float) -> Outcome:
        """The next outcome, or acceptance."""
        self.attempts.append((address, text))
        outcome = self.outcomes.popleft() if self.outcomes else Accepted(f"SM{len(self.taken)}")
        if isinstance(outcome, Accepted):
            self.taken.append((address, text))
        return outcome

    async def find(self, address: str, text: str, since: datetime, known: Collection[str]) -> Found | Later:
        """The next answer, or nothing found."""
        return self.found.popleft() if self.found else Found(None)

    async def check(self, provider_id: str) -> Delivered:
        """The next answer, or delivered."""
        return self.deliveries.popleft() if self.deliveries else Delivered("delivered")

    async def incoming(self) -> list[Incoming]:
        """What people have texted."""
        return self.received

    @property
    def texts(self) -> list[str]:
        """The texts that were taken."""
        return [text for _, text in self.taken]


def settings(**values: Any) -> NotifierSettings:
    """A notifier's settings: one recipient by SMS unless others are given; silence is no news, since health goes by the real clock."""
    rules = {"silence": False, **values.pop("rules", {})}
    return NotifierSettings.read({"recipients": {"me": {"sms": ME}}, "rules": rules, **values}, {})


@contextlib.asynccontextmanager
async def notifier(
    directory: Path,
    chosen: NotifierSettings | None = None,
    *channels: FakeChannel,
    broker: MemoryBroker | None = None,
    clock: ManualClock | None = None,
    time_zone: str = "Europe/London",
) -> AsyncGenerator[Stage]:
    """Run a notifier; with no channel it has no account."""
    known: Mapping[str, Any] = {channel.name: channel for channel in channels}
    place = HomeSettings.read({"time_zone": time_zone}, {})

    def build(context: Context) -> Notifier:
        return Notifier(chosen or settings(), context, known, place, inbox=known.get("sms"))

    async with on_stage("notifier", build, directory, broker=broker, clock=clock) as stage:
        yield stage
