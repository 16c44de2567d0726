"""`hems notify` and `hems messages`, without a network."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from hems.contracts.catalog import APPLIANCE_EVENT
from services.notifier.command import messages, notify
from tests.support.notifier_stage import notifier, settings
from tests.unit.notifier.test_actor import GATHER_S, finished


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No hems.yaml and no environment of ours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEMS_CONFIG", raising=False)


def test_notify_says_what_an_account_needs() -> None:
    """Without an account it names the keys and the variable that are missing."""
    result = CliRunner().invoke(notify, ["--test", "+447700900123"])
    assert result.exit_code == 1
    assert "account_sid" in result.output
    assert "HEMS_NOTIFIER__TWILIO__AUTH_TOKEN" in result.output


def test_notify_refuses_what_is_no_number() -> None:
    """Before anything else is done."""
    result = CliRunner().invoke(notify, ["--test", "0770"])
    assert result.exit_code == 2
    assert "country code" in result.output


def test_messages_says_where_it_looked() -> None:
    """Where no notifier has run, it says what to start."""
    result = CliRunner().invoke(messages)
    assert result.exit_code == 1
    assert "hems up" in result.output


async def test_messages_shows_what_would_have_been_sent(tmp_path: Path) -> None:
    """Also while the notifier runs, and by the home's clock."""
    folder = tmp_path / "var" / "demo" / "homes" / "home"
    async with notifier(folder, settings(recipients={})) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(stage.clock.now()), appliance="washing_machine")
        await stage.clock.advance(GATHER_S)
        result = CliRunner().invoke(messages)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Mon 06 Jan 07:00  me  -  would send: Washing machine finished: 1 h 52 min, 0.9 kWh.")
