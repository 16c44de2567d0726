"""A history to test: opened anew as often as wanted, as after a restart."""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hems.actor.bus import Received
from hems.actor.settings import HomeSettings
from hems.contracts.catalog import DEMAND
from hems.contracts.demand import DemandLevel, DemandState
from hems.contracts.energy import HistoryQuery
from services.recorder.domain.energy import MINUTE_US, SECOND_US
from services.recorder.domain.questions import plan
from services.recorder.domain.records import MainsRow, Row, StateRow, microseconds
from services.recorder.kept import kept_besides
from services.recorder.opening import OpenHistory, opened_history

START = datetime(2025, 1, 6, 7, 0, tzinfo=UTC)
START_US = microseconds(START)
START_S = START_US // SECOND_US


@dataclass(frozen=True)
class Place:
    """Where a history lies."""

    url: str
    home: str

    @contextlib.asynccontextmanager
    async def opened(self, tariff: str | None = None, *, now_s: int = START_S, zone: str = "Europe/London") -> AsyncGenerator[OpenHistory]:
        """Open it as a service does at its start."""
        home = HomeSettings.read({"id": self.home, "time_zone": zone}, {})
        async with opened_history(self.url, home, for_service=True) as opened:
            await opened.history.start(tariff, now_s)
            yield opened


def steady(seconds: int, power_w: float, *, start_us: int = START_US, every_s: int = 3) -> list[MainsRow]:
    """Readings of one power, both ends included."""
    return [MainsRow(start_us + second * SECOND_US, round(power_w * 1_000)) for second in range(0, seconds + 1, every_s)]


def running(minutes: int, power_w: float, *, appliance: str = "kettle", start_us: int = START_US) -> list[StateRow]:
    """An appliance's states, each minute, both ends included."""
    return [StateRow(start_us + minute * MINUTE_US, appliance, True, round(power_w * 1_000), 900) for minute in range(minutes + 1)]


def demand_row(level: DemandLevel, as_of: datetime | None, *, arrived_at: datetime | None = None) -> Row:
    """What becomes of a demand state; without a word, it arrived an hour late."""
    row = next(row for topic, row in kept_besides() if topic is DEMAND)
    return row(Received(DemandState(level=level, as_of=as_of), {}, False, arrived_at or START + timedelta(hours=1)))


async def ask(
    opened: OpenHistory, what: str, hours: float = 24, *, start: datetime = START, **options: object
) -> Sequence[tuple[object, ...]]:
    """The rows of an answer."""
    values = {"id": "q", "client": "test", "what": what, "from": start, "to": start + timedelta(hours=hours), **options}
    query = HistoryQuery.model_validate(values)
    _, rows = await opened.answers.answer(plan(query, opened.history.raw_since_us), 5.0)
    return rows
