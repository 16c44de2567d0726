"""The twelve invariants of mains relays, over random histories of the code that runs.

A hundred thousand histories are gone through by `make test-long`. `invariants.py` holds the judges.
"""

from collections.abc import Callable, Iterator
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hems.contracts.catalog import MAINS, VOLTAGE
from hems.contracts.relays import RelayCommand
from services.actuator.actor import Actuator
from services.actuator.domain.admission import Request
from services.actuator.domain.rules import RelayRules
from services.actuator.settings import ActuatorSettings
from services.actuator.switchboard import Clocks
from tests.unit.actuator import invariants
from tests.unit.actuator.relay_world import START, World, live, random_rules, random_world, tempted_world

HISTORIES = 100_000
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
randoms = st.randoms(use_true_random=False)
ALL: tuple[Callable[[World], None], ...] = (
    invariants.always_safe_at_start_and_stop,
    invariants.only_commands_of_now_are_followed,
    invariants.leases_end,
    invariants.timers_come_to_rest,
    invariants.silence_leads_to_safety,
    invariants.an_id_switches_once,
    invariants.minimum_times_hold,
    invariants.time_away_is_limited,
    invariants.unknown_time_refuses_timed_commands,
    invariants.the_state_shown_is_true,
    invariants.nothing_toward_safety_is_dropped,
    invariants.only_the_allowed_switch,
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@few
@given(randoms)
def test_01_safe_at_every_start_and_stop(random: Random) -> None:
    """Every relay is safe from each start until a command is followed, and when its pin is released."""
    invariants.always_safe_at_start_and_stop(random_world(random))


@few
@given(randoms)
def test_02_only_commands_of_now_are_followed(random: Random) -> None:
    """Expired, future, old and retained commands are refused with a reason."""
    invariants.only_commands_of_now_are_followed(random_world(random))


@few
@given(randoms)
def test_03_a_lease_ends_in_the_resting_state(random: Random) -> None:
    """A lease ends on time, with nobody saying anything."""
    world = random_world(random)
    invariants.leases_end(world)
    invariants.timers_come_to_rest(world)


@few
@given(randoms)
def test_04_silence_leads_to_safety(random: Random) -> None:
    """A marked relay is safe when the broker or its lease's controller is silent."""
    invariants.silence_leads_to_safety(random_world(random))


@few
@given(randoms)
def test_05_an_id_switches_once_and_old_commands_do_not(random: Random) -> None:
    """A repeated id and a command older than the newest of its source switch nothing, across restarts too."""
    invariants.an_id_switches_once(random_world(random))


@few
@given(randoms)
def test_06_minimum_times_and_switches_an_hour_hold(random: Random) -> None:
    """No flood shortens a minimum time or exceeds the switches of an hour; only the way to safety is shorter, save a compressor's."""
    invariants.minimum_times_hold(random_world(random))


@few
@given(randoms)
def test_07_no_message_extends_the_time_away(random: Random) -> None:
    """The longest time away from safe holds, short returns included."""
    invariants.time_away_is_limited(random_world(random))
    invariants.time_away_is_limited(tempted_world(random))


@few
@given(randoms)
def test_08_jumps_of_the_clock_change_nothing(random: Random) -> None:
    """With and without jumps of a day, untimed commands switch the pin at the same moments; unknown time refuses timed ones."""
    invariants.unknown_time_refuses_timed_commands(random_world(random))
    assert_jumps_change_nothing(random.getrandbits(32))


@few
@given(randoms)
def test_09_the_state_published_is_the_pins(random: Random) -> None:
    """What is published is read back, or says that it is not."""
    invariants.the_state_shown_is_true(random_world(random))


@few
@given(randoms)
def test_10_nothing_toward_safety_is_dropped(random: Random) -> None:
    """A full queue refuses commands away from safe, never one toward it."""
    invariants.nothing_toward_safety_is_dropped(random_world(random))
    assert_safety_passes_a_full_queue(random)


def test_11_no_meter_reading_reaches_the_actuator() -> None:
    """The actuator hears no meter at all: the load manager decides, on a filtered power."""
    context: Any = SimpleNamespace()
    nothing: Any = None
    actuator = Actuator(ActuatorSettings.read({}, {}), context, nothing, nothing, Clocks(lambda: 0.0, lambda: START))
    assert {entry.topic.pattern for entry in actuator.inputs} == {
        "relay/{relay}/set",
        "relay/{relay}/set/{source}",
        "service/{service}/health",
    }
    assert "actuator" not in (*MAINS.read_by, *VOLTAGE.read_by)


@few
@given(randoms)
def test_12_only_the_allowed_switch_and_people_go_first(random: Random) -> None:
    """A source that is not listed switches nothing, and a person's command goes before the load manager's and the fleet's."""
    invariants.only_the_allowed_switch(random_world(random))


@pytest.mark.long
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("part", range(10))
def test_all_invariants_over_a_hundred_thousand_histories(part: int) -> None:
    """Each of the invariants, on each history; the seed of a failing one is in the message."""
    for seed in range(part * HISTORIES // 10, (part + 1) * HISTORIES // 10):
        world = random_world(Random(seed))
        for judge in ALL:
            try:
                judge(world)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}, {judge.__name__}: {error}") from error
        invariants.time_away_is_limited(tempted_world(Random(seed)))
        assert_jumps_change_nothing(seed)
        assert_safety_passes_a_full_queue(Random(seed))


def assert_jumps_change_nothing(seed: int) -> None:
    """Live the same history twice, once with jumps of the wall clock."""
    steady, jumping = (_untimed_world(seed, scale) for scale in (0.0, 1.0))
    assert [(pin.true_s, pin.level) for pin in steady.pins] == [(pin.true_s, pin.level) for pin in jumping.pins]


def _untimed_world(seed: int, jump_scale: float) -> World:
    random = Random(seed)
    return live(World(random_rules(random), jump_scale=jump_scale), random, timed=False)


def assert_safety_passes_a_full_queue(random: Random) -> None:
    """Fill the queue with commands away from safe; the next one toward it is done at once, and they are not."""
    safe = random.choice(("ON", "OFF"))
    world = World(RelayRules(safe=safe), inbox_capacity=random.randrange(1, 5))
    away = RelayCommand(state="OFF" if safe == "ON" else "ON")
    world.say(Request(away, "local"))
    flood = [world.say(Request(away, "local"), work_off=False) for _ in range(8)]
    back = world.say(Request(RelayCommand(state=safe), "local"), work_off=False)
    assert back.answer is not None
    assert back.answer.accepted
    assert world.pin == safe
    world.pass_time(1)
    assert world.pin == safe, "a command that waited was done after a later one toward safety"
    assert all(said.answer is not None and not said.answer.accepted for said in flood)
