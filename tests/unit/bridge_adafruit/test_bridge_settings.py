"""The bridge's section, and what it decides of feeds and hooks."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hems.actor.configuration import Configuration
from services.bridge_adafruit.account import Account
from services.bridge_adafruit.domain.feeds import DEFAULTS, Running, relay_feed, written
from services.bridge_adafruit.domain.hooks import AskForLess, Mute, SwitchRelay
from services.bridge_adafruit.settings import BridgeAdafruitSettings, locked_of, relays_of

SECRET = "a secret of more than sixteen characters"


def settings(environment: dict[str, str] | None = None, **values: Any) -> BridgeAdafruitSettings:
    """A section."""
    return BridgeAdafruitSettings.read(values, environment or {})


def test_the_default_fits_the_free_plan() -> None:
    """Six feeds of the home, then relays until there are ten; the rest is named."""
    shown, left_out = settings().shown([f"relay_{number}" for number in range(6)])
    assert [feed.key for feed in shown[:6]] == ["power", "energy-today", "current", "voltage", "cost-today", "appliances"]
    assert [feed.key for feed in shown[6:]] == ["relay-0", "relay-1", "relay-2", "relay-3"]
    assert [feed.relay for feed in left_out] == ["relay_4", "relay_5"]
    assert len(settings(most_feeds=None).shown(["a"] * 20)[0]) == 7
    assert len(settings(orders="orders").shown([f"relay_{number}" for number in range(6)])[0]) == 9


def test_a_mapping_of_ones_own() -> None:
    """Topics and fields are named; a relay and the appliances are states, whatever is set."""
    feeds = {
        "watts": {"topic": "mains", "field": "power_w", "every_s": 5, "decimals": 1, "unit": "W", "most": 5_000},
        "kettle": {"topic": "appliance/kettle", "field": "running", "every_s": 0},
        "who": {"topic": "appliances"},
        "light": {"topic": "relay/bulb", "name": "The light"},
    }
    shown, _ = settings(feeds=feeds).shown(["bulb", "fan"])
    assert [(feed.key, feed.every_s, feed.relay) for feed in shown] == [
        ("watts", 5, None), ("kettle", 0, None), ("who", 0, None), ("light", 0, "bulb"), ("fan", 0, "fan"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"feeds": {"a": {"topic": "mains", "field": "watts"}}}, "has no field 'watts'; it has measured_at, power_w"),
        ({"feeds": {"a": {"topic": "main"}}}, "is one of mains, energy"),
        ({"feeds": {"a": {"topic": "energy/A B", "field": "today_kwh"}}}, "is one of mains"),
        ({"feeds": {"A_b": {"topic": "appliances"}}}, "should match pattern"),
        ({"feeds": {"a": {"topic": "appliances", "field": "x"}}}, "takes no field"),
        ({"username": "me"}, "HEMS_BRIDGE_ADAFRUIT__KEY"),
        ({"key": "aio_x"}, "no username"),
        ({"hooks": {"a": {"action": "mute", "for": "2h", "secret": "short"}}}, "openssl rand -hex 24"),
        ({"hooks": {"a": {"action": "relay", "relay": "bulb", "state": "MAYBE"}}}, "'ON', 'OFF' or 'TOGGLE'"),
        ({"hooks": {"a": {"action": "demand", "level": "high"}}}, "Field required"),
        ({"hooks": {"a b": {"action": "mute", "for": "2h"}}}, "should match pattern"),
        ({"points_per_minute": 3}, "greater than or equal to 10"),
    ],
)
def test_mistakes_are_named(values: dict[str, Any], said: str) -> None:
    """Each mistake has a sentence that says what to write in its place."""
    with pytest.raises(ValidationError) as caught:
        settings(**values)
    assert said in str(caught.value)


def test_hooks_get_their_secrets_from_the_environment_or_a_file(tmp_path: Path) -> None:
    """A shell can't write `-` in a name: `_` stands for it. A hook without a secret stays shut."""
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    hooks = {
        "good-night": {"action": "relay", "relay": "bulb", "state": False},
        "quiet": {"action": "mute", "for": "2h", "secret_file": str(tmp_path / "secret")},
        "grid": {"action": "demand", "level": "high", "for": "30min"},
    }
    chosen = settings({"HEMS_BRIDGE_ADAFRUIT__HOOKS__GOOD_NIGHT__SECRET": SECRET}, hooks=hooks)
    opened = chosen.opened()
    assert {name: hook.action for name, hook in opened.items()} == {"good-night": SwitchRelay("bulb", "OFF"), "quiet": Mute(7_200)}
    assert chosen.actions()["grid"] == AskForLess("high", 1_800)


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """The message names the hook and the file."""
    chosen = settings(hooks={"quiet": {"action": "mute", "for": "2h", "secret_file": str(tmp_path / "none")}})
    with pytest.raises(ValueError, match=r"hooks\.quiet: the file .*none can't be read"):
        chosen.opened()


def test_secrets_are_not_shown() -> None:
    """Neither the settings nor the account print the key."""
    chosen = settings(username="me", key="aio_plant3d", hooks={"q": {"action": "mute", "for": "1h", "secret": SECRET}})
    account = Account.of(chosen)
    assert account is not None
    assert "plant3d" not in f"{chosen!r} {account!r}"
    assert SECRET not in repr(chosen)


def test_the_homes_relays_are_the_actuators(tmp_path: Path) -> None:
    """Their names are read from where they are written once; no actuator means none."""
    (tmp_path / "hems.yaml").write_text("actuator: {relays: {bulb: {pin: 22, allow: [local]}, fridge: {pin: 23, allow: [adafruit]}}}\n")
    configuration = Configuration.load(tmp_path / "hems.yaml")
    assert relays_of(configuration) == ("bulb", "fridge")
    assert locked_of(configuration) == {"bulb"}
    shown, _ = settings(feeds={}).shown(relays_of(configuration), locked_of(configuration))
    assert [(feed.relay, feed.locked) for feed in shown] == [("fridge", False), ("bulb", True)]
    (tmp_path / "none.yaml").write_text("actuator: {relays: 3}\n")
    assert relays_of(Configuration.load(tmp_path / "none.yaml")) == ()


def test_values_are_written_as_people_read_them() -> None:
    """Rounded, without a minus zero; a missing value is none; the appliances are a list in words."""
    power, cost = DEFAULTS[0], DEFAULTS[4]
    assert [written(power, value) for value in (423.4, -0.2, None, True)] == ["423", "0", None, "1"]
    assert written(cost, 1.005) in ("1.00", "1.01")
    assert len(written(power, "x" * 1_000) or "") == 200
    running = Running()
    assert running.hear("kettle", running=False) == "nothing"
    assert running.hear("washing_machine", running=True) == "washing machine"
    assert running.hear("kettle", running=True) == "kettle, washing machine"
    assert relay_feed("garden_pump").key == "garden-pump"
