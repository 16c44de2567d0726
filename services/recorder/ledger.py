"""Roll-ups made of the readings: minutes from readings, quarters from minutes, hours from quarters, days from hours.

Each is deleted and made anew where a reading came, whether late, twice or in order, so that it always is what the
readings say. The functions run inside one transaction.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite

from services.recorder.domain.energy import HOLD_US, MINUTE_US, SECOND_US, Minute, Reading, integrate, integrate_held, share
from services.recorder.domain.tariff import Pricing
from services.recorder.tables import EXPORT, HOME, counters, days, gaps, hours, mains, minutes, notes, quarters, states

ZONE = "time_zone"
"""The note of which time zone cut the hours and days."""
_DAY_US = 86_400 * SECOND_US
_SUMS = "min(least_mw), max(most_mw), sum(covered_ms), sum(imported_mj), sum(exported_mj), sum(cost_nano)"
_COLUMNS = "home, at_s, subject, least_mw, most_mw, covered_ms, imported_mj, exported_mj, cost_nano"


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert what is not there yet; a key that exists keeps its row."""
    if rows:
        connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def replace(connection: Connection, table: Table, row: Mapping[str, Any]) -> None:
    """Insert, or replace the row of this key."""
    statement = _insert(connection, table).values(**row)
    key = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in row if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed))


def fold(connection: Connection, home: int, start_us: int, end_us: int, pricing: Pricing) -> None:
    """Make all roll-ups of a range of minutes anew, at most a day at a time."""
    for at_us in range(start_us, end_us, _DAY_US):
        _fold(connection, home, at_us, min(end_us, at_us + _DAY_US), pricing)


def recost(connection: Connection, home: int, start_s: int, end_s: int, pricing: Pricing) -> None:
    """Price the minutes of a range anew, and the sums above them; energies stay."""
    for day_s, next_s in pricing.calendar.days(start_s, end_s):
        found = connection.execute(
            select(minutes).where(minutes.c.home == home, minutes.c.at_s >= day_s, minutes.c.at_s < next_s).order_by(minutes.c.at_s)
        )
        rows = [dict(row) for row in found.mappings()]
        if rows:
            repriced = list(_costed(connection, home, rows, pricing))
            first_s, last_s = max(day_s, start_s), min(next_s, end_s)
            _replace_minutes(connection, home, first_s, last_s, [row for row in repriced if first_s <= row["at_s"] < last_s])
            _roll_up(connection, home, first_s, last_s, pricing)


def begin_zone(connection: Connection, home: int, pricing: Pricing) -> None:
    """Hours and days are cut by the home's time zone: where that was another one, they would overlap with those to come."""
    zone = pricing.calendar.zone.key
    if connection.execute(select(notes.c.value).where(notes.c.home == home, notes.c.key == ZONE)).scalar() != zone:
        _roll_up_anew(connection, home, pricing)
        note_zone(connection, home, pricing)


def note_zone(connection: Connection, home: int, pricing: Pricing) -> None:
    """Note which time zone cuts the hours and days."""
    replace(connection, notes, {"home": home, "key": ZONE, "value": pricing.calendar.zone.key})


def _roll_up_anew(connection: Connection, home: int, pricing: Pricing) -> None:
    """Make all hours and days anew, as another time zone cuts them; the sum of all stays."""
    for table in (hours, days):
        connection.execute(delete(table).where(table.c.home == home))
    first_s, last_s = connection.execute(select(func.min(quarters.c.at_s), func.max(quarters.c.at_s)).where(quarters.c.home == home)).one()
    if first_s is not None:
        _gather_days(connection, home, int(first_s), int(last_s) + 900, pricing)


def _fold(connection: Connection, home: int, start_us: int, end_us: int, pricing: Pricing) -> None:
    start_s, end_s = start_us // SECOND_US, end_us // SECOND_US
    rows = list(_costed(connection, home, list(_minute_rows(connection, home, start_us, end_us)), pricing))
    _keep_floor(connection, home, start_s, end_s, rows)
    _replace_minutes(connection, home, start_s, end_s, rows)
    _roll_up(connection, home, start_s, end_s, pricing)


def _minute_rows(connection: Connection, home: int, start_us: int, end_us: int) -> Iterator[dict[str, Any]]:
    whole, holes = integrate(readings := _readings(connection, home, start_us, end_us))
    if readings:
        first_us, last_us = readings[0].at_us, readings[-1].at_us
        connection.execute(delete(gaps).where(gaps.c.home == home, gaps.c.start_us >= first_us, gaps.c.start_us < last_us))
        found = [{"home": home, "start_us": hole.start_us, "end_us": hole.end_us, "estimate_mj": hole.estimate_mj} for hole in holes]
        insert_new(connection, gaps, found)
    parts = {subject: integrate_held(states) for subject, states in _states(connection, home, start_us, end_us).items()}
    for at_us in range(start_us, end_us, MINUTE_US):
        home_minute = whole.get(at_us)
        if home_minute is None:
            continue
        yield _row(home, HOME, at_us, home_minute, home_minute.imported_mj)
        present = {subject: part[at_us] for subject, part in parts.items() if at_us in part and part[at_us].imported_mj > 0}
        shared = share(home_minute.imported_mj, {subject: minute.imported_mj for subject, minute in present.items()})
        yield from (_row(home, subject, at_us, present[subject], energy_mj) for subject, energy_mj in shared.items() if energy_mj)


def _row(home: int, subject: int, at_us: int, minute: Minute, imported_mj: int) -> dict[str, Any]:
    return {
        "home": home,
        "at_s": at_us // SECOND_US,
        "subject": subject,
        "least_mw": minute.least_mw,
        "most_mw": minute.most_mw,
        "covered_ms": minute.covered_us // 1_000,
        "imported_mj": imported_mj,
        "exported_mj": minute.exported_mj,
    }


def _readings(connection: Connection, home: int, start_us: int, end_us: int) -> list[Reading]:
    """Those of the range, and the neighbours on both sides, however far."""
    before = select(func.max(mains.c.at_us)).where(mains.c.home == home, mains.c.at_us < start_us).scalar_subquery()
    after = select(func.min(mains.c.at_us)).where(mains.c.home == home, mains.c.at_us >= end_us).scalar_subquery()
    found = connection.execute(
        select(mains.c.at_us, mains.c.power_mw, mains.c.estimated)
        .where(mains.c.home == home, mains.c.at_us >= func.coalesce(before, start_us), mains.c.at_us <= func.coalesce(after, end_us))
        .order_by(mains.c.at_us)
    )
    # An estimate comes from a current, which has no sign: below zero it is noise.
    return [Reading(at_us, max(0, power_mw) if estimated else power_mw) for at_us, power_mw, estimated in found]


def _states(connection: Connection, home: int, start_us: int, end_us: int) -> dict[int, list[Reading]]:
    found = connection.execute(
        select(states.c.subject, states.c.at_us, states.c.power_mw)
        .where(states.c.home == home, states.c.at_us >= start_us - HOLD_US, states.c.at_us <= end_us + HOLD_US)
        .order_by(states.c.at_us)
    )
    by_subject: dict[int, list[Reading]] = {}
    for subject, at_us, power_mw in found:
        by_subject.setdefault(subject, []).append(Reading(at_us, power_mw))
    return by_subject


def _costed(connection: Connection, home: int, rows: Sequence[dict[str, Any]], pricing: Pricing) -> Iterator[dict[str, Any]]:
    """Rows in order of time, the home's before the appliances'; an appliance pays its share of the minute's energy."""
    period: tuple[int, int] | None = None
    used_mj = 0
    home_cost: int | None = None
    home_mj = 0
    for row in sorted(rows, key=lambda row: (row["at_s"], row["subject"])):
        if row["subject"] == HOME:
            at_s, home_mj = row["at_s"], row["imported_mj"]
            now_period = period if period and period[0] <= at_s < period[1] else pricing.tier_period(at_s)
            if now_period != period:
                period = now_period
                used_mj = _used_mj(connection, home, period[0], at_s) if period else 0
            home_cost = pricing.cost_nano(at_s, home_mj, row["exported_mj"], used_mj)
            used_mj += home_mj
            imported_cost = pricing.cost_nano(at_s, home_mj, 0, used_mj - home_mj) if row["exported_mj"] else home_cost
            yield row | {"cost_nano": home_cost}
            home_cost = imported_cost
        else:
            yield row | {"cost_nano": None if home_cost is None or not home_mj else home_cost * row["imported_mj"] // home_mj}


def _used_mj(connection: Connection, home: int, start_s: int, at_s: int) -> int:
    whole = select(func.sum(minutes.c.imported_mj)).where(
        minutes.c.home == home, minutes.c.subject == HOME, minutes.c.at_s >= start_s, minutes.c.at_s < at_s
    )
    return int(connection.execute(whole).scalar() or 0)


def _replace_minutes(connection: Connection, home: int, start_s: int, end_s: int, rows: Sequence[Mapping[str, Any]]) -> None:
    connection.execute(delete(minutes).where(minutes.c.home == home, minutes.c.at_s >= start_s, minutes.c.at_s < end_s))
    if rows:
        connection.execute(insert(minutes), rows)


def _keep_floor(connection: Connection, home: int, start_s: int, end_s: int, rows: Sequence[Mapping[str, Any]]) -> None:
    """A late reading may show that less was used than the straight line said: what was counted stays counted."""
    change = Counter[int]()
    for row in rows:
        change[row["subject"]] += row["imported_mj"]
        change[EXPORT] += row["exported_mj"]
    found = connection.execute(
        select(minutes.c.subject, func.sum(minutes.c.imported_mj), func.sum(minutes.c.exported_mj))
        .where(minutes.c.home == home, minutes.c.at_s >= start_s, minutes.c.at_s < end_s)
        .group_by(minutes.c.subject)
    )
    for subject, imported_mj, exported_mj in found:
        change[subject] -= int(imported_mj)
        change[EXPORT] -= int(exported_mj)
    for counter in (counter for counter, change_mj in change.items() if change_mj < 0):
        carried_mj, floor_mj = _kept(connection, home, counter)
        _keep(connection, home, counter, carried_mj, max(floor_mj, carried_mj + _counted_mj(connection, home, counter)))


def go_on_from(connection: Connection, home: int, counter: int, shown_mj: int) -> None:
    """Let a counter go on from what it has shown, where less of it is here: the history is a new one, or an older one."""
    (carried_mj, floor_mj), counted_mj = _kept(connection, home, counter), _counted_mj(connection, home, counter)
    if shown_mj > max(floor_mj, carried_mj + counted_mj):
        _keep(connection, home, counter, shown_mj - counted_mj, shown_mj)


def _counted_mj(connection: Connection, home: int, counter: int) -> int:
    column, subject = (days.c.exported_mj, HOME) if counter == EXPORT else (days.c.imported_mj, counter)
    return int(connection.execute(select(func.sum(column)).where(days.c.home == home, days.c.subject == subject)).scalar() or 0)


def _kept(connection: Connection, home: int, counter: int) -> tuple[int, int]:
    found = connection.execute(
        select(counters.c.carried_mj, counters.c.floor_mj).where(counters.c.home == home, counters.c.subject == counter)
    ).one_or_none()
    return (int(found[0]), int(found[1])) if found else (0, 0)


def _keep(connection: Connection, home: int, counter: int, carried_mj: int, floor_mj: int) -> None:
    replace(connection, counters, {"home": home, "subject": counter, "carried_mj": carried_mj, "floor_mj": floor_mj})


def _roll_up(connection: Connection, home: int, start_s: int, end_s: int, pricing: Pricing) -> None:
    first_s, last_s = start_s - start_s % 900, -(-end_s // 900) * 900
    _gather(connection, home, "quarter", "minute", "at_s / 900 * 900", first_s, last_s)
    _gather_days(connection, home, first_s, last_s, pricing)


def _gather_days(connection: Connection, home: int, first_s: int, last_s: int, pricing: Pricing) -> None:
    for day_s, next_s in pricing.calendar.days(first_s, last_s):
        hour_s = max(day_s, first_s - (first_s - day_s) % 3_600)
        hour_end_s = min(next_s, last_s + (day_s - last_s) % 3_600)
        _gather(connection, home, "hour", "quarter", f"{day_s} + (at_s - {day_s}) / 3600 * 3600", hour_s, hour_end_s)
        _gather(connection, home, "day", "hour", f"CAST({day_s} AS BIGINT)", day_s, next_s)


def _gather(connection: Connection, home: int, into: str, source: str, start: str, first_s: int, end_s: int) -> None:
    # The names and expressions are this module's own; only whole numbers come from outside.
    bounds = {"home": home, "first_s": first_s, "end_s": end_s}
    within = "WHERE home = :home AND at_s >= :first_s AND at_s < :end_s"
    connection.execute(text(f"DELETE FROM {into} {within}"), bounds)  # noqa: S608
    gathered = f"SELECT home, {start} AS slot, subject, {_SUMS} FROM {source} {within} GROUP BY home, slot, subject"  # noqa: S608
    connection.execute(text(f"INSERT INTO {into} ({_COLUMNS}) {gathered}"), bounds)


def _insert(connection: Connection, table: Table) -> Any:
    return (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(table)
