"""The governor: never over the quota, the newest value wins, nothing starves."""

import itertools
import random
import statistics
from collections.abc import Callable
from functools import partial

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.contracts.relays import Level
from hems.testing.clocks import START
from services.bridge_adafruit.domain.governor import Governor
from services.bridge_adafruit.domain.quota import Kind, Quota
from tests.support.adafruit_account import busiest_minute
from tests.support.bridge_day import World

KEYS = ("lamp", "power", "pump", "cost")
PACES = {"lamp": 0.0, "power": 10.0, "pump": 0.0, "cost": 300.0}
waits_s = st.sampled_from([0.0, 0.05, 0.4, 1.0, 7.0, 61.0])
delays_s = st.sampled_from([0.0, 0.3, 5.0, 40.0])
steps = st.lists(st.tuples(waits_s, st.sampled_from(KEYS), st.integers(0, 9), delays_s), max_size=200)
Moves = list[tuple[float, str, int, float]]


def drive(moves: Moves, limit: int) -> tuple[Governor, Quota, list[float], dict[str, str], dict[str, str], float]:
    """Offer and take; each message is on its way for a while, arrives somewhere in it, and is acknowledged at its end."""
    quota = Quota(limit)
    governor = Governor(quota, PACES)
    now_s, answered_s = 0.0, 0.0
    arrivals: list[float] = []
    offered: dict[str, str] = {}
    shown: dict[str, str] = {}
    for wait_s, key, value, delay_s in moves:
        now_s = max(now_s + wait_s, answered_s)
        offered[key] = str(value)
        governor.offer(key, str(value), START, now_s)
        taken = governor.take(now_s)
        answered_s = now_s + delay_s
        for point, waiting in taken.items():
            arrivals.append(now_s + delay_s * (value / 10))
            shown[point] = waiting.value
            quota.end(governor.kind(point), answered_s)
    return governor, quota, arrivals, offered, shown, max(now_s, answered_s)


@given(steps, st.sampled_from([10, 30, 60]))
def test_no_minute_holds_more_than_the_limit(moves: Moves, limit: int) -> None:
    """Whatever is offered and however long messages are on their way, the cloud counts no more than the limit in any minute."""
    _, _, arrivals, _, _, _ = drive(moves, limit)
    assert busiest_minute(arrivals) <= limit


@given(steps)
def test_the_newest_value_wins(moves: Moves) -> None:
    """Once there is room, every feed shows the last value that was offered for it, and nothing waits."""
    governor, quota, _, offered, shown, now_s = drive(moves, 30)
    for _ in range(400):
        now_s += 5
        for key, waiting in governor.take(now_s).items():
            quota.end(governor.kind(key), now_s)
            shown[key] = waiting.value
    assert shown == offered
    assert governor.waiting == {}


@hypothesis.settings(max_examples=6)
@given(st.integers(1, 40), st.sampled_from([10, 30, 60]))
def test_nothing_starves(states: int, limit: int) -> None:
    """States that change all the time leave the slow values their tenth; every feed is heard of, the newest value each time."""
    paces = {f"relay-{number}": 0.0 for number in range(states)} | {"power": 10.0, "energy": 60.0, "cost": 300.0}
    quota = Quota(limit)
    governor = Governor(quota, paces)
    sent = dict.fromkeys(paces, 0)
    for second in range(1_200):
        for key in paces:
            governor.offer(key, str(second), START, second)
        for key, waiting in governor.take(second).items():
            assert waiting.value == str(second)
            quota.end(governor.kind(key), second)
            sent[key] += 1
    assert min(sent.values()) > 0
    slow = sum(sent[key] for key in ("power", "energy", "cost"))
    assert slow >= 19
    assert sent["power"] >= (1_200 / 60 if limit > 10 else 3)


def test_a_throttle_is_silence() -> None:
    """After a notice nothing goes for as long as it says, and less than before for a while."""
    quota = Quota(30)
    quota.throttled(21, 100)
    assert not any(quota.admits(kind, 121) for kind in Kind)
    assert quota.admits(Kind.STATE, 122.1)
    assert quota.limit(122.1) < 30
    assert quota.limit(122.1 + 3_600) == 30


def test_what_others_of_the_account_send_counts() -> None:
    """Adafruit itself says how much of the minute is used and what the limit is: both are believed."""
    quota = Quota(60)
    quota.learn(30, 29, 0)
    assert quota.limit(0) == 30
    assert not quota.admits(Kind.STATE, 1)
    assert quota.admits(Kind.STATE, 61)


def a_day(world: World, hours: float) -> Callable[[], None]:
    """Six relays that change now and then and sometimes all at once, a meter each 10 s, counters each minute, and people who press.

    Returns what switches one relay.
    """
    draw = random.Random(7)

    def measure() -> None:
        world.show("power", str(draw.randrange(3_000)))
        world.show("current", f"{draw.random() * 10:.2f}")
        world.show("voltage", f"{230 + draw.random() * 5:.1f}")

    def count() -> None:
        world.show("energy-today", f"{world.clock.seconds / 7e3:.2f}")
        world.show("cost-today", f"{world.clock.seconds / 3e4:.2f}")

    def switch() -> None:
        relay = draw.choice(world.relays)
        world.relay(relay, "OFF" if world.levels[relay] == "ON" else "ON")

    def all_at_once() -> None:
        level: Level = draw.choice(("ON", "OFF"))
        for relay in world.relays:
            world.relay(relay, level)

    def press() -> None:
        relay = draw.choice(world.relays)
        world.account.press(relay, "OFF" if world.levels[relay] == "ON" else "ON")

    def appliance() -> None:
        world.show("appliances", draw.choice(("nothing", "kettle", "fridge", "fridge, kettle")))

    repeated: tuple[tuple[float, Callable[[], None]], ...] = (
        (1, world.tick), (10, measure), (60, count), (97, switch), (1_801, all_at_once), (613, press), (311, appliance),
    )  # fmt: skip
    for seconds, what in repeated:
        world.every(seconds, what)
    world.connect()
    for relay in world.relays:
        world.later(2, partial(world.relay, relay, "OFF"))
    world.run(hours * 3_600)
    return switch


@pytest.mark.parametrize("limit", [30, pytest.param(60, marks=pytest.mark.long)])
def test_a_day_with_six_relays(limit: int) -> None:
    """A simulated day: never over the quota, no notice, no ban; a change is shown within 2 s at the median; all is right at last."""
    world = World(("bulb", "fridge", "heater", "pump", "fan", "lamp"), limit)
    world.refuses = lambda pressed: pressed.relay == "fridge"
    switch = a_day(world, 24)
    assert busiest_minute(world.account.arrivals) <= limit
    assert world.account.notices == []
    assert world.account.bans == []
    assert len(world.latencies_s) > 500
    assert statistics.median(world.latencies_s) <= 2
    assert max(world.latencies_s) <= 60
    assert {relay: world.account.shown(relay) for relay in world.relays} == world.levels
    assert len(world.commands) > 100
    power = [point.created_at for point in world.account.feeds["power"]]
    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(power)]
    assert statistics.median(gaps) <= 15
    assert max(gaps) <= 60
    # Then a quarter of an hour in which some relay changes each 0.7 s: the minute is full, and never too full.
    for change in range(1_285):
        world.later(0.7 * change, switch)
    world.run(1_000)
    assert limit * 0.7 < busiest_minute(world.account.arrivals) <= limit
    assert world.account.notices == []
    assert {relay: world.account.shown(relay) for relay in world.relays} == world.levels
