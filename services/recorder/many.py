"""The histories of many homes in one PostgreSQL: rows of all homes in one COPY, each home's sums by themselves."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.recorder import daily, ledger
from services.recorder.copying import copy_new
from services.recorder.counting import Counted, read_counters
from services.recorder.database import Database, available
from services.recorder.demands import without_known
from services.recorder.domain.calendar import Calendar
from services.recorder.domain.counters import Counter
from services.recorder.domain.energy import SECOND_US
from services.recorder.domain.many import Home, Range, Work, by_home
from services.recorder.domain.records import Happening, MainsRow, Row, StateRow
from services.recorder.domain.tariff import Tariff, Version
from services.recorder.tables import HOME, happenings, homes, mains, minutes, notes, states, subjects, tariffs

_ALL = -1
"""The home of notes that are of all homes."""
_THINNED = "thinned_until_us"
_LATE = "late "


class ManyHistories:
    """Every home's history. Rows go in by one connection, sums are made by another."""

    def __init__(self, database: Database, calendar: Calendar, parse_tariff: Callable[[str], Tariff]) -> None:
        self.calendar = calendar
        self.database = database
        self._parse_tariff = parse_tariff
        self._folding = asyncio.Lock()
        self._homes: dict[str, Home] = {}
        self._days: set[int] = set()
        self._thinned_us = 0
        self._definition = "null"

    @property
    def homes(self) -> Mapping[str, Home]:
        """What is known, by the homes' ids."""
        return self._homes

    async def start(self, tariff: str | None, now_s: int) -> None:
        """Read what is known, and begin with a tariff, of all homes.

        Raises:
            Unavailable: it can't be reached or written.
            Unusable: it holds a single home's history.
        """
        self._definition = tariff or "null"
        with available():
            async with self.database.writer.begin() as connection:
                await connection.run_sync(daily.partition)
                self._days = await connection.run_sync(daily.known_days)
                self._homes, self._thinned_us = await connection.run_sync(self._remembered)
                await connection.run_sync(self._begin_tariff, now_s)

    async def record(self, rows: Sequence[tuple[str, Row]], kept_since_us: int = 0) -> None:
        """Commit rows of any homes, which may have come before; homes and appliances that are new get their numbers.

        Args:
            kept_since_us: older readings get no table of their day: they go soon.

        Raises:
            Unavailable: nothing of it is written; try again.
        """
        of_homes = by_home(rows)
        with available():
            async with self.database.writer.begin() as connection:
                known, days = await connection.run_sync(self._prepare, of_homes, daily.day_of(kept_since_us))
                await self._copy(connection, known, of_homes)
        self._days |= days
        for name, own in of_homes.items():
            # Only now: a home that is known in memory alone would never get its number.
            home = self._homes.setdefault(name, known[name])
            home.subjects = known[name].subjects
            home.note(own)

    async def fold_due(self, most: int) -> list[str]:
        """Make the sums of at most so many homes that are due; which they were.

        Raises:
            Unavailable: none of them are made; try again.
        """
        # Thinning makes sums too: two transactions must not make those of one home.
        async with self._folding:
            return await self._fold_due(most)

    async def _fold_due(self, most: int) -> list[str]:
        due = [name for name, home in self._homes.items() if home.is_due][:most]
        work = [self._homes[name].take(self._thinned_us) for name in due]
        try:
            with available():
                async with self.database.reader.begin() as connection:
                    await connection.run_sync(self._fold, work)
        except BaseException:
            for part in work:
                part.undone()
            raise
        for part in work:
            part.done()
        return due

    async def counters(self, names: Collection[str], now_s: int) -> dict[str, list[Counter]]:
        """All counters of these homes."""
        wanted = {home.id: Counted(home.subjects, home.pricing(self.calendar)) for home in map(self._homes.__getitem__, names)}
        with available():
            async with self.database.reader.begin() as connection:
                found = await connection.run_sync(read_counters, wanted, now_s, self.calendar)
        return {name: found[self._homes[name].id] for name in names}

    async def thin(self, before_us: int) -> int:
        """Drop the days of single readings that ended before; how many tables went. Each home's sums are made first."""
        while await self.fold_due(50):
            pass
        before_us -= before_us % daily.DAY_US
        with available():
            async with self.database.writer.begin() as connection:
                dropped = await connection.run_sync(daily.drop_days, before_us)
                if dropped:
                    await connection.run_sync(self._note_thinned, before_us)
                self._days = await connection.run_sync(daily.known_days)
        if dropped:
            self._thinned_us = max(self._thinned_us, before_us)
        return len(dropped)

    def _remembered(self, connection: Connection) -> tuple[dict[str, Home], int]:
        found = {int(number): (str(name), Home(int(number))) for number, name in connection.execute(select(homes.c.id, homes.c.name))}
        for number, name, subject in connection.execute(select(subjects.c.home, subjects.c.name, subjects.c.id)):
            found[number][1].subjects[name] = int(subject)
        for number, since_s, definition in connection.execute(
            select(tariffs.c.home, tariffs.c.since_s, tariffs.c.definition).order_by(tariffs.c.since_s)
        ):
            found[number][1].versions.append(Version(since_s, self._parse_tariff(definition)))
        own = (func.min(mains.c.at_us), func.max(mains.c.at_us))
        oldest, newest = (select(bound).where(mains.c.home == homes.c.id).scalar_subquery() for bound in own)
        folded = select(func.max(minutes.c.at_s)).where(minutes.c.home == homes.c.id).scalar_subquery()
        for number, oldest_us, newest_us, folded_s in connection.execute(select(homes.c.id, oldest, newest, folded)):
            found[number][1].recall(oldest_us or 0, newest_us or 0, (folded_s or 0) * SECOND_US)
        cut = select(notes.c.home).where(notes.c.key == ledger.ZONE, notes.c.value == self.calendar.zone.key)
        for number in found.keys() - {int(number) for (number,) in connection.execute(cut)}:
            found[number][1].other_zone = True
        late = select(notes.c.home, notes.c.key).where(notes.c.key.startswith(_LATE))
        for number, key in connection.execute(late):
            start_us, end_us = map(int, key.removeprefix(_LATE).split())
            found[number][1].recall_late((start_us, end_us))
        thinned = connection.execute(select(notes.c.value).where(notes.c.home == _ALL, notes.c.key == _THINNED)).scalar()
        return dict(found.values()), int(thinned or 0)

    def _begin_tariff(self, connection: Connection, now_s: int) -> None:
        version = self._parse_tariff(self._definition)
        for home in self._homes.values():
            if not home.versions and self._definition == "null":
                continue
            latest = home.versions[-1] if home.versions else None
            if latest is None or latest.tariff != version:
                since_s = 0 if latest is None else max(now_s - now_s % 60, latest.since_s + 60)
                self._write_tariff(connection, home, since_s)

    def _write_tariff(self, connection: Connection, home: Home, since_s: int) -> None:
        connection.execute(insert(tariffs).values(home=home.id, since_s=since_s, definition=self._definition))
        home.versions.append(Version(since_s, self._parse_tariff(self._definition)))

    def _prepare(self, connection: Connection, of_homes: Mapping[str, Sequence[Row]], oldest_day: int) -> tuple[dict[str, Home], set[int]]:
        """Numbers for what is new, and a table for each day."""
        free = max((home.id for home in self._homes.values()), default=-1) + 1
        known: dict[str, Home] = {}
        for name, rows in of_homes.items():
            home = self._homes.get(name)
            if home is None:
                home, free = Home(free), free + 1
                connection.execute(insert(homes).values(id=home.id, name=name))
                ledger.note_zone(connection, home.id, home.pricing(self.calendar))
                if self._definition != "null":
                    self._write_tariff(connection, home, 0)
            known[name] = Home(home.id, self._numbered(connection, home, rows), home.versions, home.newest_us, home.folded_us)
        recent = {daily.day_of(row.at_us) for rows in of_homes.values() for row in rows if isinstance(row, MainsRow | StateRow)}
        days = {day for day in recent - self._days if day >= max(oldest_day, daily.day_of(self._thinned_us))}
        daily.add_days(connection, sorted(days))
        return known, days

    def _numbered(self, connection: Connection, home: Home, rows: Sequence[Row]) -> dict[str, int]:
        numbers = dict(home.subjects)
        for name in dict.fromkeys(row.appliance for row in rows if isinstance(row, StateRow) and row.appliance not in numbers):
            numbers[name] = max(numbers.values(), default=HOME) + 1
            connection.execute(insert(subjects).values(home=home.id, id=numbers[name], name=name))
        return numbers

    async def _copy(self, connection: AsyncConnection, known: Mapping[str, Home], of_homes: Mapping[str, Sequence[Row]]) -> None:
        pairs = [(known[name], row) for name, rows in of_homes.items() for row in rows]
        await copy_new(connection, mains, [_values(home, row) for home, row in pairs if isinstance(row, MainsRow)])
        await copy_new(connection, states, [_state(home, row) for home, row in pairs if isinstance(row, StateRow)])
        happened = await connection.run_sync(without_known, [(home.id, row) for home, row in pairs if isinstance(row, Happening)])
        await copy_new(connection, happenings, [(home, row.kind, row.at_us, row.key, row.subject, row.body) for home, row in happened])
        late = [(known[name].id, found) for name, rows in of_homes.items() for found in known[name].late(rows)]
        await copy_new(connection, notes, [(number, _late_key(found), "") for number, found in late])

    def _fold(self, connection: Connection, work: Sequence[Work]) -> None:
        for part in work:
            if part.other_zone:
                ledger.begin_zone(connection, part.home.id, part.home.pricing(self.calendar))
            for start_us, end_us in part.ranges:
                ledger.fold(connection, part.home.id, start_us, end_us, part.home.pricing(self.calendar))
            if part.noted:
                keys = [_late_key(found) for found in part.noted]
                connection.execute(delete(notes).where(notes.c.home == part.home.id, notes.c.key.in_(keys)))

    def _note_thinned(self, connection: Connection, before_us: int) -> None:
        for number in (_ALL, *(home.id for home in self._homes.values())):
            ledger.replace(connection, notes, {"home": number, "key": _THINNED, "value": str(before_us)})


def _late_key(found: Range) -> str:
    return f"{_LATE}{found[0]} {found[1]}"


def _values(home: Home, row: MainsRow) -> tuple[Any, ...]:
    values = asdict(row) | {"home": home.id, "estimated": int(row.estimated)}
    return tuple(values[column.name] for column in mains.columns)


def _state(home: Home, row: StateRow) -> tuple[Any, ...]:
    values = asdict(row) | {"home": home.id, "subject": home.subjects[row.appliance], "running": int(row.running)}
    return tuple(values[column.name] for column in states.columns)
