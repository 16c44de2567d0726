"""Loads that may wait run in the cheapest, or the greenest, time of some hours."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from hems.contracts.catalog import PRICE, RELAY_SET_BY
from hems.contracts.energy import Series, SeriesValue
from hems.testing.clocks import START
from hems.testing.harness import on_stage
from services.load_manager.domain.best_hours import begins_now, best_start
from services.load_manager.domain.comfort import Hours
from services.load_manager.domain.schedules import Beginning, Schedule
from tests.unit.load_manager.house import FRIDGE, LONDON, House, event
from tests.unit.load_manager.test_actor import build

HALF_HOUR, TWO_HOURS, DAILY = timedelta(minutes=30), timedelta(hours=2), frozenset(range(7))
NIGHT = Hours(time(22), time(7))
DUSK = datetime(2026, 1, 5, 20, tzinfo=UTC)
BOILER_AT_NIGHT = Schedule("boiler", "ON", Beginning(best="cheapest"), TWO_HOURS, DAILY, NIGHT)


def series(prices: list[float], begins: datetime = DUSK) -> tuple[SeriesValue, ...]:
    """Half-hourly values."""
    starts = (begins + place * HALF_HOUR for place in range(len(prices)))
    return tuple(SeriesValue(start=start, end=start + HALF_HOUR, value=price) for start, price in zip(starts, prices, strict=True))


def night(**cheap: float) -> tuple[SeriesValue, ...]:
    """A night of 30, but for the given half-hours, such as `at_0230=5`, after 20:00."""
    prices = [30.0] * 24
    for name, price in cheap.items():
        hour, minute = int(name[3:5]), int(name[5:7])
        prices[(hour - 20) % 24 * 2 + minute // 30] = price
    return series(prices)


def run_a_night(house: House, begins: datetime = DUSK, hours: float = 14) -> list[datetime]:
    """Every minute of it; the minutes in which the boiler is on."""
    house.now, on = begins, list[datetime]()
    house.put("boiler", "OFF", None)
    ends_at = None
    while house.now < begins + timedelta(hours=hours):
        house.now += timedelta(minutes=1)
        for order in house.manager.decide(house.now):
            ends_at = house.now + timedelta(seconds=order.for_s or 1e6)
        if ends_at is not None and house.now < ends_at:
            on.append(house.now)
    return on


def test_it_runs_when_it_is_cheapest_and_once_a_night() -> None:
    """For as long as asked, in one piece, at the lowest mean within the hours; what is cheap outside of them is not used."""
    house = House(schedules=[BOILER_AT_NIGHT])
    house.manager.series["cheapest"] = night(at_2030=1, at_0200=10, at_0230=5, at_0300=5, at_0330=10, at_0500=4, at_0730=1)
    on = run_a_night(house)
    assert (on[0], on[-1]) == (DUSK.replace(day=6, hour=2), DUSK.replace(day=6, hour=3, minute=59))
    assert len(on) == 120


def test_greenest_goes_by_the_carbon() -> None:
    """A price that is known does not matter to it."""
    house = House(schedules=[Schedule("boiler", "ON", Beginning(best="greenest"), TWO_HOURS, DAILY, NIGHT)])
    house.manager.series = {"cheapest": night(at_0000=0), "greenest": night(at_0400=5, at_0430=5)}
    assert run_a_night(house)[0] == DUSK.replace(day=6, hour=3), "of equal means the earliest"


def test_without_a_price_it_runs_so_late_that_it_still_fits() -> None:
    """The load gets its time; a price that comes in time counts."""
    assert run_a_night(House(schedules=[BOILER_AT_NIGHT]))[0] == DUSK.replace(day=6, hour=5)


def test_a_restart_neither_repeats_nor_breaks_off_a_run() -> None:
    """What has begun is kept."""
    house = House(schedules=[BOILER_AT_NIGHT])
    house.manager.series["cheapest"] = night(at_0000=1)
    first = run_a_night(house, hours=4)
    heir = House(schedules=[BOILER_AT_NIGHT], standing=house.manager.standing)
    rest = run_a_night(heir, house.now, hours=9)
    assert len(first) + len(rest) == pytest.approx(120, abs=1)


def test_a_person_and_a_demand_event_go_before_it() -> None:
    """Switched off by hand it stays off; during an event it waits."""
    house = House(FRIDGE, schedules=[Schedule("fridge", "ON", Beginning(best="cheapest"), TWO_HOURS, DAILY, Hours(time(11), time(14)))])
    house.run(10)
    assert house.orders
    house.put("fridge", "OFF", "local")
    house.orders.clear()
    house.run(300)
    assert not house.orders
    house = House(FRIDGE, schedules=[Schedule("fridge", "ON", Beginning(best="cheapest"), TWO_HOURS, DAILY, Hours(time(11), time(14)))])
    house.ask(event())
    assert house.run(120).on() == set()


@given(
    st.lists(st.sampled_from([1.0, 2.0, 3.0, 30.0, -5.0]), min_size=1, max_size=24),
    st.integers(0, 600),
    st.integers(1, 300),
    st.integers(0, 90),
)
@hypothesis(deadline=None)
def test_no_minute_is_better_than_the_one_chosen(prices: list[float], until: int, lasts: int, begins: int) -> None:
    """Against every minute of the hours."""
    values, length = series(prices), timedelta(minutes=lasts)
    earliest, latest = DUSK + timedelta(minutes=begins), DUSK + timedelta(minutes=begins + until)
    minute_prices = [price for price in prices for _ in range(30)]
    whole = {
        start: sum(minute_prices[start : start + lasts]) / lasts
        for start in range(begins, begins + until + 1)
        if start + lasts <= len(minute_prices)
    }
    chosen = best_start(values, earliest, latest, length)
    if whole:
        assert chosen is not None
        assert whole[round((chosen - DUSK).total_seconds() / 60)] == pytest.approx(min(whole.values()))


@pytest.mark.parametrize("day", ["2026-03-28", "2026-10-24"])
def test_a_night_in_which_the_clocks_change_has_its_whole_run(day: str) -> None:
    """Two hours are two hours; the hours end by the clock on the wall."""
    begins = datetime.fromisoformat(f"{day}T18:00").replace(tzinfo=LONDON).astimezone(UTC)
    on = run_a_night(House(schedules=[BOILER_AT_NIGHT]), begins, hours=16)
    assert len(on) == 120
    assert on[0].astimezone(LONDON).time() == time(5)


def test_nothing_begins_outside_of_its_hours_and_days() -> None:
    """A night belongs to the day on which it begins."""
    monday_only = frozenset({0})
    for at, inside in (("2026-01-05T21:59", False), ("2026-01-06T06:00", True), ("2026-01-06T07:00", False), ("2026-01-07T06:00", False)):
        local = datetime.fromisoformat(at).replace(tzinfo=LONDON)
        assert (begins_now(NIGHT, monday_only, TWO_HOURS, (), None, local) is not None) == inside


async def test_the_prices_that_the_recorder_says_are_taken(tmp_path: Path) -> None:
    """The retained series moves the run."""
    hours = {"relay": "heater", "on": "cheapest", "for": "30m", "between": "06:00-09:00"}
    async with on_stage("load_manager", lambda context: build(context, sheddable={}, schedules=[hours]), tmp_path) as stage:
        values = (
            SeriesValue(start=START, end=START + HALF_HOUR, value=0.1),
            SeriesValue(start=START + HALF_HOUR, end=START + TWO_HOURS, value=0.3),
        )
        await stage.tell(PRICE, Series(as_of=START, unit="GBP/kWh", values=values), retain=True)
        await stage.clock.advance(2)
        ((parameters, order),) = stage.said(RELAY_SET_BY)
        assert (parameters["relay"], order.state) == ("heater", "ON")
