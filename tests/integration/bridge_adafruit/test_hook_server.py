"""Webhooks over HTTP: a bridge on a stage, a real server, real requests."""

import asyncio
import contextlib
import json
import random
import resource
import socket
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse
from structlog.testing import capture_logs

from hems.actor.clock import WallClock
from hems.actor.context import Context
from hems.contracts.catalog import DEMAND_EVENT, NOTIFY_MUTE, RELAY_RESULT, RELAY_SET_BY
from hems.contracts.relays import RelayResult
from hems.testing.harness import Stage, on_stage
from services.bridge_adafruit.actor import BridgeAdafruit
from services.bridge_adafruit.domain.hooks import LONGEST_BODY, signature
from services.bridge_adafruit.hook_server import HookServer
from services.bridge_adafruit.openapi import DESCRIPTION
from services.bridge_adafruit.settings import BridgeAdafruitSettings
from tests.support.waiting import until

SECRET = "a secret of more than sixteen characters"
HOOKS = {
    "good-night": {"action": "relay", "relay": "bulb", "state": "OFF", "for": "8h", "secret": SECRET},
    "grid-event": {"action": "demand", "level": "high", "for": "1h", "secret": SECRET, "signed": True},
    "quiet": {"action": "mute", "for": "2h", "secret": SECRET},
    "shut": {"action": "mute", "for": "2h"},
}
API: Any = OpenAPI.from_dict({**DESCRIPTION, "servers": [{"url": "http://127.0.0.1"}]})


class Caller:
    """Calls hooks, and holds each answer against the description. Each has an address of its own, from 127.0.0.2 on."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self._url = f"http://127.0.0.1:{port}"
        self._source = source

    async def post(self, hook: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers."""
        connector = aiohttp.TCPConnector(local_addr=(self._source, 0))
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post(f"{self._url}/hooks/{hook}", data=body, headers=sent) as said,
        ):
            raw = await said.read()
            self._judge(hook, said.status, raw)
            return said.status, json.loads(raw), dict(said.headers)

    def _judge(self, hook: str, status: int, raw: bytes) -> None:
        asked = MockRequest("http://127.0.0.1", "POST", f"/hooks/{hook}")
        assert list(API.iter_response_errors(asked, MockResponse(raw, status_code=status))) == []


@contextlib.asynccontextmanager
async def door(folder: Path) -> AsyncGenerator[tuple[Stage, int]]:
    """A bridge with hooks and no account."""
    settings = BridgeAdafruitSettings.read({"hooks": HOOKS}, {})
    server = HookServer("127.0.0.1", 0)

    def build(context: Context) -> BridgeAdafruit:
        return BridgeAdafruit(settings, context, hooks=settings.opened(), door=server)

    clock: Any = WallClock()
    async with on_stage("bridge_adafruit", build, folder, clock=clock) as stage:
        await until(lambda: server.port)
        yield stage, server.port


async def answering(stage: Stage, *, accepted: bool, reason: str | None = None) -> None:
    """An actuator that answers the next command."""
    await until(lambda: stage.said(RELAY_SET_BY))
    parameters, command = stage.said(RELAY_SET_BY)[-1]
    result = RelayResult(id=command.id, source="webhook", accepted=accepted, reason=reason)
    await stage.tell(RELAY_RESULT, result, relay=parameters["relay"])


async def test_a_hook_switches_its_relay(tmp_path: Path) -> None:
    """The command is a webhook's, with a lease, an id and an expiry; the caller hears that it was done."""
    async with door(tmp_path) as (stage, port):
        actuator = asyncio.create_task(answering(stage, accepted=True))
        status, body, _ = await Caller(port).post("good-night", X_Hook_Secret=SECRET)
        await actuator
        assert (status, body) == (200, {"done": True})
        ((parameters, command),) = stage.said(RELAY_SET_BY)
        assert (parameters["relay"], parameters["source"]) == ("bulb", "webhook")
        assert (command.state, command.for_s) == ("OFF", 8 * 3_600)
        assert command.id
        assert command.expires_at is not None
        assert command.issued_at is not None
        assert (command.expires_at - command.issued_at).total_seconds() <= 15


async def test_a_refused_relay_is_told_with_its_reason(tmp_path: Path) -> None:
    """The actuator refuses: 409, and why; the same id may be tried again."""
    async with door(tmp_path) as (stage, port):
        actuator = asyncio.create_task(answering(stage, accepted=False, reason="the freezer rests"))
        status, body, _ = await Caller(port).post("good-night", b'{"id": "a"}', Authorization=f"Bearer {SECRET}")
        await actuator
        assert (status, body) == (409, {"error": "the freezer rests"})


async def test_signed_and_muting_hooks(tmp_path: Path) -> None:
    """A signed call begins a demand event, and not twice; another mutes; a hook without a secret is not there."""
    async with door(tmp_path) as (stage, port):
        timestamp = str(int(WallClock().now().timestamp()))
        proof: dict[str, Any] = {
            "X_Hook_Timestamp": timestamp,
            "X_Hook_Nonce": "n",
            "X_Hook_Signature": signature(SECRET, timestamp, "n", b""),
        }
        assert (await Caller(port).post("grid-event", **proof))[0] == 200
        assert (await Caller(port).post("grid-event", **proof))[0] == 403
        ((_, event),) = stage.said(DEMAND_EVENT)
        assert (event.level, (event.ends_at - event.starts_at).total_seconds(), event.source) == ("high", 3_600, "webhook")
        assert (await Caller(port).post("quiet", X_Hook_Secret=SECRET))[0] == 200
        assert len(stage.said(NOTIFY_MUTE)) == 1
        assert (await Caller(port).post("shut", X_Hook_Secret=SECRET))[0] == 404


async def test_refusals_are_what_a_client_expects(tmp_path: Path) -> None:
    """401 with a challenge, 403, 404, 405, 413 and 422 as JSON; 429 with a time to come back; 503 while the broker is away."""
    async with door(tmp_path) as (stage, port):
        caller = Caller(port)
        status, _, headers = await caller.post("quiet")
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await caller.post("quiet", X_Hook_Secret="wrong"))[0] == 403
        assert (await caller.post("nothing", X_Hook_Secret=SECRET))[0] == 404
        assert (await caller.post("quiet", b"x" * (LONGEST_BODY + 1), X_Hook_Secret=SECRET))[0] == 413
        assert (await caller.post("quiet", b"no json", X_Hook_Secret=SECRET))[0] == 422
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/hooks/quiet") as said:
            assert (said.status, await said.json()) == (405, {"error": "method not allowed"})
            assert said.headers["Allow"] == "POST"
        stage.broker.kill()
        await asyncio.sleep(0.05)
        status, body, headers = await caller.post("quiet", X_Hook_Secret=SECRET)
        assert status == 503, body
        assert int(headers["Retry-After"]) > 0
        many = [await Caller(port, "127.0.0.9").post("quiet", X_Hook_Secret="wrong") for _ in range(11)]
        assert [status for status, _, _ in many] == [403] * 10 + [429]
        assert 1 <= int(many[-1][2]["Retry-After"]) <= 61
        assert stage.said(NOTIFY_MUTE) == []


async def test_a_taken_port_shuts_out_webhooks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program has the port: the service stays up and says what to do, and listens once the port is free."""
    monkeypatch.setattr("services.bridge_adafruit.actor._OPEN_AGAIN_AFTER_S", 0.05)
    settings = BridgeAdafruitSettings.read({"hooks": HOOKS}, {})
    clock: Any = WallClock()
    with capture_logs() as logs, contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other:
        server = HookServer("127.0.0.1", other.getsockname()[1])

        def build(context: Context) -> BridgeAdafruit:
            return BridgeAdafruit(settings, context, hooks=settings.opened(), door=server)

        async with on_stage("bridge_adafruit", build, tmp_path, clock=clock) as stage:
            await until(lambda: [entry for entry in logs if "hooks_port" in str(entry.get("advice"))])
            assert not stage.task.done()
            other.close()
            await until(lambda: server.port)
            assert (await Caller(server.port).post("quiet", X_Hook_Secret=SECRET))[0] == 200


async def test_the_description_is_served(tmp_path: Path) -> None:
    """`GET /openapi.json` is an OpenAPI 3 document, and names no hook."""
    async with (
        door(tmp_path) as (_, port),
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/openapi.json") as said,
    ):
        served = await said.json()
    assert served == DESCRIPTION
    OpenAPI.from_dict(served)
    assert "good-night" not in json.dumps(served)


async def test_what_is_no_http_does_not_flood_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Fifty broken requests: one line in the log, no stack trace, and the door stands."""
    async with door(tmp_path) as (_, port):
        for number in range(50):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"POST /hooks/quiet HTTP/1.1\r\nHost: x\r\nX-Hook-Secret: \x00%d\r\n\r\n" % number)
            assert b"400" in await reader.readline()
            writer.close()
            await writer.wait_closed()
        assert (await Caller(port).post("quiet", X_Hook_Secret=SECRET))[0] == 200
    said = "".join(capfd.readouterr())
    assert said.count("a request is no HTTP") == 1
    assert "Traceback" not in said


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_hundred_thousand_bad_requests(tmp_path: Path) -> None:
    """From many addresses, malformed and unproven: none is taken, the server stands, and its memory stays bounded."""
    draw = random.Random(1)
    asked, workers = 100_000, 16
    statuses: dict[int, int] = {}
    async with door(tmp_path) as (stage, port):

        async def pester(worker: int) -> None:
            for number in range(asked // workers // 50):
                source = (f"127.{worker + 1}.{number // 250}.{number % 250 + 1}", 0)
                async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=source)) as session:
                    for _ in range(50):
                        status = await bad_request(session, port, draw)
                        statuses[status] = statuses.get(status, 0) + 1

        await asyncio.gather(*(pester(worker) for worker in range(2)))
        warm = resident_bytes()
        await asyncio.gather(*(pester(worker) for worker in range(2, workers)))
        after = resident_bytes()
        assert sum(statuses.values()) >= asked * 0.99
        assert 200 not in statuses
        assert set(statuses) <= {400, 401, 403, 404, 405, 408, 413, 422, 429}
        assert {401, 403, 404, 413, 422, 429} & set(statuses)
        assert stage.said(RELAY_SET_BY) == stage.said(DEMAND_EVENT) == stage.said(NOTIFY_MUTE) == []
        assert not stage.task.done()
        assert after - warm < 30_000_000
        assert (await Caller(port, "127.0.0.77").post("quiet", X_Hook_Secret=SECRET))[0] == 200


def resident_bytes() -> int:
    """What this process holds of the computer's memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


async def bad_request(session: aiohttp.ClientSession, port: int, draw: random.Random) -> int:
    """One that must not be taken: no proof, a wrong one, a bad body with the right one, or a broken request."""
    kind = draw.randrange(6)
    hook = draw.choice(["good-night", "grid-event", "quiet", "shut", "..", "%00", "x" * 300, "%f0%9f%92%a1"])
    headers: dict[str, str] = {}
    body = draw.randbytes(draw.choice([0, 10, 1_000]))
    if kind == 1:
        headers = {"X-Hook-Secret": draw.randbytes(12).hex()}
    elif kind == 2:
        headers, body = {"X-Hook-Secret": SECRET}, b"[" * draw.randrange(1, 9_000)
    elif kind == 3:
        headers = {
            "X-Hook-Signature": "sha256=" + draw.randbytes(32).hex(),
            "X-Hook-Timestamp": "9" * draw.randrange(1, 30),
            "X-Hook-Nonce": "n",
        }
    elif kind == 4:
        headers, body = {"X-Hook-Secret": SECRET}, b"x" * (LONGEST_BODY + 1)
    method = draw.choice(["POST"] * 9 + ["PUT"])
    try:
        async with session.request(method, f"http://127.0.0.1:{port}/hooks/{hook}", data=body, headers=headers) as said:
            await said.read()
            return said.status
    except aiohttp.ClientError:
        return 413  # the server ended a body that is too long
