"""Reading the history to answer a question."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.recorder.database import Database, available
from services.recorder.domain.energy import MJ_PER_KWH, SECOND_US
from services.recorder.domain.failures import TooSlow
from services.recorder.domain.questions import BadQuestion, Plan
from services.recorder.domain.records import moment
from services.recorder.domain.tariff import NANO
from services.recorder.history import History
from services.recorder.tables import HOME, days, gaps, happenings, hours, mains, minutes, quarters, series, states

POWER_COLUMNS = ("at", "mean_w", "min_w", "max_w", "energy_kwh")
ENERGY_COLUMNS = ("at", "energy_kwh", "exported_kwh", "cost")
TOTAL_COLUMNS = ("appliance", "energy_kwh", "exported_kwh", "cost")
ROLLUPS: dict[str, Table] = {"1min": minutes, "15min": quarters, "1h": hours, "1d": days}

_CANCELLED = "57014"
_AGAIN_S = 0.02

Rows = list[tuple[Any, ...]]


class Answers:
    """Answers questions on a connection of its own, that can't write."""

    def __init__(self, database: Database, history: History) -> None:
        self._database = database
        self._history = history

    async def answer(self, plan: Plan, timeout_s: float) -> tuple[Sequence[str], Rows]:
        """Columns and rows.

        Raises:
            BadQuestion: nothing is known of what it asks for.
            TooSlow: it was stopped after `timeout_s`.
            Unavailable: the database can't be reached.
        """
        with available():
            async with self._database.reader.begin() as connection, _stopped_after(connection, timeout_s):
                return await connection.run_sync(self._answer, plan)

    def _answer(self, connection: Connection, plan: Plan) -> tuple[Sequence[str], Rows]:
        home = self._history.home_id
        match plan.kind:
            case "power":
                return POWER_COLUMNS, self._power(connection, home, plan)
            case "energy":
                return ENERGY_COLUMNS, _energy(connection, home, self._subject(plan.subject), plan)
            case "totals":
                return TOTAL_COLUMNS, self._totals(connection, home, plan)
            case "happenings":
                return ("at", "subject", "said"), _happenings(connection, home, plan)
            case "series":
                return ("from", "to", "value"), _series(connection, home, plan)
            case "gaps":
                return ("from", "to", "estimated_kwh"), _gaps(connection, home, plan)

    def _subject(self, name: str | None) -> int:
        if name is None:
            return HOME
        if name not in self._history.subjects:
            raise BadQuestion(
                f"nothing is known of an appliance named {name!r}; known: {', '.join(sorted(self._history.subjects)) or 'none yet'}"
            )
        return self._history.subjects[name]

    def _power(self, connection: Connection, home: int, plan: Plan) -> Rows:
        subject = self._subject(plan.subject)
        if plan.source == "raw":
            return _raw_power(connection, home, subject, plan)
        return _rolled_power(connection, home, subject, plan)

    def _totals(self, connection: Connection, home: int, plan: Plan) -> Rows:
        table = ROLLUPS[plan.source]
        sums = select(table.c.subject, func.sum(table.c.imported_mj), func.sum(table.c.exported_mj), func.sum(table.c.cost_nano)).where(
            table.c.home == home, *_within(table, plan)
        )
        names: dict[int, str | None] = {HOME: None} | {number: name for name, number in self._history.subjects.items()}
        found = connection.execute(sums.group_by(table.c.subject).order_by(table.c.subject))
        return [(names.get(subject), _kwh(used), _kwh(sent), _money(cost)) for subject, used, sent, cost in found]


@contextlib.asynccontextmanager
async def _stopped_after(connection: AsyncConnection, timeout_s: float) -> AsyncGenerator[None]:
    """Stop the statement that runs, in the database itself: a cancelled wait would leave it running."""
    interruption = None if connection.dialect.name == "postgresql" else await _interrupting(connection, timeout_s)
    if interruption is None:
        await connection.execute(text(f"SET LOCAL statement_timeout = {int(timeout_s * 1_000)}"))
    try:
        yield
    except DBAPIError as error:
        if (interruption is not None and interruption.begun) or getattr(error.orig, "sqlstate", None) == _CANCELLED:
            raise TooSlow(f"it took longer than {timeout_s:g} s: ask for a shorter range or a coarser resolution") from None
        raise
    finally:
        if interruption is not None:
            interruption.end()


class _Interruption:
    """Interrupts what a SQLite connection does, from a moment on; again and again, since between two statements it has no effect."""

    def __init__(self, connection: Any, timeout_s: float) -> None:
        self._connection = connection
        self.begun = False
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._interrupt)

    def end(self) -> None:
        """Leave the next question alone."""
        self._timer.cancel()

    def _interrupt(self) -> None:
        self.begun = True
        self._connection.interrupt()
        self._timer = asyncio.get_running_loop().call_later(_AGAIN_S, self._interrupt)


async def _interrupting(connection: AsyncConnection, timeout_s: float) -> _Interruption:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    # The standard library's connection below aiosqlite's, whose own `interrupt` is a coroutine: a timer can't call it.
    return _Interruption(driver._conn, timeout_s)


def _raw_power(connection: Connection, home: int, subject: int, plan: Plan) -> Rows:
    table = mains if subject == HOME else states
    conditions = [table.c.home == home, table.c.at_us >= plan.start_us, table.c.at_us < plan.end_us]
    if subject != HOME:
        conditions.append(states.c.subject == subject)
    few = connection.execute(
        select(table.c.at_us, table.c.power_mw).where(*conditions).order_by(table.c.at_us).limit(plan.points + 1)
    ).all()
    if len(few) <= plan.points:
        return [(_iso(at_us), power_mw / 1_000, power_mw / 1_000, power_mw / 1_000, None) for at_us, power_mw in few]
    slots = _slots(table.c.at_us, plan.start_us, plan.slot_us)
    power = table.c.power_mw
    statement = select(slots, func.sum(power), func.count(), func.min(power), func.max(power)).where(*conditions)
    found = connection.execute(statement.group_by(slots).order_by(slots))
    return [
        (_iso(plan.start_us + int(number) * plan.slot_us), round(int(total) / count / 1_000, 3), least / 1_000, most / 1_000, None)
        for number, total, count, least, most in found
    ]


def _rolled_power(connection: Connection, home: int, subject: int, plan: Plan) -> Rows:
    table = ROLLUPS[plan.source]
    start_s = plan.start_us // SECOND_US
    width_s = max(1, -(-plan.slot_us // SECOND_US))
    sums = (
        func.min(table.c.at_s), func.sum(table.c.covered_ms), func.sum(table.c.imported_mj), func.sum(table.c.exported_mj),
        func.min(table.c.least_mw), func.max(table.c.most_mw),
    )  # fmt: skip
    slots = _slots(table.c.at_s, start_s, width_s)
    found = connection.execute(
        select(*sums).where(table.c.home == home, table.c.subject == subject, *_within(table, plan)).group_by(slots).order_by(slots)
    )
    return [_mean_row(*row) for row in found]


def _mean_row(at_s: int, covered_ms: int, imported_mj: int, exported_mj: int, least_mw: int, most_mw: int) -> tuple[Any, ...]:
    net_mj, covered_ms = int(imported_mj) - int(exported_mj), int(covered_ms)
    mean_w = net_mj / covered_ms if covered_ms else (least_mw + most_mw) / 2_000
    return _iso(at_s * SECOND_US), round(mean_w, 3), least_mw / 1_000, most_mw / 1_000, _kwh(net_mj)


def _energy(connection: Connection, home: int, subject: int, plan: Plan) -> Rows:
    table = ROLLUPS[plan.source]
    found = connection.execute(
        select(table.c.at_s, table.c.imported_mj, table.c.exported_mj, table.c.cost_nano)
        .where(table.c.home == home, table.c.subject == subject, *_within(table, plan))
        .order_by(table.c.at_s)
        .limit(plan.points + 1)
    )
    return [(_iso(at_s * SECOND_US), _kwh(used), _kwh(sent), _money(cost)) for at_s, used, sent, cost in found]


def _happenings(connection: Connection, home: int, plan: Plan) -> Rows:
    """The newest, where there are more than asked for."""
    found = connection.execute(
        select(happenings.c.at_us, happenings.c.subject, happenings.c.body)
        .where(
            happenings.c.home == home,
            happenings.c.kind == plan.subject,
            happenings.c.at_us >= plan.start_us,
            happenings.c.at_us < plan.end_us,
        )
        .order_by(happenings.c.at_us.desc())
        .limit(plan.points)
    ).all()
    return [(_iso(at_us), subject, json.loads(body)) for at_us, subject, body in reversed(found)]


def _series(connection: Connection, home: int, plan: Plan) -> Rows:
    start_s, end_s = plan.start_us // SECOND_US, -(-plan.end_us // SECOND_US)
    found = connection.execute(
        select(series.c.start_s, series.c.end_s, series.c.value)
        .where(series.c.home == home, series.c.name == plan.subject, series.c.end_s > start_s, series.c.start_s < end_s)
        .order_by(series.c.start_s)
        .limit(plan.points)
    )
    return [(_iso(first_s * SECOND_US), _iso(last_s * SECOND_US), value) for first_s, last_s, value in found]


def _gaps(connection: Connection, home: int, plan: Plan) -> Rows:
    found = connection.execute(
        select(gaps.c.start_us, gaps.c.end_us, gaps.c.estimate_mj)
        .where(gaps.c.home == home, gaps.c.end_us > plan.start_us, gaps.c.start_us < plan.end_us)
        .order_by(gaps.c.start_us)
        .limit(plan.points)
    )
    return [(_iso(start_us), _iso(end_us), _kwh(estimate)) for start_us, end_us, estimate in found]


def _within(table: Table, plan: Plan) -> Iterable[Any]:
    return table.c.at_s >= plan.start_us // SECOND_US, table.c.at_s < -(-plan.end_us // SECOND_US)


def _slots(at: Any, start: int, width: int) -> Any:
    # `//` is the whole-number division of both databases.
    return ((at - start) // width).label("slot")


def _kwh(energy_mj: Any) -> float:
    return round(int(energy_mj or 0) / MJ_PER_KWH, 6)


def _money(cost_nano: Any) -> float | None:
    return None if cost_nano is None else round(int(cost_nano) / NANO, 6)


def _iso(at_us: int) -> str:
    return moment(int(at_us)).isoformat()
