"""Reading a month's roll-ups for its report."""

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, Table, func, select

from services.recorder.database import available
from services.recorder.domain.energy import SECOND_US
from services.recorder.domain.month import Bucket, Month, month_report
from services.recorder.opening import OpenHistory
from services.recorder.tables import HOME, days, gaps, hours, quarters


async def read_month(opened: OpenHistory, first: date, currency: str, now_s: int) -> Month:
    """The report's figures; a month that has not ended is compared with as much of the one before.

    Raises:
        services.recorder.domain.failures.Unavailable: the database can't be read.
    """
    with available():
        async with opened.database.reader.begin() as connection:
            return await connection.run_sync(_read, opened, first, currency, now_s)


def _read(connection: Connection, opened: OpenHistory, first: date, currency: str, now_s: int) -> Month:
    calendar, history = opened.history.calendar, opened.history
    start_s, end_s = calendar.month(calendar.midnight(first))
    before_s = calendar.month(start_s - 1)[0]
    day = calendar.local(min(now_s, end_s - 1)).day if now_s < end_s else 31
    before_end_s = min(start_s, calendar.midnight(calendar.local(before_s).date() + timedelta(days=day)))
    names = {HOME: None} | {number: name for name, number in history.subjects.items()}

    def read(table: Table, first_s: int, last_s: int, *, home_only: bool = True) -> list[Bucket]:
        return _buckets(connection, table, history.home_id, first_s, last_s, names, home_only=home_only)

    missed = select(func.sum(gaps.c.estimate_mj)).where(
        gaps.c.home == history.home_id, gaps.c.start_us >= start_s * SECOND_US, gaps.c.start_us < end_s * SECOND_US
    )
    found, before = read(days, start_s, end_s, home_only=False), read(days, before_s, before_end_s)
    return month_report(
        first,
        currency,
        calendar,
        days=found,
        hours=read(hours, start_s, end_s),
        quarters=read(quarters, start_s, end_s),
        before=before,
        standing_nano=_standing(opened, found, min(now_s, end_s)),
        before_standing_nano=_standing(opened, before, before_end_s),
        missed_mj=int(connection.execute(missed).scalar() or 0),
    )


def _standing(opened: OpenHistory, found: list[Bucket], end_s: int) -> int:
    """From the first day that has a figure on: the supplier asks for it whether anything was measured or not."""
    if not found:
        return 0
    history = opened.history
    return sum(history.pricing.standing_nano(day_s) for day_s, _ in history.calendar.days(found[0].at_s, end_s))


def _buckets(
    connection: Connection, table: Table, home: int, first_s: int, last_s: int, names: dict[int, Any], *, home_only: bool
) -> list[Bucket]:
    columns = table.c
    conditions = [columns.home == home, columns.at_s >= first_s, columns.at_s < last_s]
    if home_only:
        conditions.append(columns.subject == HOME)
    found = connection.execute(
        select(columns.at_s, columns.subject, columns.imported_mj, columns.exported_mj, columns.cost_nano, columns.covered_ms)
        .where(*conditions)
        .order_by(columns.at_s)
    )
    return [Bucket(at_s, names.get(subject), used, sent, cost, covered) for at_s, subject, used, sent, cost, covered in found]
