"""PostgreSQL tables of many homes: single readings lie in a table a day, so that an old day goes as a whole."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, text

from services.recorder.domain.energy import SECOND_US
from services.recorder.domain.failures import Unusable
from services.recorder.tables import mains, states

DAY_US = 86_400 * SECOND_US
TABLES = (mains, states)

# The names below are this module's own, and numbers of days; nothing of them comes from outside.
# ruff: noqa: S608


def partition(connection: Connection) -> None:
    """Make the tables of single readings what many homes need, where they are not.

    Raises:
        Unusable: they hold one home's history, which stays as it is.
    """
    for table in TABLES:
        kind = connection.execute(text(f"SELECT relkind::text FROM pg_class WHERE oid = '{table.name}'::regclass")).scalar_one()
        if kind != "p":
            _make_partitioned(connection, table)
    for name, columns in (("home", "name"), ("subject", "home, name")):
        connection.execute(text(f"CREATE UNIQUE INDEX IF NOT EXISTS {name}_name ON {name} ({columns})"))


def day_of(at_us: int) -> int:
    """Days since 1970, UTC."""
    return at_us // DAY_US


def add_days(connection: Connection, days: Iterable[int]) -> None:
    """Give each of these days a table of its own; what stood elsewhere moves into it."""
    for day in days:
        for table in TABLES:
            name, start_us = _name(table, day), day * DAY_US
            within = f"at_us >= {start_us} AND at_us < {start_us + DAY_US}"
            connection.execute(text(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {table.name} INCLUDING DEFAULTS)"))
            moved = f"WITH moved AS (DELETE FROM {table.name}_other WHERE {within} RETURNING *)"
            connection.execute(text(f"{moved} INSERT INTO {name} SELECT * FROM moved"))
            connection.execute(
                text(f"ALTER TABLE {table.name} ATTACH PARTITION {name} FOR VALUES FROM ({start_us}) TO ({start_us + DAY_US})")
            )


def known_days(connection: Connection) -> set[int]:
    """The days that have a table."""
    return {day for table in TABLES for day, _ in _present(connection, table)}


def drop_days(connection: Connection, before_us: int) -> list[str]:
    """Drop the tables of days that ended by then, and older readings that have none; the names of those dropped."""
    dropped = [name for table in TABLES for day, name in _present(connection, table) if (day + 1) * DAY_US <= before_us]
    for name in dropped:
        connection.execute(text(f"DROP TABLE {name}"))
    for table in TABLES:
        connection.execute(text(f"DELETE FROM {table.name}_other WHERE at_us < {before_us}"))
    return dropped


def _make_partitioned(connection: Connection, table: Table) -> None:
    name, key = table.name, ", ".join(column.name for column in table.primary_key)
    if connection.execute(text(f"SELECT 1 FROM {name} LIMIT 1")).first():
        raise Unusable("this database holds the history of a single home: give the recorder of many homes a database of its own")
    connection.execute(text(f"ALTER TABLE {name} RENAME TO {name}_single"))
    connection.execute(text(f"CREATE TABLE {name} (LIKE {name}_single INCLUDING DEFAULTS) PARTITION BY RANGE (at_us)"))
    connection.execute(text(f"DROP TABLE {name}_single"))
    connection.execute(text(f"ALTER TABLE {name} ADD PRIMARY KEY ({key})"))
    connection.execute(text(f"CREATE TABLE {name}_other PARTITION OF {name} DEFAULT"))


def _present(connection: Connection, table: Table) -> Iterator[tuple[int, str]]:
    found = connection.execute(text(f"SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = '{table.name}'::regclass"))
    for (name,) in found:
        if name != f"{table.name}_other":
            day = datetime.strptime(name.removeprefix(f"{table.name}_"), "%Y%m%d").replace(tzinfo=UTC)
            yield int(day.timestamp()) // 86_400, name


def _name(table: Table, day: int) -> str:
    return f"{table.name}_{datetime.fromtimestamp(day * 86_400, UTC):%Y%m%d}"
