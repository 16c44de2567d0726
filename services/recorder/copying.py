"""Many rows at once into PostgreSQL: COPY into a table of the transaction's own, and from there what is new."""

from collections.abc import Sequence
from typing import Any

import asyncpg as untyped_asyncpg  # pyright: ignore[reportMissingTypeStubs]
from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.recorder.domain.failures import Unavailable

asyncpg: Any = untyped_asyncpg
_PASSING = ("08", "53", "57", "40")
"""Classes of SQLSTATE: a lost connection, a full disk, a server that stops, two transactions in each other's way."""


async def copy_new(connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert the rows whose key is not there yet.

    Args:
        rows: with all columns, in the table's order.

    Raises:
        Unavailable: the database went away, or its disk is full.
    """
    if not rows:
        return
    columns = [column.name for column in table.columns]
    names = ", ".join(columns)
    fresh = f"fresh_{table.name}"
    # Names of tables and columns are this program's own.
    await connection.execute(text(f"CREATE TEMP TABLE {fresh} ON COMMIT DROP AS SELECT {names} FROM {table.name} WITH NO DATA"))  # noqa: S608
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        await driver.copy_records_to_table(fresh, records=rows, columns=columns)
    except asyncpg.PostgresError as error:
        if not str(error.sqlstate).startswith(_PASSING):
            raise
        raise Unavailable(str(error)) from None
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise Unavailable(str(error)) from None
    await connection.execute(text(f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {fresh} ON CONFLICT DO NOTHING"))  # noqa: S608
