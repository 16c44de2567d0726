"""Demand states that come again make no second row, of one home or of many."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, column, select, values

from services.recorder.domain.changes import HomeHappening, HomeTime, Said, changes
from services.recorder.tables import happenings


def without_known(connection: Connection, found: Sequence[HomeHappening]) -> list[HomeHappening]:
    """What happened, without demand states that are no changes."""
    moments = {(home, row.at_us) for home, row in found if row.kind == "demand"}
    return changes(found, _before(connection, moments) if moments else {})


def _before(connection: Connection, moments: Iterable[HomeTime]) -> dict[HomeTime, Said]:
    rows = connection.execute(_newest_until(sorted(moments)))
    return {(home, at_us): (int(began_us), str(body)) for home, at_us, began_us, body in rows if body is not None}


def _newest_until(moments: Sequence[HomeTime]) -> Select[int, int, Any, Any]:
    names = (column("home", BigInteger), column("at_us", BigInteger))
    asked = values(*names, name="asked", literal_binds=True).data(moments).cte("asked")
    until = (happenings.c.home == asked.c.home, happenings.c.kind == "demand", happenings.c.at_us <= asked.c.at_us)
    newest = [
        select(wanted).where(*until).order_by(happenings.c.at_us.desc()).limit(1).scalar_subquery()
        for wanted in (happenings.c.at_us, happenings.c.body)
    ]
    return select(asked.c.home, asked.c.at_us, *newest)
