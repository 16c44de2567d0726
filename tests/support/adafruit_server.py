"""Adafruit IO's HTTP API on the loopback: it follows Adafruit's own description, and judges each request and its own answers by it."""

import json
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from tests.support.adafruit_account import AdafruitAccount, Held

USERNAME = "tester"
KEY = "aio_0123456789"
GROUP = "home"
_DESCRIPTION = Path(__file__).with_name("adafruit_io_v2.json")
_HOST = "https://io.adafruit.com"


def described() -> dict[str, Any]:
    """Adafruit's Swagger 2 as OpenAPI 3, which the judge reads."""
    text = _DESCRIPTION.read_text().replace("#/definitions/", "#/components/schemas/").replace('"dateTime"', '"date-time"')
    swagger: dict[str, Any] = json.loads(text)
    paths = {path: {method: _operation(swagger, body) for method, body in item.items()} for path, item in swagger["paths"].items()}
    keys = {"HeaderKey": {"type": "apiKey", "in": "header", "name": "X-AIO-Key"}}
    return {
        "openapi": "3.0.3",
        "info": swagger["info"],
        "servers": [{"url": _HOST + swagger["basePath"]}],
        "security": [{"HeaderKey": []}],
        "paths": paths,
        "components": {"schemas": swagger["definitions"], "securitySchemes": keys},
    }


@cache
def judge() -> Any:
    """What tells whether a request or an answer follows the description."""
    return OpenAPI.from_dict(described())


def _operation(swagger: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    parameters = [swagger["parameters"][entry["$ref"].rsplit("/", 1)[1]] if "$ref" in entry else entry for entry in operation["parameters"]]
    bodies = [entry["schema"] for entry in parameters if entry["in"] == "body"]
    answers = {
        status: {"description": answer["description"], **({"content": _json(answer["schema"])} if "schema" in answer else {})}
        for status, answer in operation["responses"].items()
    }
    return {
        "parameters": [_parameter(entry) for entry in parameters if entry["in"] != "body"],
        "responses": answers,
        **({"requestBody": {"required": True, "content": _json(bodies[0])}} if bodies else {}),
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _parameter(entry: dict[str, Any]) -> dict[str, Any]:
    schema = {name: entry[name] for name in ("type", "format") if name in entry}
    return {"name": entry["name"], "in": entry["in"], "required": entry.get("required", False), "schema": schema}


@dataclass
class AdafruitServer:
    """What it was asked, and what the account holds besides its points.

    Attributes:
        violations: requests that break Adafruit's description, or answers of its own that do.
        calls: method and path below the user's own.
        others: feeds of the account that are not of the home's group.
        faults: HTTP statuses for the next requests.
        wraps: batches must come under `data`, as Adafruit's own clients send them.
    """

    account: AdafruitAccount
    url: str = ""
    most_feeds: int = 10
    most_dashboards: int = 5
    others: list[str] = field(default_factory=list[str])
    groups: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    violations: list[str] = field(default_factory=list[str])
    calls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    faults: deque[int] = field(default_factory=deque[int])
    wraps: bool = False
    _ids: dict[str, int] = field(default_factory=dict[str, int])
    _names: dict[str, str] = field(default_factory=dict[str, str])
    _api: Any = field(default_factory=lambda: judge())

    def changes(self) -> list[tuple[str, str]]:
        """The calls that changed something."""
        return [call for call in self.calls if call[0] != "GET"]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        path = request.path.removeprefix(f"/api/v2/{USERNAME}/")
        self.calls.append((request.method, path))
        raw = await request.read()
        self._judge(request, raw)
        if self.account.away:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        if self.faults:
            return web.json_response({"error": "told to fail"}, status=self.faults.popleft())
        if request.headers.get("X-AIO-Key") != KEY:
            return web.json_response({"error": "request failed - invalid API key"}, status=401)
        status, answer = self._answer(request.method, path.split("/"), json.loads(raw) if raw else None, dict(request.query))
        self._judge_own(request, status, answer)
        return web.json_response(answer, status=status)

    def _answer(self, method: str, path: list[str], body: Any, query: dict[str, str]) -> tuple[int, Any]:
        match (method, *path):
            case ("GET", "throttle"):
                return 200, {"data_rate_limit": self.account.limit, "active_data_rate": self.account.active()}
            case ("GET", "feeds"):
                return 200, [self._feed(key) for key in self.account.feeds] + [self._other(key) for key in self.others]
            case ("GET", "groups"):
                return 200, self.groups
            case ("POST", "groups"):
                return 200, self._added(self.groups, body)
            case ("GET", "groups", group, "feeds"):
                return (200, [self._feed(key) for key in self.account.feeds]) if self._has_group(group) else (404, {"error": "not found"})
            case ("POST", "groups", _, "feeds"):
                return self._create_feed(body)
            case ("GET", "groups", _, "feeds", key, "data"):
                return self._data(key, query)
            case ("POST", "groups", _, "feeds", key, "data", "batch"):
                return self._fill(key, body)
            case _:
                return self._dashboards(method, path, body)

    def _dashboards(self, method: str, path: list[str], body: Any) -> tuple[int, Any]:
        match (method, *path):
            case ("GET", "dashboards"):
                return 200, list(self.dashboards.values())
            case ("POST", "dashboards"):
                if len(self.dashboards) >= self.most_dashboards:
                    return 422, {"error": ["your plan allows no more dashboards"]}
                self.dashboards[body["key"]] = {"id": self._id(body["key"]), "name": body["name"], "key": body["key"], "blocks": []}
                return 200, self.dashboards[body["key"]]
            case ("GET", "dashboards", key) if key in self.dashboards:
                return 200, self.dashboards[key]
            case ("GET", "dashboards", key, "blocks") if key in self.dashboards:
                return 200, self.dashboards[key]["blocks"]
            case ("POST", "dashboards", key, "blocks") if key in self.dashboards:
                return 200, self._added(self.dashboards[key]["blocks"], self._block(body))
            case ("PATCH", "dashboards", key, "blocks", identity) if key in self.dashboards:
                block = next(block for block in self.dashboards[key]["blocks"] if str(block["id"]) == identity)
                block.update(self._block(body))
                return 200, block
            case ("POST", "dashboards", key, "update_layouts") if key in self.dashboards:
                self.dashboards[key]["layouts"] = body["layouts"]
                return 200, self.dashboards[key]
            case _:
                return 404, {"error": "not found"}

    def _create_feed(self, body: Any) -> tuple[int, Any]:
        if len(self.account.feeds) + len(self.others) >= self.most_feeds:
            return 422, {"error": ["your plan allows no more feeds"]}
        self.account.feeds[body["key"]] = []
        self._names[body["key"]] = body["name"]
        return 200, self._feed(body["key"])

    def _data(self, key: str, query: dict[str, str]) -> tuple[int, Any]:
        start, end = (datetime.fromisoformat(query[name]) for name in ("start_time", "end_time"))
        held = [point for point in self.account.feeds.get(key, []) if start <= point.created_at <= end]
        return 200, [_point(point) for point in held[: int(query["limit"])]]

    def _fill(self, key: str, body: Any) -> tuple[int, Any]:
        if self.wraps and isinstance(body, list):
            return 400, {"error": "param is missing or the value is empty: data"}
        given: Any = body["data"] if self.wraps else body
        points = [Held(datetime.fromisoformat(entry["created_at"]), entry["value"]) for entry in given]
        if not self.account.fill(key, points):
            return 429, {"error": "data rate limit reached, 7 seconds until throttle released"}
        return 200, [_point(point) for point in points]

    def _feed(self, key: str) -> dict[str, Any]:
        shown = self.account.shown(key)
        last = {"last_value": shown} if shown is not None else {}
        return {"id": self._id(key), "key": f"{GROUP}.{key}", "name": self._names.get(key, key), **last}

    def _other(self, key: str) -> dict[str, Any]:
        return {"id": self._id(f"other {key}"), "key": key, "name": key}

    def _block(self, body: Any) -> dict[str, Any]:
        feeds = [
            {"id": str(self._id(f"block feed {entry['feed_id']}")), "feed": {"id": int(entry["feed_id"])}} for entry in body["block_feeds"]
        ]
        return {**body, "block_feeds": feeds}

    def _added(self, things: list[dict[str, Any]], body: Any) -> dict[str, Any]:
        things.append({**body, "id": self._id(f"{body.get('key', body['name'])} {len(things)} {len(self.calls)}")})
        return things[-1]

    def _id(self, name: str) -> int:
        return self._ids.setdefault(name, 1_000 + len(self._ids))

    def _has_group(self, key: str) -> bool:
        return any(group.get("key") == key for group in self.groups)

    def _judge(self, request: web.Request, raw: bytes) -> None:
        if request.path.endswith("/update_layouts"):
            return  # Adafruit's own clients use it, their description leaves it out
        if self.wraps and request.path.endswith("/batch") and raw.startswith(b"{"):
            return
        for error in self._api.iter_request_errors(_mock(request, raw)):
            self.violations.append(f"{request.method} {request.path}: {error!r} {error.__cause__!r}")

    def _judge_own(self, request: web.Request, status: int, answer: Any) -> None:
        if status != 200 or request.path.endswith("/update_layouts"):
            return
        said = MockResponse(json.dumps(answer).encode(), status_code=status)
        errors = self._api.iter_response_errors(_mock(request, b""), said)
        self.violations += [f"own answer to {request.path}: {error!r} {error.__cause__!r}" for error in errors]


def _mock(request: web.Request, raw: bytes) -> MockRequest:
    headers = {"X-AIO-Key": request.headers.get("X-AIO-Key", "")}
    return MockRequest(
        _HOST, request.method, request.path, args=dict(request.query), headers=headers, data=raw or None, content_type="application/json"
    )


def _point(point: Held) -> dict[str, Any]:
    return {
        "id": point.created_at.isoformat(),
        "value": point.value,
        "created_at": point.created_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


@asynccontextmanager
async def running_adafruit(account: AdafruitAccount, *, port: int = 0, set_up: bool = True) -> AsyncGenerator[AdafruitServer]:
    """A server on the loopback while the context is open; `set_up` where the group is there already."""
    server = AdafruitServer(account, groups=[{"id": 1, "name": GROUP, "key": GROUP}] if set_up else [])
    app = web.Application()
    app.router.add_route("*", f"/api/v2/{USERNAME}/{{path:.*}}", server.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v2"
    try:
        yield server
    finally:
        await runner.cleanup()
