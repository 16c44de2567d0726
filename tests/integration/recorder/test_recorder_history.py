"""What the history promises, on whichever database it lies."""

import random
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from hems.contracts.demand import DemandLevel
from services.recorder.database import HEAD, migrate
from services.recorder.domain.calendar import Calendar
from services.recorder.domain.counters import EXPORTED, Counter
from services.recorder.domain.energy import MINUTE_US, SECOND_US
from services.recorder.domain.failures import Unusable
from services.recorder.domain.questions import BadQuestion
from services.recorder.domain.records import Happening, MainsRow
from services.recorder.domain.tariff import NANO
from services.recorder.history import History
from services.recorder.opening import OpenHistory, parse_tariff
from tests.support.history import START, START_S, START_US, Place, ask, demand_row, running, steady

FLAT = '{"kind": "flat", "per_kwh": 0.3, "standing_charge_per_day": 0.5}'
DEARER = '{"kind": "flat", "per_kwh": 0.6, "standing_charge_per_day": 0.5}'


async def _home(opened: OpenHistory, now_s: int = START_S) -> Counter:
    await opened.history.count_all()
    return (await opened.history.counters(now_s))[0]


async def test_readings_become_energy(place: Place) -> None:
    """2 kW for half an hour is 1 kWh: in total, today and this month."""
    async with place.opened() as opened:
        await opened.history.record(steady(1_800, 2_000))
        home = await _home(opened)
        assert (home.total_mj, home.today_mj, home.month_mj) == (3_600_000_000,) * 3
        assert home.today_nano is None


async def _counters(opened: OpenHistory, now_s: int = START_S) -> list[Counter]:
    await opened.history.count_all()
    return await opened.history.counters(now_s)


async def test_a_redelivered_message_makes_no_second_row(place: Place) -> None:
    """The same readings, states and events again change neither the rows nor the sums."""
    rows = [*steady(600, 1_000), *running(10, 500), Happening("event", START_US, "e1", "kettle", '{"id":"e1"}')]
    async with place.opened() as opened:
        for _ in range(3):
            await opened.history.record(rows)
        first = await opened.history.counters(START_S)
        assert len(await ask(opened, "mains", 1)) == 201
        assert len(await ask(opened, "appliance/kettle", 1, resolution="raw")) == 11
        assert await ask(opened, "events") == [("2025-01-06T07:00:00+00:00", "kettle", {"id": "e1"})]
    async with place.opened() as opened:
        await opened.history.record(rows)
        await opened.history.count_all()
        assert await opened.history.counters(START_S) == first


@pytest.mark.parametrize("seed", [1, 2])
async def test_the_order_of_arrival_does_not_matter(place: Place, seed: int) -> None:
    """Readings shuffled, repeated, cut into batches and interrupted by restarts make the same roll-ups as in order, to the millijoule."""
    chance = random.Random(seed)
    at_us, rows = START_US, list[MainsRow]()
    for _ in range(200):
        at_us += chance.choice([1, 3, 3, 3, 10, 55, 200]) * SECOND_US
        rows.append(MainsRow(at_us, chance.randrange(-500_000, 9_000_000)))
    async with Place(place.url, f"{place.home}-ordered").opened() as opened:
        await opened.history.record(rows)
        expected = await _everything(opened)
    shuffled = [*rows, *chance.sample(rows, 50)]
    chance.shuffle(shuffled)
    for start in range(0, len(shuffled), 125):
        async with place.opened() as opened:
            for first in range(start, start + 125, 25):
                await opened.history.record(shuffled[first : first + 25])
    async with place.opened() as opened:
        assert await _everything(opened) == expected


async def _everything(opened: OpenHistory) -> list[object]:
    await opened.history.count_all()
    energy = [await ask(opened, "energy", resolution=resolution, points=2_000) for resolution in ("1min", "15min", "1h", "1d")]
    power = [await ask(opened, "mains", resolution=resolution, points=2_000) for resolution in ("1min", "1h")]
    return [energy, power, await ask(opened, "gaps")]


async def test_the_total_never_falls(place: Place) -> None:
    """A late reading that shows less than the straight line said leaves the total where it stood, until it is passed."""
    async with place.opened() as opened:
        await opened.history.record([MainsRow(START_US + second * SECOND_US, 3_000_000) for second in (0, 50, 100, 150)])
        before = await _home(opened)
        await opened.history.record([MainsRow(START_US + 25 * SECOND_US, 0)])
        assert (await _home(opened)).total_mj == before.total_mj
    async with place.opened() as opened:
        assert (await _home(opened)).total_mj == before.total_mj
        await opened.history.record([MainsRow(START_US + second * SECOND_US, 3_000_000) for second in (200, 250, 300)])
        assert (await _home(opened)).total_mj == 3_000 * 300 * 1_000 - 75_000_000


async def test_what_is_sent_out_never_falls_either(place: Place) -> None:
    """A late reading that shows less was sent out leaves that counter where it stood; it goes on from there in a new history too."""
    async with place.opened() as opened:
        await opened.history.record([MainsRow(START_US + second * SECOND_US, -3_000_000) for second in (0, 50, 100, 150)])
        before = await _home(opened)
        await opened.history.record([MainsRow(START_US + 25 * SECOND_US, 0)])
        assert (await _home(opened)).exported_mj == before.exported_mj == 450_000_000
        await opened.history.record([MainsRow(START_US + second * SECOND_US, -3_000_000) for second in (200, 250, 300)])
        assert (await _home(opened)).exported_mj == 900_000_000 - 75_000_000
    async with Place(place.url, f"{place.home}-new").opened() as opened:
        await opened.history.start(None, START_S, {"": 7, EXPORTED: 900})
        home = await _home(opened)
        assert (home.total_mj, home.exported_mj) == (7, 900)


async def test_counters_go_on_from_what_was_noted(place: Place) -> None:
    """A history that holds less than was noted goes on from the note, each start again; one that holds as much or more is right."""
    async with place.opened() as opened:
        await opened.history.record([*steady(600, 1_000), *running(10, 500)])
        await _home(opened)
        for _ in range(2):
            await opened.history.start(None, START_S, {"": 700_000_000, "kettle": 100, "oven": 5})
            totals = {counter.subject: counter.total_mj for counter in await opened.history.counters(START_S)}
            assert totals == {None: 700_000_000, "kettle": 300_000_000, "oven": 5}
        await opened.history.record(steady(600, 1_000, start_us=START_US + 3_600 * SECOND_US))
        assert (await _home(opened)).total_mj == 1_300_000_000


@pytest.mark.parametrize(("first", "second"), [("UTC", "America/New_York"), ("America/New_York", "Asia/Kathmandu")])
async def test_another_time_zone_counts_nothing_twice(place: Place, first: str, second: str) -> None:
    """The home's time zone is put right: totals stay, and hours and days are those of the new one."""
    async with place.opened(FLAT, zone=first) as opened:
        await opened.history.record([*steady(30 * 3_600, 1_000, every_s=60), *running(120, 500)])
        before = await opened.history.counters(START_S)
    async with place.opened(FLAT, zone=second) as opened:
        await opened.history.record(steady(6 * 3_600, 1_000, start_us=START_US + 30 * 3_600 * SECOND_US, every_s=60))
        home, kettle = await _counters(opened, START_S + 30 * 3_600)
        assert home.total_mj == 36 * 3_600_000_000
        assert kettle.total_mj == before[1].total_mj
        start_s, end_s = opened.history.calendar.day(START_S + 30 * 3_600)
        assert home.today_mj == (min(end_s, START_S + 36 * 3_600) - start_s) * 1_000_000
        bars = await ask(opened, "energy", 72, start=START - timedelta(days=1), resolution="1d")
        assert sum(bar[1] for bar in bars if isinstance(bar[1], float)) == pytest.approx(36)
        assert all(opened.history.calendar.local(datetime.fromisoformat(str(bar[0])).timestamp()).hour == 0 for bar in bars)


@pytest.mark.parametrize("late_s", [60, 150, 240, 310])
async def test_a_late_reading_is_counted_though_a_kill_follows_it(place: Place, late_s: int) -> None:
    """A hole of four minutes is filled by readings that come late, each batch before the end of the recorder."""
    rows = steady(1_800, 2_000)
    hole = [row for row in rows if late_s - 5 <= (rows[-1].at_us - row.at_us) / SECOND_US < late_s + 245]
    async with place.opened() as opened:
        await opened.history.record([row for row in rows if row not in hole])
    async with place.opened() as opened:
        await opened.history.start(None, START_S)
        for row in hole:
            await opened.history.record([row])
    async with place.opened() as opened:
        await opened.history.start(None, START_S)
        assert (await opened.history.counters(START_S))[0].total_mj == 3_600_000_000


async def test_nothing_is_uncounted_after_a_kill(place: Place) -> None:
    """Readings that were committed and not yet summed are summed at the next start."""
    async with place.opened() as opened:
        await opened.history.record(steady(3, 1_000))
        assert not await opened.history.record([MainsRow(START_US + 6 * SECOND_US, 1_000_000)])
    async with place.opened() as opened:
        assert (await opened.history.counters(START_S))[0].total_mj == 6_000_000


async def test_a_hole_is_a_gap_until_it_is_filled(place: Place) -> None:
    """Two minutes without a reading are not counted but estimated apart; readings that come late fill them."""
    async with place.opened() as opened:
        await opened.history.record([MainsRow(START_US, 1_000_000), MainsRow(START_US + 2 * MINUTE_US, 3_000_000)])
        home = await _home(opened)
        assert (home.total_mj, home.gap_mj) == (0, 240_000_000)
        assert await ask(opened, "gaps") == [("2025-01-06T07:00:00+00:00", "2025-01-06T07:02:00+00:00", pytest.approx(0.066667))]
        await opened.history.record([MainsRow(START_US + second * SECOND_US, 2_000_000) for second in range(30, 120, 30)])
        home = await _home(opened)
        assert home.gap_mj == 0
        assert home.total_mj == (1.5 + 2 + 2 + 2.5) * 30 * 1_000_000


async def test_appliances_never_add_up_to_more_than_the_home(place: Place) -> None:
    """Two appliances said to draw 3 kW in a home of 1.2 kW share what the home used; an honest one keeps its own."""
    async with place.opened() as opened:
        await opened.history.record([*steady(600, 1_200), *running(10, 2_000), *running(10, 1_000, appliance="oven")])
        await opened.history.record(steady(600, 1_200, start_us=START_US + 3_600 * SECOND_US))
        await opened.history.record(running(10, 300, appliance="fridge", start_us=START_US + 3_600 * SECOND_US))
        await opened.history.count_all()
        home, kettle, oven, fridge = await opened.history.counters(START_S)
        assert home.total_mj == 2 * 720_000_000
        assert (kettle.total_mj, oven.total_mj) == (480_000_000, 240_000_000)
        assert fridge.total_mj == 180_000_000
        totals = await ask(opened, "appliances")
        assert [row[0] for row in totals] == [None, "kettle", "oven", "fridge"]


async def test_export_counts_only_with_a_sign(place: Place) -> None:
    """Measured power below zero is sent out; an estimate below zero is noise, and nothing."""
    async with place.opened() as opened:
        await opened.history.record(steady(60, -1_000))
        estimates = [MainsRow(row.at_us, row.power_mw, estimated=True) for row in steady(60, -1_000, start_us=START_US + 3_600 * SECOND_US)]
        await opened.history.record(estimates)
        home = await _home(opened)
        assert (home.total_mj, home.exported_mj) == (0, 60_000_000)


@pytest.mark.parametrize(
    ("zone", "day"), [("Europe/London", date(2025, 3, 30)), ("America/Havana", date(2025, 3, 9)), ("Asia/Kathmandu", date(2025, 5, 1))]
)
async def test_days_are_local(place: Place, zone: str, day: date) -> None:
    """1 kW over midnights and a change of the clock: each local day has as many kWh as hours, whatever that is."""
    calendar = Calendar(ZoneInfo(zone))
    start_s = calendar.midnight(day - timedelta(days=1))
    async with place.opened(zone=zone) as opened:
        await opened.history.record(steady(72 * 3_600, 1_000, start_us=start_s * SECOND_US, every_s=60))
        await opened.history.count_all()
        start = datetime.fromtimestamp(start_s, UTC)
        bars = await ask(opened, "energy", 72, start=start, resolution="1d")
        lengths = [(end_s - first_s) / 3_600 for first_s, end_s in calendar.days(start_s, start_s + 72 * 3_600)]
        assert [bar[1] for bar in bars[:2]] == pytest.approx(lengths[:2])
        noon_s = calendar.midnight(day) + 12 * 3_600
        assert (await opened.history.counters(noon_s))[0].today_mj == round(lengths[1] * 3_600_000_000)


async def test_a_month_is_local(place: Place) -> None:
    """At 23:30 UTC on the last of May it is June in London: the energy is June's."""
    start = datetime(2025, 5, 31, 23, 0, tzinfo=UTC)
    async with place.opened() as opened:
        await opened.history.record(steady(1_800, 2_000, start_us=START_US + round((start - START).total_seconds()) * SECOND_US))
        await opened.history.count_all()
        june = await opened.history.counters(int(datetime(2025, 6, 20, tzinfo=UTC).timestamp()))
        may = await opened.history.counters(int(datetime(2025, 5, 20, tzinfo=UTC).timestamp()))
        assert june[0].month_mj == 3_600_000_000
        assert may[0].today_mj == 0


async def test_costs_stay_as_they_were(place: Place) -> None:
    """After a change of tariff the past keeps its cost, the rest of the day has the new one, and `recost` rewrites when asked."""
    async with place.opened(FLAT) as opened:
        await opened.history.record(steady(3_600, 1_000))
        assert (await _home(opened)).today_nano == round(0.8 * NANO)
    async with place.opened(DEARER, now_s=START_S + 3_600) as opened:
        await opened.history.record(steady(3_600, 1_000, start_us=START_US + 3_600 * SECOND_US))
        assert (await _home(opened)).today_nano == round((0.5 + 0.3 + 0.6) * NANO)
        await opened.history.record([MainsRow(START_US + 1_801 * SECOND_US, 1_000_000)])
        assert (await _home(opened)).today_nano == round((0.5 + 0.3 + 0.6) * NANO)
        await opened.history.recost(START_S, START_S + 86_400, DEARER)
        assert (await _home(opened)).today_nano == round((0.5 + 1.2) * NANO)
    async with place.opened(DEARER, now_s=START_S + 7_200) as opened:
        assert (await _home(opened)).today_nano == round((0.5 + 1.2) * NANO)


async def test_a_days_standing_charge_is_that_of_its_beginning(place: Place) -> None:
    """A new tariff in the middle of a day changes what energy costs from then on; the day's own charge stays, as the month has it."""
    dearer = '{"kind": "flat", "per_kwh": 0.3, "standing_charge_per_day": 9.0}'
    async with place.opened(FLAT) as opened:
        await opened.history.record(steady(3_600, 1_000))
        await _home(opened)
    async with place.opened(dearer, now_s=START_S + 3_600) as opened:
        today = await _home(opened, START_S + 3_600)
        assert today.today_nano == today.month_nano == round(0.8 * NANO)
        tomorrow = await _home(opened, START_S + 86_400)
        assert tomorrow.month_nano == round((0.8 + 9.0) * NANO)


async def test_tiers_follow_the_use_of_the_month(place: Place) -> None:
    """5 kWh with the first three at 0.10 and the rest at 0.50 cost 0.30 + 1.00, over batches and restarts."""
    tiered = '{"kind": "tiered", "tiers": [{"per_kwh": 0.1, "up_to_kwh": 3}, {"per_kwh": 0.5}]}'
    rows = steady(5 * 3_600, 1_000, every_s=30)
    for start in range(0, len(rows), 100):
        async with place.opened(tiered) as opened:
            await opened.history.record(rows[start : start + 100])
    async with place.opened(tiered) as opened:
        home = await _home(opened)
        assert home.month_nano is not None
        assert home.month_nano / NANO == pytest.approx(1.30, abs=1e-6)


async def test_the_standing_charge_counts_each_day_of_the_month(place: Place) -> None:
    """From the history's first day of the month to today, also on days without a reading."""
    async with place.opened(FLAT) as opened:
        await opened.history.record(steady(3_600, 1_000))
        await opened.history.count_all()
        home = (await opened.history.counters(START_S + 3 * 86_400))[0]
        assert home.month_nano == round((4 * 0.5 + 0.3) * NANO)


async def test_a_price_that_comes_late_prices_what_had_none(place: Place) -> None:
    """Half-hourly prices that were not known at the time are filled in; a known price of the past is not changed."""
    by_series = '{"kind": "half_hourly", "source": {"file": "prices.csv"}}'
    async with place.opened(by_series) as opened:
        await opened.history.record(steady(3_600, 1_000))
        assert (await _home(opened)).today_nano is None
        prices = [(START_S, START_S + 1_800, 0.2), (START_S + 1_800, START_S + 3_600, 0.4)]
        assert await opened.history.add_series("price", prices, START_S + 7_200)
        assert (await _home(opened)).today_nano == round(0.3 * NANO)
        assert not await opened.history.add_series("price", [(START_S, START_S + 1_800, 9.9)], START_S + 7_200)
        assert (await _home(opened)).today_nano == round(0.3 * NANO)
        assert [row[2] for row in await ask(opened, "price")] == [0.2, 0.4]


async def test_thinning_takes_readings_and_leaves_sums(place: Place) -> None:
    """After their time single readings go; totals, bars and the picture of the day stay, and late ones change nothing."""
    async with place.opened(FLAT) as opened:
        await opened.history.record([*steady(7_200, 1_000), *running(10, 500)])
        before = await _home(opened)
        assert await opened.history.thin(START_US + 3_600 * SECOND_US) == 1_200 + 11
        assert await opened.history.thin(START_US + 3_600 * SECOND_US) == 0
        assert await _home(opened) == before
        await opened.history.record([MainsRow(START_US + 1, 9_000_000)])
        assert (await _home(opened)).total_mj == before.total_mj
        points = await ask(opened, "mains", 1)
        assert len(points) == 60
        assert all(point[1] == 1_000 for point in points)
    async with place.opened(FLAT) as opened:
        assert (await _home(opened)).total_mj == before.total_mj


async def test_a_chart_keeps_every_peak(place: Place) -> None:
    """A day at a reading each 10 s, thinned to 100 points, still shows the highest and the lowest, and its mean."""
    rows = steady(86_400, 500, every_s=10)
    rows[1_234] = MainsRow(rows[1_234].at_us, 9_999_000)
    rows[5_678] = MainsRow(rows[5_678].at_us, 1_000)
    async with place.opened() as opened:
        await opened.history.record(rows)
        points = await ask(opened, "mains", points=100)
        assert len(points) <= 100
        assert max(point[3] for point in points if isinstance(point[3], float)) == 9_999
        assert min(point[2] for point in points if isinstance(point[2], float)) == 1
        coarse = await ask(opened, "mains", resolution="15min", points=50)
        assert max(point[3] for point in coarse if isinstance(point[3], float)) == 9_999
        assert sum(point[4] for point in coarse if isinstance(point[4], float)) == pytest.approx(12.0, abs=0.05)


async def test_states_without_a_time_are_kept_when_they_change(place: Place) -> None:
    """The broker's copy of a demand state, heard again after a reconnection, is no change; another state is."""
    async with place.opened() as opened:
        for second, body in enumerate(['{"level":"high"}', '{"level":"high"}', '{"level":"normal"}', '{"level":"high"}']):
            await opened.history.record([Happening("demand", START_US + second, f"key-{second}", body, body)])
        assert [row[2] for row in await ask(opened, "demand")] == [{"level": "high"}, {"level": "normal"}, {"level": "high"}]


async def test_demand_states_that_come_again_after_a_kill_are_no_changes(place: Place) -> None:
    """Several were committed and none acknowledged: all of them come again, in one batch or in several, and each is there once."""
    at = [START + timedelta(seconds=second) for second in range(4)]
    levels: list[DemandLevel] = ["high", "normal", "high"]
    said = [demand_row(level, at[second]) for second, level in enumerate(levels)]
    async with place.opened() as opened:
        await opened.history.record(said)
    async with place.opened() as opened:
        await opened.history.record(said)
        await opened.history.record(said[1:2])
        await opened.history.record([*said[:2], demand_row("high", at[3])])
        await opened.history.record([demand_row("normal", at[3]), demand_row("normal", at[3] + timedelta(seconds=1))])
        shown = await ask(opened, "demand")
    assert [(row[0], row[2]) for row in shown] == [
        (at[second].isoformat(), {"level": level, "shed": []}) for second, level in enumerate([*levels, "normal"])
    ]


async def test_an_unknown_appliance_is_named_in_the_answer(place: Place) -> None:
    """The error says which are known."""
    async with place.opened() as opened:
        await opened.history.record(running(1, 500))
        with pytest.raises(BadQuestion, match="known: kettle"):
            await ask(opened, "appliance/toaster")


async def test_an_import_beside_the_recorder_names_no_appliance_twice(place: Place) -> None:
    """Two processes write one history: an appliance that one of them has named is the same for the other."""
    async with place.opened() as recorder:
        await recorder.history.record([*steady(1_200, 1_000), *running(10, 500)])
        database = recorder.database
        importer = History(database, place.home, recorder.history.calendar, parse_tariff)
        await importer.record(running(10, 300, appliance="fridge"))
        later = running(5, 300, appliance="fridge", start_us=START_US + 11 * MINUTE_US)
        await recorder.history.record([*later, *running(5, 100, appliance="oven", start_us=START_US + 11 * MINUTE_US)])
        _, kettle, fridge, oven = await _counters(recorder)
        assert [kettle.subject, fridge.subject, oven.subject] == ["kettle", "fridge", "oven"]
        assert fridge.total_mj == 300_000 * (10 + 1 + 5) * 60


async def test_two_homes_do_not_mix(place: Place) -> None:
    """Two homes may share a database; each has its own sums, appliances and tariffs."""
    other = Place(place.url, f"{place.home}-2")
    async with place.opened(FLAT) as opened:
        await opened.history.record([*steady(3_600, 1_000), *running(60, 100)])
        first = await opened.history.counters(START_S)
    async with other.opened(DEARER) as opened:
        await opened.history.record(steady(3_600, 2_000))
        (second,) = await opened.history.counters(START_S)
        assert second.today_nano == round(1.7 * NANO)
    async with place.opened(FLAT) as opened:
        assert await opened.history.counters(START_S) == first


async def test_a_newer_database_is_refused(place: Place) -> None:
    """What a later version wrote is left alone, and the error says what to do."""
    async with place.opened() as opened, opened.database.writer.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        with pytest.raises(Unusable, match="newer version of hems"):
            await connection.run_sync(migrate)
        await connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": HEAD})
