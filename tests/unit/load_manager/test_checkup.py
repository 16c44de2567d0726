"""What the doctor says of loads whose relays would not follow."""

from typing import Any

import pytest
import yaml

from hems.actor.configuration import Configuration
from hems.setting_up.checkup import HomeSeen
from services.load_manager.checkup import check

_LOADS: dict[str, Any] = {"sheddable": {"heater": {}}}


async def _said(actuator: str, load_manager: dict[str, Any] | None = None) -> list[str]:
    sections: dict[str, Any] = {"actuator": yaml.safe_load(actuator), "load_manager": load_manager or _LOADS}
    return [f"{finding.verdict}: {finding.says}" for finding in await check(HomeSeen(Configuration("hems.yaml", sections, {}), None, 0))]


@pytest.mark.parametrize(
    ("actuator", "says"),
    [
        ("relays: {heater: {allow: [local, load_manager]}}", "ok: the relays of heater allow the load manager"),
        ("relays: {heater: {safe: on, resting: on, allow: [load_manager]}}", "ok: the relays of heater allow the load manager"),
        ("relays: {heater: {safe: off, resting: off, allow: [load_manager]}}", "look: heater stays off if the load manager ends"),
        ("relays: {heater: {resting: last}}", "look: heater refuses the load manager"),
        ("relays: {heater: null}", "look: heater refuses the load manager"),
        ("relays: {lamp: {}}", "look: there is no relay heater"),
        ("relays: nonsense", "look: there is no relay heater"),
        ("{}", "look: there is no relay heater"),
    ],
)
async def test_a_relay_that_would_not_follow_is_found(actuator: str, says: str) -> None:
    """One that refuses the load manager, does not exist, or would stay off for good after a crash."""
    (said,) = await _said(actuator)
    assert said.startswith(says)


async def test_a_scheduled_relay_may_rest_off() -> None:
    """A schedule's end is meant to switch it off; nothing to look at is said so, too."""
    schedules = {"schedules": [{"relay": "lamp", "on": "20:00", "for": "2h"}]}
    assert await _said("relays: {lamp: {resting: off, allow: [load_manager]}}", schedules) == [
        "ok: the relays of lamp allow the load manager"
    ]
    assert await _said("relays: {}", {"stagger_s": 5}) == ["left out: none is held back or switched by a schedule"]
    assert (await _said("relays: {}", {"stagger_s": -5}))[0].startswith("left out: the configuration")


async def test_an_operator_is_not_asked_in_the_clear() -> None:
    """Save on this very computer, where a test server may stand."""
    found = {
        url: await _said("{}", {"openadr": {"vtn_url": url}})
        for url in ("http://vtn.example/x", "https://vtn.example/x", "http://localhost:8080")
    }
    assert [len(said) for said in found.values()] == [2, 1, 1]
    assert found["http://vtn.example/x"][1].startswith("look: vtn.example is asked over http")
