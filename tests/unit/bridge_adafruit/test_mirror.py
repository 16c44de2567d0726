"""The mirror under random histories: nothing but a press switches, and in the end all is shown as it is."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.testing.clocks import START
from services.bridge_adafruit.domain.echoes import Echoes
from services.bridge_adafruit.domain.feeds import DEFAULTS, fitting
from services.bridge_adafruit.domain.instant import Instant
from services.bridge_adafruit.domain.mirror import Mirror, Ordered, Pressed
from services.bridge_adafruit.domain.quota import Quota
from services.bridge_adafruit.domain.toggles import read_level
from tests.support.bridge_day import World

RELAYS = ("bulb", "fridge")
relays = st.sampled_from(RELAYS)
levels = st.sampled_from(["ON", "OFF"])
moves = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.5, 2.0, 15.0, 70.0])),
    st.tuples(st.just("relay"), relays, levels),
    st.tuples(st.just("press"), relays, levels),
    st.tuples(st.just("drop"), st.sampled_from([0.0, 1.0, 40.0, 400.0])),
    st.tuples(st.just("throttle")),
    st.tuples(st.just("show"), st.sampled_from(["power", "appliances"]), st.integers(0, 3)),
    st.tuples(st.just("mind"), st.booleans()),
)


class History:
    """Plays moves, and notes what people pressed."""

    def __init__(self) -> None:
        self.world = World(RELAYS, 30)
        self.pressed: list[tuple[float, str, str]] = []
        self._throttled_s = float("-inf")
        self.world.every(1, self.world.tick)
        for relay in RELAYS:
            self.world.relay(relay, "OFF")
        self.world.connect()
        self.world.run(2)

    def play(self, move: tuple[Any, ...]) -> None:
        """One move."""
        match move:
            case ("wait", seconds):
                self.world.run(seconds)
            case ("relay", relay, level):
                self.world.relay(relay, level)
            case ("press", relay, level):
                if self.world.account.press(relay, level):
                    self.pressed.append((self.world.clock.seconds, relay, level))
            case ("drop", seconds):
                self.world.drop()
                self.world.run(seconds)
                self.world.connect()
            case ("throttle",):
                if self.world.clock.seconds - self._throttled_s > 70:  # more in a row would be a ban
                    self._throttled_s = self.world.clock.seconds
                    self.world.account.throws_away = 1
            case ("show", key, value):
                self.world.show(key, str(value))
            case _:
                self.world.refuses = lambda _: move[1]
        self.world.speak()
        self.account_for_commands()

    def account_for_commands(self) -> None:
        """Each command is one press of the last moment, and no press is two."""
        while self.world.commands:
            asked_s, command = self.world.commands.pop(0)
            lately = [press for press in self.pressed if press[1:] == (command.relay, command.level) and asked_s - press[0] <= 1]
            assert lately, f"{command} at {asked_s} was not pressed"
            self.pressed.remove(lately[0])


@given(st.lists(moves, max_size=60))
def test_only_presses_switch_and_the_end_is_right(history: list[tuple[Any, ...]]) -> None:
    """Whatever happens: echoes, last values, outages and throttles command nothing; after a quiet while every feed shows the truth."""
    played = History()
    for move in history:
        played.play(move)
    world = played.world
    world.account.throws_away = 0
    world.run(400)
    played.account_for_commands()
    assert {relay: world.account.shown(relay) for relay in RELAYS} == world.levels
    assert world.account.bans == []


def instant(seconds: float) -> Instant:
    """So many seconds after the start."""
    return Instant(START + timedelta(seconds=seconds), seconds)


def connected(*, orders: str | None = None) -> Mirror:
    """A mirror with one relay that is OFF, and a connection whose last values have come."""
    feeds, _ = fitting(DEFAULTS, ("bulb",), None)
    mirror = Mirror(feeds, Quota(30), 60, orders)
    mirror.exist([feed.key for feed in feeds])
    mirror.see("bulb", "OFF", instant(0).at, instant(0))
    mirror.connected(instant(0))
    mirror.incoming({"bulb": "OFF", "power": "1"}, instant(1))
    return mirror


def test_one_value_alone_is_a_press_and_many_are_not() -> None:
    """A toggle sends one feed; several together are last values that came late, or somebody's script."""
    assert connected().incoming({"bulb": "ON"}, instant(10)) == [Pressed("bulb", "ON")]
    assert connected().incoming({"bulb": "ON", "power": "1"}, instant(10)) == []
    assert connected(orders="orders").incoming({"orders": " good-night "}, instant(10)) == [Ordered("good-night")]
    assert connected(orders="orders").incoming({"orders": "good-night", "power": "1"}, instant(10)) == []


def test_what_waited_while_the_program_stood_still_is_no_press() -> None:
    """A frozen bridge finds old toggles in its socket: they show, the toggle goes back, and nothing switches."""
    mirror = connected()
    assert mirror.incoming({"bulb": "ON"}, instant(10), awake=False) == []
    assert mirror.due(instant(10)) == {"bulb": "OFF"}


def test_an_echo_that_comes_late_is_no_press() -> None:
    """The relay changed twice; both echoes come half a minute later and command nothing."""
    mirror = connected()
    for seconds, level in ((10, "ON"), (11, "OFF")):
        mirror.see("bulb", "ON" if level == "ON" else "OFF", instant(seconds).at, instant(seconds))
        assert mirror.due(instant(seconds)) == {"bulb": level}
        mirror.acknowledged({"bulb": level}, instant(seconds))
    assert mirror.incoming({"bulb": "ON"}, instant(39)) == []
    assert mirror.incoming({"bulb": "OFF"}, instant(39.5)) == []
    assert mirror.due(instant(41)) in ({}, {"bulb": "OFF"})


def test_a_value_that_outlived_its_connection_is_no_press() -> None:
    """It was on its way when the connection broke, and comes back over the next one, when the relay stands elsewhere."""
    mirror = connected()
    mirror.see("bulb", "ON", instant(10).at, instant(10))
    said = mirror.due(instant(10))
    mirror.unsure(said, instant(11))
    mirror.disconnected()
    mirror.see("bulb", "OFF", instant(12).at, instant(12))
    mirror.connected(instant(13))
    mirror.incoming({"bulb": "OFF", "power": "1"}, instant(14))
    assert mirror.incoming({"bulb": "ON"}, instant(15)) == []
    assert mirror.due(instant(15)) == {"bulb": "OFF"}


def test_a_cloud_without_echoes_costs_no_memory() -> None:
    """Nothing ever comes back: what is waited for does not pile up, and nothing is said twice."""
    echoes = Echoes()
    for second in range(1_000):
        echoes.expect("bulb", str(second), second)
        assert echoes.missed(second) == set()
    assert len(vars(echoes)["_waiting"]["bulb"]) <= 30


def test_an_old_reading_is_not_shown_as_now() -> None:
    """A reading of three minutes ago is dropped; one that waited too long is filled in with its own time."""
    mirror = connected()
    mirror.hear("power", "77", instant(0).at, instant(200))
    assert mirror.due(instant(200)) == {}
    mirror.hear("power", "78", instant(195).at, instant(200))
    mirror.quota.pause(180, 200)
    assert mirror.due(instant(300)) == {}
    assert mirror.due(instant(390)) == {}
    assert [(point.value, point.at) for point in mirror.gap.state.points["power"]] == [("78", instant(195).at)]


@pytest.mark.parametrize(
    ("text", "level"),
    [("ON", "ON"), ("on", "ON"), (" 1 ", "ON"), ('"OFF"', "OFF"), ("0", "OFF"), ("true", "ON"), ("", None), ("2", None), ("of", None)],
)
def test_levels_as_voices_and_toggles_write_them(text: str, level: str | None) -> None:
    """ON, on, 1 and true are one thing; what is neither on nor off is nothing."""
    assert read_level(text) == level
