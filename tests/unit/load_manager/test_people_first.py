"""A person's word counts, also off, also while the load manager was away; and nothing outlives what it was meant for."""

from datetime import time, timedelta

import pytest

from hems.contracts.relays import Level
from services.load_manager.domain.comfort import Sheddable
from services.load_manager.domain.manager import Limits, Order
from services.load_manager.domain.schedules import Beginning, Schedule
from tests.unit.load_manager.house import FRIDGE, HEATER, NOW, House, event

EVENINGS = Schedule("fridge", "ON", Beginning(at=time(12)), timedelta(seconds=200), frozenset(range(7)))


def _off_by_a_person(house: House, relay: str) -> None:
    """It stands OFF already, so that only the source changes."""
    house.states[relay] = house.states[relay].model_copy(update={"source": "dashboard"})
    house.manager.see(relay, house.states[relay], house.now)


def _orders(house: House, relay: str, state: Level) -> list[Order]:
    return [order for _, order in house.orders if (order.relay, order.state) == (relay, state)]


def test_a_load_that_a_person_switches_off_while_it_is_held_back_stays_off() -> None:
    """The event's end does not switch on what a person wants off."""
    house = House(FRIDGE)
    house.ask(event(lasts_s=120))
    house.run(30)
    _off_by_a_person(house, "fridge")
    house.orders.clear()
    assert house.run(600).on() == set()
    assert not house.orders
    assert not house.manager.shown(house.now).shed


def test_a_load_that_a_person_switches_off_while_it_waits_to_come_back_stays_off() -> None:
    """An order that the actuator could not follow yet is not repeated against a person's word."""
    house = House(FRIDGE)
    house.ask(event(lasts_s=60))
    house.run(30)
    house.now += timedelta(seconds=60)
    assert [order.state for order in house.manager.decide(house.now)] == ["ON"]
    house.manager.refused("fridge", house.now)
    _off_by_a_person(house, "fridge")
    assert house.run(300).on() == set()


@pytest.mark.parametrize(("state", "on"), [("ON", {"fridge"}), ("OFF", set[str]())])
def test_what_a_person_did_while_the_load_manager_was_away_counts(state: Level, on: set[str]) -> None:
    """Started again in the middle of an event, it leaves a load alone that a person has switched meanwhile."""
    before = House(FRIDGE)
    before.ask(event())
    before.run(30)
    heir = House(standing=before.manager.standing)
    heir.plan.sheddable = before.plan.sheddable
    heir.now = before.now + timedelta(seconds=60)
    heir.put("fridge", state, "local")
    assert heir.run(600).on() == on
    assert not heir.orders


def test_a_load_that_was_on_before_the_load_manager_went_away_is_held_back_all_the_same() -> None:
    """Killed between the decision and the order: a person's ON of before is no word against the event."""
    before = House(FRIDGE)
    before.ask(event())
    before.now += timedelta(seconds=1)
    before.manager.decide(before.now)
    heir = House(standing=before.manager.standing)
    heir.plan.sheddable = before.plan.sheddable
    heir.states["fridge"] = before.states["fridge"]
    heir.now = before.now
    heir.manager.see("fridge", heir.states["fridge"], heir.now)
    assert heir.run(60).on() == set()


def test_a_load_that_its_schedule_had_on_comes_back_for_the_rest_of_the_schedule_only() -> None:
    """And not at all where the event outlives the schedule."""
    for lasts_s, comes_back in ((100, True), (400, False)):
        house = House(FRIDGE, schedules=[EVENINGS])
        house.put("fridge", "ON", "load_manager", until=NOW + timedelta(seconds=120))
        house.ask(event(lasts_s=lasts_s))
        house.run(600)
        back = _orders(house, "fridge", "ON")
        assert bool(back) == comes_back
        assert all(order.for_s is not None for order in back), "it would stay on for good"
        assert all(at_s + (order.for_s or 0) <= 202 for at_s, order in house.orders if order.state == "ON")


def test_a_persons_lease_survives_two_events_and_no_longer() -> None:
    """Held back twice, a load that a person wanted for a while is still on for that while only."""
    house = House(FRIDGE)
    ends = NOW + timedelta(seconds=400)
    house.put("fridge", "ON", "local", until=ends)
    house.ask(event(lasts_s=60))
    house.run(90)
    house.states["fridge"] = house.states["fridge"].model_copy(update={"until": ends})
    house.manager.see("fridge", house.states["fridge"], house.now)
    house.ask(event(event_id="f", after_s=100, lasts_s=60))
    house.run(100)
    back = [(at_s, order.for_s) for at_s, order in house.orders if order.state == "ON"]
    assert [at_s + (for_s or 0) for at_s, for_s in back] == [pytest.approx(400), pytest.approx(400)]


def test_an_order_that_was_refused_is_no_rest() -> None:
    """A load that was never held back need not rest before it is tried again."""
    house = House(Sheddable("heater", 1, longest_off_s=600, rest_s=3_600))
    house.ask(event())
    house.now += timedelta(seconds=1)
    assert house.manager.decide(house.now)
    house.manager.refused("heater", house.now)
    assert house.run(60).on() == set()


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=1)])
def test_a_clock_that_is_set_back_holds_nothing_back_for_longer(back: timedelta) -> None:
    """By the cap: the longest time off holds, and the load comes back; schedules and the cap go on."""
    nights = Schedule("lamp", "ON", Beginning(at=time(0)), timedelta(hours=24), frozenset(range(7)))
    house = House(HEATER, schedules=[nights], limits=Limits(cap_w=3_000))
    house.put("lamp", "OFF", None)
    assert "heater" not in house.run(60, 5_000).on()
    house.now -= back
    house.orders.clear()
    assert "heater" in house.run(620, 5_000).on()
    assert len(_orders(house, "lamp", "ON")) > 10, "the schedule is renewed"
    house.run(400, 5_000)
    assert "heater" not in house.on(), "the cap sheds anew after the rest"


def test_what_two_loads_saved_is_told_apart() -> None:
    """Shed within seconds of each other, each is counted by what fell away with itself."""
    kettle, fridge = Sheddable("kettle", 1, longest_off_s=3_600), Sheddable("fridge", 2, longest_off_s=3_600)
    house = House(kettle, fridge)
    house.run(40, 3_100)
    house.ask(event())
    house.run(1, 3_100).run(10, 1_100).run(300, 1_000)
    how = house.manager.shown(house.now).saved_how or ""
    assert "kettle 2000 W (measured)" in how
    assert "fridge 100 W (measured)" in how
