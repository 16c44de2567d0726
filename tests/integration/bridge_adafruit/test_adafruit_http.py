"""The HTTP API's client against a server that follows Adafruit's own description."""

import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest

from hems.actor.clock import WallClock
from services.bridge_adafruit.account import Account
from services.bridge_adafruit.adafruit_http import AdafruitHttp
from services.bridge_adafruit.cloud import ApiRefused, ApiSilent
from services.bridge_adafruit.domain.gap import Batch, Point
from services.bridge_adafruit.settings import BridgeAdafruitSettings
from tests.support.adafruit_account import AdafruitAccount
from tests.support.adafruit_server import KEY, USERNAME, AdafruitServer, running_adafruit

NOON = datetime(2025, 1, 6, 12, 0, 0, tzinfo=UTC)
BATCH = Batch("power", tuple(Point(NOON + timedelta(seconds=10 * number, microseconds=7), str(number)) for number in range(3)))


@contextlib.asynccontextmanager
async def api(*, key: str = KEY, limit: int = 30, set_up: bool = True) -> AsyncGenerator[tuple[AdafruitHttp, AdafruitServer]]:
    """A client, and the server that it speaks to."""
    account = AdafruitAccount(WallClock(), limit=limit, feeds={"power": [], "bulb": []})
    async with running_adafruit(account, set_up=set_up) as server:
        values = {"username": USERNAME, "key": key, "http": {"base_url": server.url, "timeout_s": 5}}
        known = Account.of(BridgeAdafruitSettings.read(values, {}))
        assert known is not None
        client = AdafruitHttp(known)
        async with client.opened():
            yield client, server


async def test_a_gap_is_filled_and_found_again() -> None:
    """Points go with times of their own, and the feed tells which are there: each call as described."""
    async with api() as (client, server):
        await client.fill(BATCH)
        assert [(point.created_at, point.value) for point in server.account.feeds["power"]] == [
            (NOON + timedelta(seconds=10 * number), str(number)) for number in range(3)
        ]
        assert await client.times("power", NOON, NOON + timedelta(seconds=10)) == {NOON, NOON + timedelta(seconds=10)}
        assert await client.last_values() == {"power": "2", "bulb": None}
        assert await client.rate() == (30, 3)
        assert server.violations == []


async def test_both_forms_of_a_batch_are_known() -> None:
    """Where the bare list of the description is refused, the form of Adafruit's own clients is taken, and kept to."""
    async with api() as (client, server):
        server.wraps = True
        await client.fill(BATCH)
        await client.fill(BATCH)
        assert len(server.account.feeds["power"]) == 6
        assert len(server.changes()) == 3


async def test_a_throttle_says_when_to_come_back() -> None:
    """The account is full: 429, and the seconds of its sentence."""
    async with api(limit=2) as (client, server):
        with pytest.raises(ApiRefused) as caught:
            await client.fill(BATCH)
        assert (caught.value.status, caught.value.retry_after_s) == (429, 7)
        assert server.account.feeds["power"] == []


async def test_refusals_and_silence_are_told_apart() -> None:
    """A wrong key and a missing group are answers; a failing or vanished server is none; the key is in no message."""
    async with api(key="wrong") as (client, _):
        with pytest.raises(ApiRefused) as caught:
            await client.rate()
        assert caught.value.status == 401
        assert "wrong" not in str(caught.value)
    async with api(set_up=False) as (client, server):
        with pytest.raises(ApiRefused, match="404"):
            await client.last_values()
        server.faults.append(503)
        with pytest.raises(ApiSilent):
            await client.rate()
        server.account.away = True
        with pytest.raises(ApiSilent):
            await client.fill(BATCH)


async def test_the_judge_sees_what_is_not_described() -> None:
    """A batch that is no list breaks the description, and is noticed: the other tests can fail."""
    async with api() as (client, server):
        server.wraps = False
        with contextlib.suppress(ApiRefused, ApiSilent):
            await client.send("POST", "groups/home/feeds/power/data/batch", {"value": 3})
        assert server.violations
