"""The doctor's look at Adafruit IO and Twilio, and the setup's step for the first, against servers that follow their descriptions."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from hems.actor.clock import WallClock
from hems.actor.configuration import Configuration
from hems.setting_up.checkup import HomeSeen
from hems.setting_up.configuration_file import ConfigurationFile
from hems.setting_up.findings import Finding
from services.bridge_adafruit.checkup import check as check_adafruit
from services.notifier.checkup import check as check_twilio
from services.setup.adafruit import ask as ask_adafruit
from tests.support.adafruit_account import AdafruitAccount
from tests.support.adafruit_server import KEY, USERNAME, running_adafruit
from tests.support.broker import free_port
from tests.support.conversation import Scripted


def seen(section: str, values: dict[str, Any]) -> HomeSeen:
    """A home with one section."""
    return HomeSeen(Configuration("hems.yaml", {section: values}, {}), None, 1)


async def adafruit(url: str, key: str = KEY) -> Finding:
    """Look at an account there."""
    (finding,) = await check_adafruit(seen("bridge_adafruit", {"username": USERNAME, "key": key, "http": {"base_url": url}}))
    return finding


async def test_adafruit_is_reached_or_not() -> None:
    """The right key, a wrong one, and nobody there."""
    async with running_adafruit(AdafruitAccount(WallClock())) as server:
        assert (await adafruit(server.url)).verdict == "ok"
        assert (await adafruit(server.url, "aio_wrong")).says == "Adafruit IO refuses the key"
    gone = await adafruit(server.url)
    assert gone.verdict == "look"
    assert "can't be reached" in gone.says


async def test_clouds_that_are_not_used_are_left_out() -> None:
    """No account is no fault."""
    assert [finding.verdict for finding in await check_adafruit(seen("bridge_adafruit", {}))] == ["left out"]
    assert [finding.verdict for finding in await check_twilio(seen("notifier", {}))] == ["left out"]


async def test_twilio_that_nobody_answers_for() -> None:
    """A network that is down is told apart from a wrong token."""
    account = {
        "account_sid": "AC" + "0" * 32,
        "auth_token": "x",
        "from_number": "+447700900123",
        "base_url": f"http://127.0.0.1:{free_port()}",
    }
    first, _ = await check_twilio(seen("notifier", {"twilio": account}))
    assert "can't be reached" in first.says


@pytest.mark.long
async def test_the_setup_shows_what_it_would_do_at_adafruit(tmp_path: Path) -> None:
    """The key goes into a file of its own, the dry run is shown, and nothing is changed there."""
    path = tmp_path / "hems.yaml"
    async with running_adafruit(AdafruitAccount(WallClock()), set_up=False) as server:
        path.write_text(
            yaml.safe_dump({"storage": {"directory": str(tmp_path / "var")}, "bridge_adafruit": {"http": {"base_url": server.url}}})
        )
        talk = Scripted({"Shall the home": "yes", "Username": USERNAME, "Key": KEY})
        await asyncio.to_thread(ask_adafruit, talk, ConfigurationFile(path))
        assert server.changes() == []
    assert "Run `hems adafruit setup` to do it." in talk.text, talk.text
    assert KEY not in path.read_text()
    assert (tmp_path / "var/secrets/adafruit_key").stat().st_mode & 0o777 == 0o600
