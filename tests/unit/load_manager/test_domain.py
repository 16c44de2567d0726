"""Who is held back, for how long, and what brings loads back."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.contracts.demand import DemandEvent, DemandLevel, DemandOverride
from services.load_manager.domain.comfort import Hours, Sheddable
from services.load_manager.domain.demand import Demands
from services.load_manager.domain.manager import Limits, Standing
from services.load_manager.domain.power import PowerCap, PowerFilter
from services.load_manager.domain.schedules import Beginning, Schedule, SunEvent
from services.load_manager.domain.times import in_domain_time
from services.load_manager.sun import Sun, sun_of_time_zone
from tests.unit.load_manager.house import BOILER, FRIDGE, HEATER, LONDON, NOW, House, event


@pytest.mark.parametrize(
    ("level", "left_on"),
    [("moderate", {"fridge", "boiler"}), ("high", {"boiler"}), ("special", set[str]()), ("normal", {"heater", "fridge", "boiler"})],
)
def test_a_level_takes_its_priorities(level: DemandLevel, left_on: set[str]) -> None:
    """Moderate sheds priority 1, high 1 and 2, special all, normal none."""
    house = House(HEATER, FRIDGE, BOILER)
    house.ask(event(level))
    assert house.run(60).on() == left_on


def test_loads_go_in_turns_and_come_back_in_turns() -> None:
    """Two loads are never switched within the stagger; the first to go is of priority 1; after the event all are back."""
    house = House(BOILER, FRIDGE, HEATER)
    house.ask(event(lasts_s=120))
    house.run(300)
    switched = [(at_s, order.relay, order.state) for at_s, order in house.orders if order.for_s is None or order.state == "OFF"]
    first = {relay: at_s for at_s, relay, state in reversed(switched) if state == "OFF"}
    back = {relay: at_s for at_s, relay, state in switched if state == "ON"}
    assert sorted(first, key=lambda relay: first[relay]) == ["heater", "fridge", "boiler"]
    assert all(later - earlier >= 10 for earlier, later in pairwise(sorted(first.values())))
    assert all(later - earlier >= 10 for earlier, later in pairwise(sorted(back.values())))
    assert house.on() == {"heater", "fridge", "boiler"}


def test_a_shed_load_is_leased_and_renewed_so_that_a_crash_brings_it_back() -> None:
    """Every order to hold a load back ends by itself, and is renewed long before."""
    house = House(FRIDGE)
    house.ask(event())
    house.run(300)
    times = [at_s for at_s, order in house.orders if order.state == "OFF"]
    assert all(order.for_s == 120 for _, order in house.orders)
    assert all(later - earlier <= 120 / 2 for earlier, later in pairwise(times))
    assert times[-1] >= 300 - 60


def test_no_load_is_held_back_longer_than_it_bears() -> None:
    """After its longest time it is brought back, rests, and only then is shed again."""
    house = House(HEATER)
    house.ask(event(lasts_s=3_000))
    house.run(3_600)
    states = [(at_s, order.state) for at_s, order in house.orders]
    shed_at = states[0][0]
    back_at = next(at_s for at_s, state in states if state == "ON")
    again_at = next(at_s for at_s, state in states if state == "OFF" and at_s > back_at)
    assert back_at - shed_at <= 601
    assert again_at - back_at >= 300


def test_hours_never_are_kept() -> None:
    """In its hours a load is neither shed nor kept back."""
    load = Sheddable("fridge", 1, longest_off_s=7_200, never=(Hours(time(12, 10), time(13)),))
    house = House(load)
    house.ask(event())
    assert house.run(300).on() == set()
    assert house.run(400).on() == {"fridge"}
    assert house.run(1_800).on() == {"fridge"}


def test_what_is_off_or_unnamed_is_left_alone() -> None:
    """Only loads that are named and on are shed."""
    house = House(FRIDGE)
    house.put("fridge", "OFF", "local")
    house.put("lamp", "ON", "local")
    house.ask(event())
    house.run(30)
    assert not house.orders


def test_a_person_who_switches_a_load_back_on_is_left_alone_until_the_event_ends() -> None:
    """A person goes before a demand event."""
    house = House(FRIDGE, HEATER)
    house.ask(event())
    house.run(30)
    house.put("fridge", "ON", "dashboard")
    house.orders.clear()
    house.run(600)
    assert "fridge" in house.on()
    assert not any(order.relay == "fridge" for _, order in house.orders)


def test_people_opt_out_of_an_event_or_for_one_relay() -> None:
    """An opt-out ends the event here; one for a relay brings that relay back."""
    house = House(FRIDGE, HEATER)
    house.ask(event())
    house.run(30)
    house.override(DemandOverride(id="o", relay="fridge"))
    assert house.run(30).on() == {"fridge"}
    house.override(DemandOverride(id="p", event="e"))
    assert house.run(60).on() == {"fridge", "heater"}
    assert house.manager.shown(house.now).level == "normal"


def test_normal_takes_an_event_back() -> None:
    """By its id, or all in its span; the strictest of several counts."""
    demands = Demands().with_event(event("moderate"), NOW).with_event(event("high", event_id="f"), NOW)
    running = demands.in_force(NOW)
    assert running is not None
    assert running.id == "f"
    by_id = demands.with_event(event("normal", event_id="f"), NOW).in_force(NOW)
    assert by_id is not None
    assert by_id.id == "e"
    assert demands.with_event(event("normal", event_id="x"), NOW).in_force(NOW) is None


def test_a_restart_goes_on_with_what_is_held_back() -> None:
    """Loads that were shed before stay so and come back in the end."""
    house = House(FRIDGE)
    house.ask(event(lasts_s=120))
    house.run(30)
    heir = House(FRIDGE, standing=Standing.from_wire(house.manager.standing.to_wire()))
    heir.now = house.now
    heir.put("fridge", "OFF", "load_manager")
    heir.run(60)
    assert any(order.state == "OFF" for _, order in heir.orders)
    assert heir.run(120).on() == {"fridge"}


def test_a_load_that_ran_on_a_lease_gets_the_rest_of_it_back() -> None:
    """A lease of a person's goes on, and one that is over is not brought back."""
    house = House(FRIDGE)
    house.put("fridge", "ON", "local", until=NOW + timedelta(seconds=200))
    house.ask(event(lasts_s=100))
    house.run(150)
    (back,) = [order for _, order in house.orders if order.state == "ON"]
    assert back.for_s == pytest.approx(200 - 101, abs=2)


def test_a_refused_order_is_tried_again_later() -> None:
    """A load that the actuator keeps on is not shown as shed, and is not asked for all the time."""
    house = House(FRIDGE)
    house.ask(event())
    house.manager.decide(house.now)
    house.manager.refused("fridge", house.now)
    assert not house.manager.shown(house.now).shed
    assert not house.manager.decide(house.now + timedelta(seconds=15))


def test_the_cap_sheds_until_the_home_is_under_and_brings_back_when_there_is_room() -> None:
    """Above the limit for a while: by priority; with room for the load and a margin, for long: back."""
    long = Sheddable("heater", 1, longest_off_s=7_200, power_w=2_000)
    house = House(long, FRIDGE, limits=Limits(cap_w=3_000))
    assert house.run(60, 2_900).on() == {"heater", "fridge"}
    assert house.run(28, 3_500).on() == {"fridge"}
    assert house.run(600, 1_200).on() == {"fridge"}, "there is no room for 2 kW below the limit"
    assert house.run(100, 500).on() == {"fridge"}, "the room has not lasted"
    assert house.run(100, 500).on() == {"heater", "fridge"}


def test_a_peak_limit_holds_in_its_hours() -> None:
    """The tighter limit counts while it is peak."""
    limits = Limits(5_000, 2_000, (Hours(time(16), time(19)),))
    assert limits.at(NOW.astimezone(LONDON)) == 5_000
    assert limits.at(NOW.replace(hour=17).astimezone(LONDON)) == 2_000
    assert Limits().at(NOW) is None


@given(st.floats(-1e6, 1e6), st.integers(0, 59), st.booleans())
def test_11_no_single_reading_decides(outlier_w: float, place: int, over: bool) -> None:
    """One reading of any size changes nothing: no load is shed or brought back that the others would not move."""
    steady_w = 3_400.0 if over else 2_000.0
    verdicts = [_verdicts([steady_w] * 60), _verdicts([*[steady_w] * place, outlier_w, *[steady_w] * (59 - place)])]
    assert verdicts[0] == verdicts[1]


def _verdicts(powers_w: list[float]) -> list[str]:
    readings, cap = PowerFilter(), PowerCap()
    found: list[str] = []
    for second, power_w in enumerate(powers_w):
        now = NOW + timedelta(seconds=second)
        readings.add(now, power_w)
        found.append(cap.look(readings.at(now) if second >= 4 else None, 3_000, 0, now))
    return found


def test_old_and_repeated_readings_are_not_counted() -> None:
    """The filter knows nothing with fewer than three readings of its window."""
    readings = PowerFilter()
    for _ in range(5):
        readings.add(NOW, 9_000)
    assert readings.at(NOW) is None
    readings.add(NOW + timedelta(seconds=1), 100)
    readings.add(NOW + timedelta(seconds=2), 100)
    assert readings.at(NOW + timedelta(seconds=2)) == 100
    assert readings.at(NOW + timedelta(seconds=60)) is None


def test_savings_are_measured_or_configured_and_say_so() -> None:
    """A configured load counts its power, another what fell away within 20 s; the estimate says which."""
    house = House(HEATER)
    house.ask(event())
    shown = house.run(361).manager.shown(house.now)
    assert shown.saved_kwh == pytest.approx(2_000 * 360 / 3.6e6, rel=0.01)
    assert "heater 2000 W (configured)" in (shown.saved_how or "")
    house = House(FRIDGE)
    house.run(30, 1_000)
    house.ask(event())
    shown = house.run(1, 1_000).run(359, 850).manager.shown(house.now)
    assert shown.saved_kwh == pytest.approx(150 * 360 / 3.6e6, rel=0.02)
    assert "fridge 150 W (measured)" in (shown.saved_how or "")


def _sun_at(_event: SunEvent, day: date) -> datetime | None:
    return datetime.combine(day, time(16), tzinfo=UTC)


@pytest.mark.parametrize(
    ("local", "inside"),
    [
        ("2026-01-05T21:59", False),
        ("2026-01-05T22:00", True),
        ("2026-01-06T01:59", True),
        ("2026-01-06T02:00", False),
        ("2026-01-06T22:30", False),
    ],
)
def test_a_schedule_runs_past_midnight_on_its_days(local: str, inside: bool) -> None:
    """It belongs to the day on which it begins."""
    schedule = Schedule("bulb", "ON", Beginning(at=time(22)), timedelta(hours=4), frozenset({0}))
    assert (schedule.span_at(datetime.fromisoformat(local).replace(tzinfo=LONDON), _sun_at) is not None) == inside


def test_a_schedule_follows_the_sun() -> None:
    """With an offset; where the sun does not set, nothing happens."""
    schedule = Schedule("bulb", "ON", Beginning(sun="sunset", offset=-timedelta(minutes=30)), timedelta(hours=1), frozenset(range(7)))
    span = schedule.span_at(NOW.replace(hour=15, minute=45).astimezone(LONDON), _sun_at)
    assert span is not None
    assert span[0] == NOW.replace(hour=15, minute=30)
    assert schedule.span_at(NOW.replace(hour=15, minute=45).astimezone(LONDON), lambda _event, _day: None) is None


def test_a_schedule_lasts_as_long_over_a_change_of_the_clocks() -> None:
    """Four hours are four hours in the night when clocks go back."""
    schedule = Schedule("bulb", "ON", Beginning(at=time(23)), timedelta(hours=4), frozenset(range(7)))
    span = schedule.span_at(datetime(2026, 10, 24, 23, 30, tzinfo=LONDON), _sun_at)
    assert span is not None
    assert span[1].timestamp() - span[0].timestamp() == 4 * 3_600


def test_a_schedule_holds_by_leases_and_yields_to_a_person() -> None:
    """It renews until its end, never beyond, and leaves a relay alone that a person switched meanwhile."""
    schedule = Schedule("bulb", "ON", Beginning(at=time(12)), timedelta(seconds=300), frozenset(range(7)))
    house = House(schedules=[schedule])
    house.now = NOW - timedelta(hours=1)
    house.put("bulb", "OFF", "local")
    house.now = NOW
    house.run(400)
    assert house.orders
    assert all(at_s + (order.for_s or 1e9) <= 301 for at_s, order in house.orders)
    house = House(schedules=[schedule])
    house.put("bulb", "OFF", "local")
    assert not house.run(100).orders


def test_a_shed_load_is_not_switched_on_by_its_schedule() -> None:
    """A demand event goes before a schedule."""
    schedule = Schedule("fridge", "ON", Beginning(at=time(12)), timedelta(hours=4), frozenset(range(7)))
    house = House(FRIDGE, schedules=[schedule])
    house.ask(event(lasts_s=600))
    house.run(300)
    assert house.on() == set()


def test_the_sun_is_where_the_almanac_has_it() -> None:
    """London, 21 June 2025: sunrise 04:43, sunset 21:21 BST (HM Nautical Almanac Office); no sunset in an Arctic summer."""
    sun = Sun(51.5, -0.12)
    rises, sets = sun.at("sunrise", date(2025, 6, 21)), sun.at("sunset", date(2025, 6, 21))
    assert rises is not None
    assert sets is not None
    assert abs(rises - datetime(2025, 6, 21, 3, 43, tzinfo=UTC)) < timedelta(minutes=3)
    assert abs(sets - datetime(2025, 6, 21, 20, 21, tzinfo=UTC)) < timedelta(minutes=3)
    assert Sun(78.2, 15.6).at("sunset", date(2025, 6, 21)) is None


def test_a_time_zone_stands_for_its_city() -> None:
    """A home without coordinates takes its time zone's city; an invented zone has none."""
    sun = sun_of_time_zone("Europe/London")
    assert sun is not None
    assert abs(sun.latitude - 51.5) < 0.5
    assert sun_of_time_zone("Nowhere/Place") is None


def test_a_persons_event_reaches_a_simulated_home() -> None:
    """In real time said, in the recording's time done, twenty times as fast; a service's own event stays as it is."""
    recorded, real = datetime(2014, 3, 1, 7, tzinfo=UTC), datetime(2026, 1, 5, 12, tzinfo=UTC)
    moved = in_domain_time(event(lasts_s=60), recorded, 20, real)
    assert (moved.starts_at, moved.ends_at) == (recorded, recorded + timedelta(seconds=1_200))
    assert in_domain_time(event(), NOW, 1, NOW) == event()
    own = DemandEvent(id="e", level="high", starts_at=recorded, ends_at=recorded + timedelta(hours=1))
    assert in_domain_time(own, recorded, 20, real) == own
