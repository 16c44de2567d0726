"""`hems adafruit setup` against an Adafruit IO that follows Adafruit's own description."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hems.actor.clock import WallClock
from services.bridge_adafruit.command import adafruit
from tests.support.adafruit_account import AdafruitAccount
from tests.support.adafruit_server import KEY, USERNAME, AdafruitServer, running_adafruit

RELAYS: tuple[str, ...] = ("bulb", "fridge", "heater", "pump", "fan", "lamp")


async def set_up(server: AdafruitServer, folder: Path, *options: str, key: str = KEY, more: str = "") -> Result:
    """Run the command with a hems.yaml of six relays."""
    allowed = {relay: "[local]" if relay == "fridge" else "[local, adafruit]" for relay in RELAYS}
    relays = ", ".join(f"{relay}: {{pin: {pin}, allow: {allowed[relay]}}}" for pin, relay in enumerate(RELAYS, 20))
    (folder / "hems.yaml").write_text(
        f"actuator: {{relays: {{{relays}}}}}\nbridge_adafruit: {{username: {USERNAME}, http: {{base_url: '{server.url}'}}{more}}}\n"
    )
    environment = {"HEMS_CONFIG": str(folder / "hems.yaml"), "HEMS_BRIDGE_ADAFRUIT__KEY": key}
    return await asyncio.to_thread(CliRunner().invoke, adafruit, ["setup", *options], env=environment)


def dashboard(server: AdafruitServer) -> dict[str, Any]:
    """The one dashboard that there should be."""
    (only,) = server.dashboards.values()
    return only


def names(server: AdafruitServer) -> list[str]:
    """Its blocks."""
    return [block["name"] for block in dashboard(server)["blocks"]]


async def test_a_new_account_gets_the_whole_dashboard(tmp_path: Path) -> None:
    """Ten feeds, the dashboard that the ancestor's users had, a place for each block on each screen; the rest is named as left out."""
    async with running_adafruit(AdafruitAccount(WallClock()), set_up=False) as server:
        result = await set_up(server, tmp_path)
        assert result.exit_code == 0, result.output
        assert list(server.account.feeds) == [
            "power", "energy-today", "current", "voltage", "cost-today", "appliances", "bulb", "heater", "pump", "fan",
        ]  # fmt: skip
        kinds = {block["name"]: block["visual_type"] for block in dashboard(server)["blocks"]}
        assert kinds["Home Power Usage"] == "line_chart"
        assert kinds["Energy today"] == kinds["Current"] == kinds["Cost today"] == "gauge"
        assert kinds["Appliances Status"] == "stream"
        assert kinds["Something runs"] == "indicator"
        assert [kinds[name] for name in ("Bulb", "Heater", "Pump", "Fan")] == ["toggle_button"] * 4
        ids = {str(block["id"]) for block in dashboard(server)["blocks"]}
        for screen in ("xl", "lg", "md", "sm", "xs"):
            assert {entry["i"] for entry in dashboard(server)["layouts"][screen]} == ids
        assert "Lamp, Fridge" in result.output
        assert f"/{USERNAME}/dashboards/home-energy" in result.output
        assert server.violations == []


async def test_a_relay_that_may_not_be_switched_from_there_gets_a_lamp(tmp_path: Path) -> None:
    """Its `allow` lists no adafruit: the state is shown, without a toggle that would only jump back."""
    async with running_adafruit(AdafruitAccount(WallClock()), set_up=False) as server:
        server.most_feeds = 20
        await set_up(server, tmp_path, more=", most_feeds: null")
        kinds = {block["name"]: block["visual_type"] for block in dashboard(server)["blocks"]}
        assert (kinds["Fridge"], kinds["Lamp"]) == ("indicator", "toggle_button")
        assert server.violations == []


async def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    """All is there: only reading, one dashboard, and it says so."""
    async with running_adafruit(AdafruitAccount(WallClock()), set_up=False) as server:
        await set_up(server, tmp_path)
        before = names(server)
        server.calls.clear()
        result = await set_up(server, tmp_path)
        assert "all is there already" in result.output
        assert server.changes() == []
        assert names(server) == before
        assert server.violations == []


async def test_what_was_deleted_or_bent_is_mended(tmp_path: Path) -> None:
    """A deleted block comes back with a place, a toggle with other values is put right, and blocks of people's own stay."""
    async with running_adafruit(AdafruitAccount(WallClock()), set_up=False) as server:
        await set_up(server, tmp_path)
        blocks = dashboard(server)["blocks"]
        whole = sorted(names(server))
        del blocks[2]
        next(block for block in blocks if block["name"] == "Bulb")["properties"]["onValue"] = "yes"
        next(block for block in blocks if block["name"] == "Current")["properties"]["maxValue"] = "32"
        blocks.append({"id": 7, "name": "My own", "visual_type": "text", "block_feeds": []})
        result = await set_up(server, tmp_path)
        assert result.exit_code == 0, result.output
        assert sorted(names(server)) == sorted([*whole, "My own"])
        assert next(block for block in blocks if block["name"] == "Bulb")["properties"]["onValue"] == "ON"
        assert next(block for block in blocks if block["name"] == "Current")["properties"]["maxValue"] == "32"
        ids = {str(block["id"]) for block in blocks} - {"7"}
        assert {entry["i"] for entry in dashboard(server)["layouts"]["xs"]} == ids
        assert server.violations == []


async def test_a_full_account_says_what_was_left_out(tmp_path: Path) -> None:
    """Seven feeds are others': three of ours fit, the rest is named, and no create is refused ten times."""
    async with running_adafruit(AdafruitAccount(WallClock()), set_up=False) as server:
        server.others = [f"garden-{number}" for number in range(7)]
        result = await set_up(server, tmp_path)
        assert result.exit_code == 0, result.output
        assert list(server.account.feeds) == ["power", "energy-today", "current"]
        assert "Voltage, Cost today, Appliances Status, Bulb" in result.output
        assert "7 of the account's are others'" in result.output
        assert "Bulb" not in names(server)
        assert server.violations == []


async def test_an_account_that_is_fuller_than_its_plan_says(tmp_path: Path) -> None:
    """The account refuses a feed that the settings had room for: nothing more is tried, and it is named."""
    async with running_adafruit(AdafruitAccount(WallClock()), set_up=False) as server:
        server.most_feeds = 4
        result = await set_up(server, tmp_path)
        assert result.exit_code == 0, result.output
        assert len(server.account.feeds) == 4
        assert len([call for call in server.calls if call == ("POST", "groups/home/feeds")]) == 5
        assert "Cost today" in result.output


async def test_no_room_for_a_dashboard_is_a_clear_sentence(tmp_path: Path) -> None:
    """Five dashboards are there already: exit 1, and what to do next."""
    async with running_adafruit(AdafruitAccount(WallClock()), set_up=False) as server:
        server.dashboards = {f"d{number}": {"key": f"d{number}", "name": "x", "blocks": []} for number in range(5)}
        result = await set_up(server, tmp_path)
        assert result.exit_code == 1
        assert "the account has 5 dashboards" in result.output
        assert "delete one" in result.output


async def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    """Each call that would be made is shown with its body; the account stays as it was."""
    async with running_adafruit(AdafruitAccount(WallClock()), set_up=False) as server:
        result = await set_up(server, tmp_path, "--dry-run")
        assert result.exit_code == 0, result.output
        assert server.changes() == []
        shown = [line.split(" ", 2) for line in result.output.splitlines() if line.startswith("POST ")]
        assert list(dict.fromkeys(path for _, path, _ in shown))[:4] == [
            "groups",
            "groups/home/feeds",
            "dashboards",
            "dashboards/home-energy/blocks",
        ]
        assert all(json.loads(body) for _, _, body in shown)


@pytest.mark.parametrize(
    ("key", "faults", "said"), [("wrong", [], "refuses the key"), (KEY, [500], "Run this again"), (KEY, [429], "Wait a minute")]
)
async def test_failures_say_what_to_do(tmp_path: Path, key: str, faults: list[int], said: str) -> None:
    """A wrong key, a cloud that fails and a throttle each end with status 1 and advice."""
    async with running_adafruit(AdafruitAccount(WallClock())) as server:
        server.faults.extend(faults)
        result = await set_up(server, tmp_path, key=key)
        assert result.exit_code == 1
        assert said in result.output


def test_without_an_account_it_says_how_to_get_one(tmp_path: Path) -> None:
    """No username: exit 1, and where to write it."""
    (tmp_path / "hems.yaml").write_text("home: {id: home}\n")
    result = CliRunner().invoke(adafruit, ["setup"], env={"HEMS_CONFIG": str(tmp_path / "hems.yaml")})
    assert result.exit_code == 1
    assert "HEMS_BRIDGE_ADAFRUIT__KEY_FILE" in result.output
