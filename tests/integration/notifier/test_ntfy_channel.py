"""The second channel: an ntfy server's own way of publishing and polling."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner

from services.notifier.command import notify
from services.notifier.domain.outgoing import Accepted, Delivered, Found, Later, Rejected
from services.notifier.ntfy_channel import NtfyChannel
from tests.support.broker import free_port


class NtfyServer:
    def __init__(self) -> None:
        self.url = ""
        self.kept: list[dict[str, Any]] = []
        self.status = 200
        self.token: str | None = None

    async def publish(self, request: web.Request) -> web.Response:
        if self.status != 200:
            return web.Response(status=self.status, headers={"Retry-After": "9"}, text="no")
        self.token = request.headers.get("Authorization")
        asked = await request.json()
        entry = {"id": f"id{len(self.kept)}", "time": int(datetime.now(UTC).timestamp()), "event": "message", **asked}
        self.kept.append(entry)
        return web.json_response(entry)

    async def poll(self, request: web.Request) -> web.Response:
        assert request.query["poll"] == "1"
        since, topic = int(request.query["since"]), request.match_info["topic"]
        kept = [entry for entry in self.kept if entry["topic"] == topic and entry["time"] >= since]
        return web.Response(text="".join(json.dumps(entry) + "\n" for entry in kept))


@asynccontextmanager
async def opened() -> AsyncGenerator[tuple[NtfyServer, NtfyChannel]]:
    """A server, and an open channel to it."""
    server, app = NtfyServer(), web.Application()
    app.router.add_post("/", server.publish)
    app.router.add_get("/{topic}/json", server.poll)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    channel = NtfyChannel(server.url, "tk_1", 2.0, "Home energy (home)")
    try:
        async with channel.opened():
            yield server, channel
    finally:
        await runner.cleanup()


async def test_a_message_is_published_and_found() -> None:
    """It is published with the token, and an attempt without an answer would be found among what the server keeps."""
    async with opened() as (server, channel):
        now = datetime.now(UTC)
        assert await channel.send("my-topic", "Dishwasher finished.", 600) == Accepted("id0", confirms=False)
        assert server.token == "Bearer tk_1"
        assert server.kept[0]["message"] == "Dishwasher finished."
        assert await channel.find("my-topic", "Dishwasher finished.", now, ()) == Found("id0")
        assert await channel.find("my-topic", "Dishwasher finished.", now, {"id0"}) == Found(None)
        assert await channel.check("id0") == Delivered(None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (429, Later("the ntfy server asks to slow down", 9.0)),
        (500, Later("the ntfy server failed (500)", may_be_taken=True)),
        (403, Later("the ntfy server refuses the access (403); check notifier.ntfy.token", account=True)),
        (413, Rejected("the ntfy server refused the message (413): no")),
    ],
)
async def test_failures_are_told_apart(status: int, expected: Later | Rejected) -> None:
    """The same outcomes as any channel's."""
    async with opened() as (server, channel):
        server.status = status
        assert await channel.send("my-topic", "text", 600) == expected


async def test_nobody_answers() -> None:
    """Where no connection comes about, nothing can have been published."""
    channel = NtfyChannel(f"http://127.0.0.1:{free_port()}", None, 1.0, "Home")
    async with channel.opened():
        outcome = await channel.send("my-topic", "text", 600)
    assert isinstance(outcome, Later)
    assert not outcome.may_be_taken


async def test_the_command_publishes_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hems notify --ntfy`: it is on the topic, or the server's answer is told; a number and a topic at once are refused."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEMS_CONFIG", "")
    async with opened() as (server, _):
        monkeypatch.setenv("HEMS_NOTIFIER__NTFY__BASE_URL", server.url)
        result = await asyncio.to_thread(CliRunner().invoke, notify, ["--ntfy", "our-home-8421"])
        assert result.exit_code == 0, result.output
        assert server.kept[0]["topic"] == "our-home-8421"
        assert "messages reach you" in server.kept[0]["message"]
        server.status = 403
        result = await asyncio.to_thread(CliRunner().invoke, notify, ["--ntfy", "our-home-8421"])
        assert result.exit_code == 1
        assert "our-home-8421: " in result.output
    assert CliRunner().invoke(notify, ["--ntfy", "our-home-8421", "--test", "+447700900123"]).exit_code == 2
    assert CliRunner().invoke(notify, []).exit_code == 2
