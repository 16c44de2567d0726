"""The history of one home: what is written, and the sums that come of it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, delete, func, insert, null, select

from services.recorder import ledger
from services.recorder.counting import Counted, read_counters
from services.recorder.database import Database, available
from services.recorder.demands import without_known
from services.recorder.domain.calendar import Calendar
from services.recorder.domain.counters import EXPORTED, Counter
from services.recorder.domain.energy import HOLD_US, HOLE_US, MINUTE_US, SECOND_US, floor_minute, merged, touched
from services.recorder.domain.failures import Unusable
from services.recorder.domain.records import Happening, MainsRow, Row, StateRow, moment
from services.recorder.domain.series import SeriesRow
from services.recorder.domain.tariff import PriceSeries, Pricing, Tariff, Version
from services.recorder.tables import EXPORT, HOME, happenings, homes, mains, minutes, notes, series, states, subjects, tariffs

T = TypeVar("T")
AtRow = TypeVar("AtRow", MainsRow, StateRow)

_MAINS_COLUMNS = tuple(column.name for column in mains.columns if column.name != "home")
_FEW = 500
_LATE_US = 2 * MINUTE_US
"""What comes later is summed in its own transaction: a start after a kill goes back by four minutes only."""
_THINNED = "thinned_until_us"
_THIN_STEP_US = 6 * 3_600 * SECOND_US


@dataclass
class _Memory:
    """What is known of the tables, read again after a failure."""

    home: int
    subjects: dict[str, int]
    versions: list[Version]
    prices: PriceSeries
    thinned_until_us: int
    dirty: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    newest_us: int = 0
    folded_us: int = 0


class History:
    """One home's history. All writing goes through one connection, one transaction at a time."""

    def __init__(self, database: Database, home: str, calendar: Calendar, parse_tariff: Callable[[str], Tariff]) -> None:
        self.calendar = calendar
        self._database = database
        self._home = home
        self._parse_tariff = parse_tariff
        self._lock = asyncio.Lock()
        self._memory: _Memory | None = None
        self._known = False

    @property
    def newest_us(self) -> int:
        """The time of the newest reading that is in the sums, µs."""
        return self._memory.folded_us if self._memory else 0

    @property
    def raw_since_us(self) -> int:
        """Single readings before this are gone, µs."""
        return self._memory.thinned_until_us if self._memory else 0

    @property
    def home_id(self) -> int:
        """The home's number in the tables."""
        return self._memory.home if self._memory else 0

    @property
    def subjects(self) -> Mapping[str, int]:
        """The appliances' numbers in the tables."""
        return self._memory.subjects if self._memory else {}

    @property
    def pricing(self) -> Pricing:
        """The tariffs that counted and count, and the prices that are known."""
        return self._pricing(self._memory) if self._memory else Pricing((), self.calendar)

    async def start(self, tariff: str | None, now_s: int, noted_mj: Mapping[str, int] | None = None) -> None:
        """Read what is known, count what a crash left uncounted, and begin with a tariff.

        Args:
            tariff: its definition; the one in force goes on where it is the same.
            noted_mj: what counters have shown, `""` for the home's: where the history holds less, it was lost or replaced by an
                older one, and they go on from here.

        Raises:
            Unavailable: it can't be reached or written.
        """

        def started(connection: Connection, memory: _Memory) -> None:
            ledger.begin_zone(connection, memory.home, self._pricing(memory))
            if memory.newest_us:
                oldest_us = connection.execute(select(func.min(mains.c.at_us)).where(mains.c.home == memory.home)).scalar_one()
                uncounted_us = max(floor_minute(memory.folded_us) - 4 * MINUTE_US, floor_minute(int(oldest_us)))
                memory.dirty.append((uncounted_us, floor_minute(memory.newest_us) + MINUTE_US))
                self._fold(connection, memory)
            self._begin_tariff(connection, memory, tariff, now_s)
            for name, shown_mj in (noted_mj or {}).items():
                ledger.go_on_from(connection, memory.home, self._counter(connection, memory, name), shown_mj)

        await self._write(started)

    async def read(self) -> None:
        """Read what is known, and change nothing.

        Raises:
            Unavailable: it can't be reached.
        """
        await self._write(lambda _, __: None)

    async def begin_import(self, first_us: int) -> None:
        """Count readings that are older than those kept, too.

        Raises:
            Unusable: that time has been counted, and its single readings are gone.
        """

        def begun(connection: Connection, memory: _Memory) -> None:
            if first_us >= memory.thinned_until_us:
                return
            counted = select(func.count()).where(
                minutes.c.home == memory.home,
                minutes.c.at_s >= first_us // SECOND_US,
                minutes.c.at_s < memory.thinned_until_us // SECOND_US,
            )
            if connection.execute(counted).scalar():
                until = moment(memory.thinned_until_us).date()
                raise Unusable(f"single readings before {until} are gone and their sums are kept: leave that time out of the file")
            memory.thinned_until_us = 0

        await self._write(begun)

    async def record(self, rows: Sequence[Row]) -> bool:
        """Write rows that may have come before; returns whether the sums changed.

        Raises:
            Unavailable: nothing of it is written; try again.
        """
        return await self._write(lambda connection, memory: self._record(connection, memory, rows))

    async def count_all(self) -> None:
        """Bring the sums up to the newest reading."""
        await self._write(self._fold)

    async def add_series(self, name: str, rows: Sequence[SeriesRow], now_s: int) -> bool:
        """Add prices or intensities; returns whether there was something new.

        Known values of the past stay; minutes that had no price get one.
        """

        def added(connection: Connection, memory: _Memory) -> bool:
            return self._add_series(connection, memory, name, rows, now_s)

        return await self._write(added)

    async def recost(self, start_s: int, end_s: int, tariff: str | None) -> None:
        """Price a part of the past anew, with the tariff given, which counts from then on."""

        def recosted(connection: Connection, memory: _Memory) -> None:
            self._fold(connection, memory)
            connection.execute(delete(tariffs).where(tariffs.c.home == memory.home, tariffs.c.since_s >= start_s))
            memory.versions = [version for version in memory.versions if version.since_s < start_s]
            self._begin_tariff(connection, memory, tariff, start_s)
            ledger.recost(connection, memory.home, start_s, end_s, self._pricing(memory))

        await self._write(recosted)

    async def thin(self, before_us: int) -> int:
        """Delete single readings older than that, in small steps; returns how many went."""
        gone, before_us = 0, floor_minute(before_us)
        while step := await self._write(lambda connection, memory: self._thin(connection, memory, before_us)):
            gone += step
        return gone

    async def counters(self, now_s: int) -> list[Counter]:
        """All counters, the home's first."""
        with available():
            async with self._database.reader.begin() as connection:
                return await connection.run_sync(self._counters, now_s)

    async def _write(self, work: Callable[[Connection, _Memory], T]) -> T:
        async with self._lock:
            known, self._known = self._known, False
            with available():
                async with self._database.writer.begin() as connection:
                    memory = self._memory if known and self._memory else await connection.run_sync(self._remember)
                    changed = replace(memory, dirty=list(memory.dirty), subjects=dict(memory.subjects))
                    result = await connection.run_sync(work, changed)
            self._memory, self._known = changed, True
            return result

    def _remember(self, connection: Connection) -> _Memory:
        home = connection.execute(select(homes.c.id).where(homes.c.name == self._home)).scalar()
        if home is None:
            home = int(connection.execute(select(func.coalesce(func.max(homes.c.id), -1) + 1)).scalar_one())
            connection.execute(insert(homes).values(id=home, name=self._home))
        versions = connection.execute(
            select(tariffs.c.since_s, tariffs.c.definition).where(tariffs.c.home == home).order_by(tariffs.c.since_s)
        )
        return _Memory(
            home=home,
            subjects=self._subjects(connection, home),
            versions=[Version(since_s, self._parse_tariff(definition)) for since_s, definition in versions],
            prices=self._prices(connection, home),
            thinned_until_us=int(
                connection.execute(select(notes.c.value).where(notes.c.home == home, notes.c.key == _THINNED)).scalar() or 0
            ),
            newest_us=int(connection.execute(select(func.max(mains.c.at_us)).where(mains.c.home == home)).scalar() or 0),
            folded_us=int(connection.execute(select(func.max(minutes.c.at_s)).where(minutes.c.home == home)).scalar() or 0) * SECOND_US,
        )

    def _subjects(self, connection: Connection, home: int) -> dict[str, int]:
        named = connection.execute(select(subjects.c.name, subjects.c.id).where(subjects.c.home == home))
        return {str(name): int(number) for name, number in named}

    def _pricing(self, memory: _Memory) -> Pricing:
        return Pricing(memory.versions, self.calendar, memory.prices)

    def _prices(self, connection: Connection, home: int) -> PriceSeries:
        found = connection.execute(
            select(series.c.start_s, series.c.end_s, series.c.value).where(series.c.home == home, series.c.name == "price")
        )
        return PriceSeries((start_s, end_s, value) for start_s, end_s, value in found)

    def _begin_tariff(self, connection: Connection, memory: _Memory, definition: str | None, now_s: int) -> None:
        latest = connection.execute(
            select(tariffs.c.since_s, tariffs.c.definition).where(tariffs.c.home == memory.home).order_by(tariffs.c.since_s.desc()).limit(1)
        ).one_or_none()
        text = definition or "null"
        if (latest is None and definition is None) or (latest is not None and latest[1] == text):
            return
        since_s = 0 if latest is None else max(now_s - now_s % 60, latest[0] + 60)
        connection.execute(insert(tariffs).values(home=memory.home, since_s=since_s, definition=text))
        memory.versions = [*memory.versions, Version(since_s, self._parse_tariff(text))]

    def _counter(self, connection: Connection, memory: _Memory, name: str) -> int:
        if name in ("", EXPORTED):
            return EXPORT if name else HOME
        return self._subject(connection, memory, name)

    def _subject(self, connection: Connection, memory: _Memory, name: str) -> int:
        if name not in memory.subjects:
            # An import in another process may have named some since they were read.
            memory.subjects |= self._subjects(connection, memory.home)
        if name not in memory.subjects:
            number = max(memory.subjects.values(), default=HOME) + 1
            connection.execute(insert(subjects).values(home=memory.home, id=number, name=name))
            memory.subjects[name] = number
        return memory.subjects[name]

    def _record(self, connection: Connection, memory: _Memory, rows: Sequence[Row]) -> bool:
        home = memory.home
        readings = self._new(connection, memory, mains, [row for row in rows if isinstance(row, MainsRow)])
        said = self._new(connection, memory, states, [row for row in rows if isinstance(row, StateRow)])
        ledger.insert_new(connection, mains, [_mains(home, row) for row in readings])
        ledger.insert_new(connection, states, [self._state(connection, memory, row) for row in said])
        self._record_happenings(connection, home, [row for row in rows if isinstance(row, Happening)])
        dirty = [*(touched(row.at_us, HOLE_US) for row in readings), *(touched(row.at_us, HOLD_US) for row in said)]
        memory.dirty = merged([*memory.dirty, *dirty])
        memory.newest_us = max([memory.newest_us, *(row.at_us for row in readings)])
        minute_over = floor_minute(memory.newest_us) > floor_minute(memory.folded_us)
        late = any(row.at_us < memory.newest_us - _LATE_US for row in (*readings, *said))
        if memory.dirty and (minute_over or late):
            self._fold(connection, memory)
            return True
        return False

    def _new(self, connection: Connection, memory: _Memory, table: Table, rows: list[AtRow]) -> list[AtRow]:
        """Without those that are there: a service that says again what it keeps makes the sums no work."""
        if not rows or len(rows) > _FEW:
            return rows
        subject = table.c.subject if table is states else null()
        there = select(table.c.at_us, subject).where(table.c.home == memory.home, table.c.at_us.in_([row.at_us for row in rows]))
        known = {(at_us, number) for at_us, number in connection.execute(there)}
        return [row for row in rows if (row.at_us, memory.subjects.get(row.appliance) if isinstance(row, StateRow) else None) not in known]

    def _state(self, connection: Connection, memory: _Memory, row: StateRow) -> dict[str, Any]:
        values = asdict(row) | {
            "home": memory.home,
            "running": int(row.running),
            "subject": self._subject(connection, memory, row.appliance),
        }
        del values["appliance"]
        return values

    def _record_happenings(self, connection: Connection, home: int, found: Sequence[Happening]) -> None:
        new = without_known(connection, [(home, row) for row in found])
        ledger.insert_new(connection, happenings, [asdict(row) | {"home": home} for home, row in new])

    def _fold(self, connection: Connection, memory: _Memory) -> None:
        oldest_us = memory.thinned_until_us and memory.thinned_until_us + 2 * MINUTE_US
        latest_us = floor_minute(memory.newest_us) + MINUTE_US
        for start_us, end_us in memory.dirty:
            start_us, end_us = max(start_us, oldest_us), min(end_us, latest_us)
            if start_us < end_us:
                ledger.fold(connection, memory.home, start_us, end_us, self._pricing(memory))
        memory.dirty = []  # the next reading touches the minute that has not ended, and the next state what it holds
        memory.folded_us = memory.newest_us

    def _add_series(self, connection: Connection, memory: _Memory, name: str, rows: Sequence[SeriesRow], now_s: int) -> bool:
        known = {
            start_s: (end_s, value)
            for start_s, end_s, value in connection.execute(
                select(series.c.start_s, series.c.end_s, series.c.value).where(
                    series.c.home == memory.home, series.c.name == name, series.c.start_s >= min(row[0] for row in rows)
                )
            )
        }
        fresh = [row for row in rows if row[0] not in known or (row[1] > now_s and known[row[0]] != row[1:])]
        for start_s, end_s, value in fresh:
            ledger.replace(connection, series, {"home": memory.home, "name": name, "start_s": start_s, "end_s": end_s, "value": value})
        if name == "price" and fresh:
            memory.prices = self._prices(connection, memory.home)
            past = merged((row[0], min(row[1], now_s)) for row in fresh if row[0] < now_s and row[0] not in known)
            for start_s, end_s in past:
                ledger.recost(connection, memory.home, start_s, end_s, self._pricing(memory))
        return bool(fresh)

    def _thin(self, connection: Connection, memory: _Memory, before_us: int) -> int:
        oldest = [
            connection.execute(select(func.min(table.c.at_us)).where(table.c.home == memory.home)).scalar() for table in (mains, states)
        ]
        present = [int(at_us) for at_us in oldest if at_us is not None and at_us < before_us]
        if not present:
            return 0
        self._fold(connection, memory)
        until_us = min(before_us, floor_minute(min(present)) + _THIN_STEP_US)
        memory.thinned_until_us = max(memory.thinned_until_us, until_us)
        ledger.replace(connection, notes, {"home": memory.home, "key": _THINNED, "value": str(memory.thinned_until_us)})
        return sum(
            connection.execute(delete(table).where(table.c.home == memory.home, table.c.at_us < until_us)).rowcount
            for table in (mains, states)
        )

    def _counters(self, connection: Connection, now_s: int) -> list[Counter]:
        return read_counters(connection, {self.home_id: Counted(self.subjects, self.pricing)}, now_s, self.calendar)[self.home_id]


def _mains(home: int, row: MainsRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _MAINS_COLUMNS} | {"home": home, "estimated": int(row.estimated)}
