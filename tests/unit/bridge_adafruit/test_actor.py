"""The bridge between a home in memory and an Adafruit IO in memory."""

import asyncio
from itertools import pairwise
from pathlib import Path

from hems.contracts.catalog import ALERT, SERVICE_HEALTH, SERVICE_STATUS
from hems.testing.clocks import ManualClock
from hems.testing.harness import on_stage
from services.bridge_adafruit.actor import BridgeAdafruit
from services.bridge_adafruit.domain.feeds import DEFAULTS
from services.bridge_adafruit.settings import BridgeAdafruitSettings
from tests.support.adafruit_account import AdafruitAccount, Held, busiest_minute
from tests.support.bridge_stage import bridge, settings
from tests.support.waiting import until


async def test_the_home_is_shown(tmp_path: Path) -> None:
    """Power, appliances and relays reach their feeds, states within a second."""
    async with bridge(tmp_path, "bulb") as home:
        await home.clock.advance(6)
        await home.mains(423.4, voltage_v=231.26, current_a=1.9)
        await home.appliance("kettle", running=True)
        await home.appliance("washing_machine", running=True)
        await home.relay("bulb", "ON")
        await home.clock.advance(1)
        assert home.account.last_values() == {
            "power": "423", "voltage": "231.3", "current": "1.90", "appliances": "kettle, washing machine", "bulb": "ON",
        }  # fmt: skip


async def test_a_toggle_switches_the_relay(tmp_path: Path) -> None:
    """A press becomes one command with an id and an expiry; our own echo of the new state is no command."""
    async with bridge(tmp_path, "bulb") as home:
        await home.relay("bulb", "OFF")
        await home.clock.advance(8)
        await home.press("bulb", "ON")
        ((relay, command),) = home.commands()
        assert (relay, command.state) == ("bulb", "ON")
        assert command.id
        assert command.issued_at == home.clock.now()
        assert command.expires_at is not None
        assert 0 < (command.expires_at - home.clock.now()).total_seconds() <= 15
        await home.result("bulb", command, accepted=True)
        await home.relay("bulb", "ON")
        await home.clock.advance(60)
        assert len(home.commands()) == 1
        assert home.held("bulb") == ["OFF", "ON"]


async def test_a_refused_toggle_goes_back(tmp_path: Path) -> None:
    """The actuator refuses: the feed shows the relay's state again within a second, and nothing more is asked."""
    async with bridge(tmp_path, "fridge") as home:
        await home.relay("fridge", "ON")
        await home.clock.advance(8)
        await home.press("fridge", "OFF")
        ((_, command),) = home.commands()
        await home.result("fridge", command, accepted=False, reason="adafruit may not switch this relay")
        await home.clock.advance(1)
        assert home.held("fridge") == ["ON", "OFF", "ON"]
        await home.clock.advance(30)
        assert len(home.commands()) == 1


async def test_a_toggle_without_an_answer_goes_back(tmp_path: Path) -> None:
    """No actuator answers: after the command's expiry the toggle shows the relay's state."""
    async with bridge(tmp_path, "bulb") as home:
        await home.relay("bulb", "OFF")
        await home.clock.advance(8)
        await home.press("bulb", "ON")
        await home.clock.advance(9)
        assert home.shown("bulb") == "ON"
        await home.clock.advance(6)
        assert home.shown("bulb") == "OFF"


async def test_a_toggle_without_the_homes_broker_goes_back(tmp_path: Path) -> None:
    """While the home's broker is away nothing is asked, not even when it is back; the toggle goes back at once."""
    async with bridge(tmp_path, "bulb") as home:
        await home.relay("bulb", "OFF")
        await home.clock.advance(8)
        home.stage.broker.kill()
        await home.clock.advance(1)
        await home.press("bulb", "ON")
        await home.clock.advance(2)
        assert home.shown("bulb") == "OFF"
        home.stage.broker.start()
        await home.clock.advance(60)
        assert home.commands() == []


async def test_last_values_never_switch(tmp_path: Path) -> None:
    """What a feed holds at the start shows a state and switches nothing; the feed is then put right."""
    clock = ManualClock()
    account = AdafruitAccount(clock, feeds={"bulb": [Held(clock.now(), "ON")]})
    async with bridge(tmp_path, "bulb", account=account) as home:
        await home.relay("bulb", "OFF")
        await home.clock.advance(30)
        assert home.commands() == []
        assert home.shown("bulb") == "OFF"


async def test_a_toggle_pressed_during_an_outage_is_not_replayed(tmp_path: Path) -> None:
    """The bridge was away when somebody pressed: on its return the relay stays, and the toggle goes back."""
    async with bridge(tmp_path, "bulb") as home:
        await home.relay("bulb", "OFF")
        await home.clock.advance(8)
        home.cloud.outage()
        await home.clock.advance(30)
        home.account.press("bulb", "ON")
        home.account.away = False
        await home.clock.advance(120)
        assert home.commands() == []
        assert home.shown("bulb") == "OFF"


async def test_a_word_that_is_no_level_goes_back(tmp_path: Path) -> None:
    """A voice that writes nonsense switches nothing; it is counted, and the toggle shows the truth."""
    async with bridge(tmp_path, "bulb") as home:
        await home.relay("bulb", "OFF")
        await home.clock.advance(8)
        await home.press("bulb", "maybe")
        await home.clock.advance(2)
        assert home.commands() == []
        assert home.shown("bulb") == "OFF"


async def test_a_throttled_value_is_said_again(tmp_path: Path) -> None:
    """A state that the cloud threw away is said again when the throttle is over, once."""
    async with bridge(tmp_path, "bulb") as home:
        await home.relay("bulb", "OFF")
        await home.clock.advance(8)
        home.account.throws_away = 1
        await home.relay("bulb", "ON")
        await home.clock.advance(3)
        assert home.shown("bulb") == "OFF"
        await home.clock.advance(70)
        assert home.held("bulb") == ["OFF", "ON"]
        assert home.account.bans == []


async def test_a_ban_is_sat_out(tmp_path: Path) -> None:
    """Somebody else had the account banned: nobody tries to connect before the ban is over, then the state is right."""
    async with bridge(tmp_path, "bulb") as home:
        await home.relay("bulb", "OFF")
        await home.clock.advance(8)
        home.account.ban()
        began_s = home.clock.monotonic()
        await home.relay("bulb", "ON")
        await home.clock.advance(90)
        assert home.shown("bulb") == "ON"
        assert not [login_s for login_s in home.cloud.logins if began_s < login_s < began_s + 30]


async def test_an_outage_is_filled_in(tmp_path: Path) -> None:
    """Six hours without the cloud, the home's broker killed in the middle: then the state is shown, and the gap is filled in, once."""
    async with bridge(tmp_path, "bulb") as home:
        await home.relay("bulb", "OFF")
        await home.mains(100)
        await home.clock.advance(10)
        home.cloud.outage()
        await home.clock.advance(2)
        left_s = home.clock.monotonic()
        for minute in range(360):
            if minute == 180:
                home.stage.broker.kill(forget_sessions=True)
                await home.clock.advance(1)
                home.stage.broker.start()
                await until(lambda: [status.online for _, status in home.stage.said(SERVICE_STATUS)].count(True) == 2)
            await home.mains(1_000 + minute)
            await home.clock.advance(60)
        await home.relay("bulb", "ON")
        home.account.away = False
        await home.clock.advance(320)
        await home.mains(77)
        await home.clock.advance(11)
        assert (home.shown("bulb"), home.shown("power")) == ("ON", "77")
        await home.clock.advance(1_200)
        power = home.account.feeds["power"]
        gap = [point for point in power if 1_000 <= int(point.value) < 1_360]
        assert 30 <= len(gap) <= 60
        assert len({point.created_at for point in power}) == len(power)
        assert len({point.value for point in gap}) == len(gap)
        longest = max((after.created_at - before.created_at).total_seconds() for before, after in pairwise(gap))
        assert longest < 1_500
        assert busiest_minute(home.account.arrivals) <= 30
        assert home.account.bans == []
        # While it is away, a login every five minutes is enough.
        assert len([login_s for login_s in home.cloud.logins if login_s > left_s]) < 90


async def test_a_lost_answer_fills_nothing_in_twice(tmp_path: Path) -> None:
    """The batch arrived and its answer did not: the API is asked what is there, and the rest alone is sent."""
    async with bridge(tmp_path) as home:
        await home.mains(100)
        await home.clock.advance(10)
        home.cloud.outage()
        for minute in range(20):
            await home.mains(1_000 + minute)
            await home.clock.advance(60)
        home.cloud.loses_answers = 2
        home.account.away = False
        await home.clock.advance(900)
        values = [value for value in home.held("power") if int(value) >= 1_000]
        assert len(values) >= 19
        assert len(set(values)) == len(values)


async def test_the_gap_survives_a_restart(tmp_path: Path) -> None:
    """The service ends during an outage: the next one fills in what the first had kept."""
    clock = ManualClock()
    account = AdafruitAccount(clock)
    async with bridge(tmp_path, account=account) as home:
        await home.clock.advance(6)
        home.cloud.outage()
        for minute in range(10):
            await home.mains(1_000 + minute)
            await home.clock.advance(60)
    account.away = False
    async with bridge(tmp_path, account=account) as home:
        await home.clock.advance(300)
        assert [value for value in home.held("power") if value != "1009"][:9] == [str(1_000 + minute) for minute in range(9)]


async def test_missing_feeds_are_named(tmp_path: Path) -> None:
    """Before `hems adafruit setup` nothing is said to the account, and the health message says what to do."""
    async with bridge(tmp_path, without=[feed.key for feed in DEFAULTS]) as home:
        await home.mains(100)
        await home.clock.advance(70)
        health = home.stage.said(SERVICE_HEALTH)[-1][1]
        assert health.blind is not None
        assert "hems adafruit setup" in health.blind
        assert home.account.notices == []
        home.account.feeds["power"] = []
        await home.clock.advance(130)
        await home.mains(200)
        await home.clock.advance(1)
        assert home.shown("power") == "200"


async def test_without_an_account_it_stays_off(tmp_path: Path) -> None:
    """No username: the service runs, says nothing anywhere, and takes what comes."""
    clock = ManualClock()
    off = BridgeAdafruitSettings.read({}, {})
    async with on_stage("bridge_adafruit", lambda context: BridgeAdafruit(off, context), tmp_path, clock=clock) as stage:
        await clock.advance(10)
        assert not stage.task.done()


async def test_orders_do_what_the_hook_of_that_name_does(tmp_path: Path) -> None:
    """The feed of orders takes a hook's name from a voice; a last value, or an unknown name, does nothing."""
    hooks = {"good-night": {"action": "relay", "relay": "bulb", "state": "OFF", "for": "8h"}}
    clock = ManualClock()
    account = AdafruitAccount(clock, feeds={"orders": [Held(clock.now(), "good-night")]})
    async with bridge(tmp_path, "bulb", chosen=settings(hooks=hooks, orders="orders"), account=account) as home:
        await home.relay("bulb", "ON")
        await home.clock.advance(8)
        assert home.commands() == []
        await home.press("orders", "good-night")
        await home.press("orders", "open-the-door")
        ((relay, command),) = home.commands()
        assert (relay, command.state, command.for_s) == ("bulb", "OFF", 8 * 3_600)


async def test_a_second_thought_counts(tmp_path: Path) -> None:
    """ON, and OFF before the first has an answer: both are asked, and the relay ends as it was wanted last."""
    async with bridge(tmp_path, "bulb") as home:
        await home.relay("bulb", "OFF")
        await home.clock.advance(8)
        await home.press("bulb", "ON")
        await home.press("bulb", "OFF")
        assert [command.state for _, command in home.commands()] == ["ON", "OFF"]
        for (_, command), level in zip(home.commands(), ("ON", "OFF"), strict=True):
            await home.result("bulb", command, accepted=True)
            await home.relay("bulb", "ON" if level == "ON" else "OFF")
        await home.clock.advance(30)
        assert home.shown("bulb") == "OFF"
        assert len(home.commands()) == 2


async def test_a_refused_key_is_alerted_once_and_not_tried_often(tmp_path: Path) -> None:
    """The key is wrong: an alert and the health message say so, and there are few attempts; a right one is found later."""
    clock = ManualClock()
    async with bridge(tmp_path, account=AdafruitAccount(clock, knows_key=False)) as home:
        await home.clock.advance(1_500)
        assert [alert.rule for _, alert in home.stage.said(ALERT)] == ["adafruit.key"]
        health = home.stage.said(SERVICE_HEALTH)[-1][1]
        assert health.blind is not None
        assert "key_file" in health.blind
        assert home.cloud.logins == []
        home.account.knows_key = True
        await home.clock.advance(700)
        await home.mains(5)
        await home.clock.advance(1)
        assert home.shown("power") == "5"


async def test_complaints_never_become_a_ban(tmp_path: Path) -> None:
    """A feed is deleted while the bridge runs: it is tried again at most three times a minute, far from ten failures."""
    async with bridge(tmp_path, "bulb") as home:
        await home.clock.advance(8)
        del home.account.feeds["bulb"]
        for second in range(120):
            await home.relay("bulb", "ON" if second % 2 else "OFF")
            await home.clock.advance(1)
        assert 1 <= len(home.account.notices) <= 7


async def test_the_api_alone_may_be_away(tmp_path: Path) -> None:
    """The HTTP API fails while the broker serves: once the feeds are known, the home is shown all the same."""
    async with bridge(tmp_path, "bulb") as home:
        await home.clock.advance(8)
        home.cloud.api_away = True
        home.cloud.connections[0].break_off()
        await home.clock.advance(40)
        await home.relay("bulb", "ON")
        await home.clock.advance(1)
        assert home.shown("bulb") == "ON"


async def test_the_quota_is_in_the_health_message(tmp_path: Path) -> None:
    """Points used, what waits and what was left out can be read there."""
    async with bridge(tmp_path, "bulb") as home:
        await home.relay("bulb", "ON")
        for watts in range(30):
            await home.mains(watts)
            await home.clock.advance(1)
        await asyncio.sleep(0)
        home.stage.broker.kill()
        home.stage.broker.start()
        await until(lambda: len(home.stage.said(SERVICE_HEALTH)) > 1)
        health = home.stage.said(SERVICE_HEALTH)[-1][1]
        assert health.gauges["quota_points_per_minute"] == 30
        assert 3 <= health.gauges["quota_points_used"] <= 30
        assert {"feeds_waiting", "gap_points_waiting"} <= health.gauges.keys()
        assert health.work["points_sent"] >= 3
        assert health.work["points_coalesced"] >= 10
