"""Many homes in one real PostgreSQL: the same sums as one home alone, whatever comes twice, late, or after a kill."""

import contextlib
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from hems.contracts.demand import DemandLevel
from services.recorder.database import opened
from services.recorder.domain.calendar import Calendar
from services.recorder.domain.counters import Counter
from services.recorder.domain.energy import MINUTE_US, SECOND_US
from services.recorder.domain.failures import Unavailable, Unusable
from services.recorder.domain.records import Happening, MainsRow, Row, microseconds
from services.recorder.many import ManyHistories
from services.recorder.opening import parse_tariff
from tests.support.history import START, START_S, START_US, Place, demand_row, running, steady
from tests.support.postgres import RealPostgres

FLAT = '{"kind":"flat","per_kwh":0.25,"standing_charge_per_day":0.5}'
DAY_US = 86_400 * SECOND_US
_NAMES = count(1)


@pytest.fixture
def url(postgres: RealPostgres) -> str:
    """A database of this test's own."""
    return postgres.new_database(f"fleet{next(_NAMES)}")


@contextlib.asynccontextmanager
async def histories(url: str, tariff: str | None = FLAT, zone: str = "Europe/London") -> AsyncGenerator[ManyHistories]:
    """Opened as the service does at its start; what a test leaves unfinished is as after a kill."""
    async with opened(url) as database:
        many = ManyHistories(database, Calendar(ZoneInfo(zone)), parse_tariff)
        await many.start(tariff, START_S)
        yield many


async def counted(many: ManyHistories, now_s: int = START_S) -> dict[str, list[Counter]]:
    """All sums made, and every home's counters."""
    while await many.fold_due(2):
        pass
    return await many.counters(list(many.homes), now_s)


async def alone(place: Place, rows: Sequence[Row]) -> list[Counter]:
    """The counters of a home that has a history to itself."""
    async with place.opened(FLAT) as one:
        await one.history.record(rows)
        await one.history.count_all()
        return await one.history.counters(START_S)


def home_rows(number: int) -> list[Row]:
    """Half an hour of one home: no two are alike."""
    kettle = running(5 + number, 50.0 * number, start_us=START_US + 5 * MINUTE_US)
    off = replace(kettle[-1], at_us=kettle[-1].at_us + 20 * SECOND_US, running=False, power_mw=0)
    return [*steady(1_800, 300.0 + 100 * number), *kettle, off]


def mixed(names: Sequence[str]) -> list[tuple[str, Row]]:
    """The rows of several homes, as they come: in order of time, the homes among each other."""
    rows = [(name, row) for number, name in enumerate(names) for row in home_rows(number)]
    return sorted(rows, key=lambda pair: pair[1].at_us)


async def test_each_home_counts_as_if_it_were_alone(url: str, place: Place) -> None:
    """Rows of homes among each other, in small batches, give each home the counters of a run by itself."""
    names = ["cottage", "flat-1", "flat-2"]
    rows = mixed(names)
    async with histories(url) as many:
        for start in range(0, len(rows), 97):
            await many.record(rows[start : start + 97])
            await many.fold_due(2)
        found = await counted(many)
    for number, name in enumerate(names):
        assert found[name] == await alone(replace(place, home=f"{place.home}-{name}"), home_rows(number))
        assert found[name][0].total_mj > 0
        assert [counter.subject for counter in found[name]] == [None, "kettle"]


async def test_what_comes_again_counts_once(url: str) -> None:
    """The same batch twice, and a batch with the same row twice in it, leave one row each and the same sums."""
    rows = mixed(["cottage", "flat-1"])
    event = Happening("event", START_US, "id-1", "kettle", "{}")
    async with histories(url) as many:
        demand = [Happening("demand", START_US + again, f"d{again}", "high", "{high}") for again in range(2)]
        await many.record([*rows, ("cottage", event), ("flat-1", demand[0])])
        before = await counted(many)
        await many.record([*rows[:500], *rows[:500], ("cottage", event), ("cottage", event), ("flat-1", event), ("flat-1", demand[1])])
        assert await counted(many) == before
        assert await rows_of(many, "mains") == sum(isinstance(row, MainsRow) for _, row in rows)
        assert await rows_of(many, "happening") == 3


async def test_demand_states_are_kept_when_they_change(url: str) -> None:
    """Of each home, changes within a batch are kept, what comes again after a kill is not, whether it carries its time or not."""
    at = [START + timedelta(seconds=second) for second in range(5)]
    levels: list[DemandLevel] = ["high", "normal", "high"]
    timed: list[tuple[str, Row]] = [("timed", demand_row(level, at[second])) for second, level in enumerate(levels)]
    timeless: list[tuple[str, Row]] = [("old", demand_row(level, None, arrived_at=at[second])) for second, level in enumerate(levels)]
    async with histories(url) as many:
        await many.record([*timed[:1], *timeless[:1]])
        await many.record([*timed[1:], *timeless[1:]])
    async with histories(url) as many:
        await many.record([*timed, ("old", demand_row("high", None, arrived_at=at[3]))])
        await many.record([*timed[:2], ("timed", demand_row("high", at[4]))])
        async with many.database.reader.connect() as connection:
            found = await connection.execute(text("SELECT home, at_us, subject FROM happening ORDER BY home, at_us"))
        assert [tuple(row) for row in found] == [
            (many.homes[name].id, microseconds(at[second]), level) for name in ("timed", "old") for second, level in enumerate(levels)
        ]


async def test_a_kill_at_any_moment_changes_no_sum(url: str, place: Place) -> None:
    """Stopped after any batch, with sums made or not, and started again: each row is there once and counted once; late rows, too."""
    rows = mixed(["cottage", "flat-1"])
    chance = random.Random(11)
    late = [pair for pair in rows if chance.random() < 0.05]
    on_time = [pair for pair in rows if pair not in late]
    at = 0
    while at < len(on_time):
        async with histories(url) as many:
            for _ in range(chance.randrange(1, 4)):
                await many.record(on_time[at : at + 120])
                at += 120
                if chance.random() < 0.4:
                    await many.fold_due(1)
    async with histories(url) as many:
        await counted(many)
        await many.record(late)
    async with histories(url) as many:
        found = await counted(many)
    for number, name in enumerate(("cottage", "flat-1")):
        sums = await alone(replace(place, home=f"{place.home}-{name}"), home_rows(number))
        assert [counter.month_mj for counter in found[name]] == [counter.month_mj for counter in sums]


async def test_a_server_that_goes_away_loses_nothing(postgres: RealPostgres, url: str) -> None:
    """While it is down nothing is written, and nothing of it is remembered; when it is back the same rows go in, once."""
    rows = mixed(["cottage", "flat-1"])
    async with histories(url) as many:
        await many.record(rows[:200])
        postgres.stop()
        try:
            with pytest.raises(Unavailable):
                await many.record([*rows, ("newcomer", rows[0][1])])
            with pytest.raises(Unavailable):
                await many.fold_due(10)
        finally:
            postgres.start()
        assert "newcomer" not in many.homes
        await many.record([*rows, ("newcomer", rows[0][1])])
        found = await counted(many)
    async with histories(url) as many:
        assert await counted(many) == found
        assert set(many.homes) == {"cottage", "flat-1", "newcomer"}


async def test_old_days_go_as_a_whole_and_their_sums_stay(url: str) -> None:
    """A table for each day; thinning drops those that ended before, and a start after it counts nothing anew."""
    rows: list[tuple[str, Row]] = [("cottage", row) for day in range(3) for row in steady(600, 1_000, start_us=START_US + day * DAY_US)]
    async with histories(url, None) as many:
        await many.record(rows)
        before = await counted(many)
        assert await many.thin(START_US + DAY_US) == 2
        assert await rows_of(many, "mains") == len(rows) * 2 // 3
    async with histories(url, None) as many:
        assert await counted(many) == before
        await many.record([("cottage", MainsRow(START_US + SECOND_US, 1_000))], kept_since_us=START_US + DAY_US)
        assert await counted(many) == before


async def test_a_reading_of_an_odd_time_waits_for_its_day(url: str) -> None:
    """What is older than is kept gets no table of its day; a day that comes later takes its rows in."""
    async with histories(url, None) as many:
        await many.record([("cottage", MainsRow(START_US, 1_000))], kept_since_us=START_US + 5 * DAY_US)
        assert await rows_of(many, "mains_other") == 1
        await many.record([("cottage", MainsRow(START_US + SECOND_US, 1_000))])
        assert await rows_of(many, "mains_other") == 0
        assert await rows_of(many, "mains") == 2


async def test_a_single_homes_history_is_left_alone(postgres: RealPostgres) -> None:
    """A database that holds one is refused, with what to do."""
    url = postgres.new_database(f"fleet{next(_NAMES)}")
    async with Place(url, "cottage").opened() as one:
        await one.history.record(steady(60, 1_000))
    with pytest.raises(Unusable, match="a database of its own"):
        async with histories(url):
            pass


async def test_a_new_tariff_counts_from_now_on_in_every_home(url: str) -> None:
    """Homes that are there keep what their energy cost; from the start with the new one it costs that."""
    async with histories(url) as many:
        await many.record([(name, row) for name in ("cottage", "flat-1") for row in steady(3_600, 1_000)])
        before = await counted(many)
    async with histories(url, '{"kind":"flat","per_kwh":1.0}') as many:
        assert {name: [version.since_s for version in home.versions] for name, home in many.homes.items()} == {
            "cottage": [0, START_S],
            "flat-1": [0, START_S],
        }
        after = await counted(many)
    assert {name: sums[0].total_mj for name, sums in after.items()} == {name: sums[0].total_mj for name, sums in before.items()}


@pytest.mark.parametrize(("first", "second"), [("UTC", "America/New_York"), ("America/New_York", "Asia/Kathmandu")])
async def test_another_time_zone_counts_nothing_twice(url: str, first: str, second: str) -> None:
    """The time zone of all is put right: totals stay, also of a home that says nothing any more, and days are the new one's."""
    names = ["cottage", "flat-1", "silent"]
    hours = 30 * 3_600
    async with histories(url, zone=first) as many:
        await many.record([(name, row) for name in names for row in [*steady(hours, 1_000, every_s=60), *running(120, 500)]])
        before = await counted(many)
    async with histories(url, zone=second) as many:
        await many.fold_due(1)  # a kill after the first of them
    async with histories(url, zone=second) as many:
        later = steady(6 * 3_600, 1_000, start_us=START_US + hours * SECOND_US, every_s=60)
        await many.record([(name, row) for name in names[:2] for row in later])
        found = await counted(many, START_S + hours)
        day_s, next_s = many.calendar.day(START_S + hours)
    for name in names:
        home, kettle = found[name]
        ended_s = START_S + hours + (0 if name == "silent" else 6 * 3_600)
        assert home.total_mj == (ended_s - START_S) * 1_000_000
        assert kettle.total_mj == before[name][1].total_mj
        assert home.today_mj == (min(next_s, ended_s) - day_s) * 1_000_000
    async with histories(url, zone=second) as many:
        assert not any(home.other_zone for home in many.homes.values())
        assert await counted(many, START_S + hours) == found


async def rows_of(many: ManyHistories, table: str) -> int:
    """How many there are."""
    async with many.database.reader.connect() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())  # noqa: S608
