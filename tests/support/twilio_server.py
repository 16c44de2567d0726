"""A local server that follows Twilio's own description: it judges each request by it, keeps messages, and fails as it is told."""

import asyncio
import base64
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "the account's token"
FROM_NUMBER = "+15005550006"
PREAMBLE = "Sent from your Twilio trial account - "

_DESCRIPTION = Path(__file__).with_name("twilio_api_v2010.json")
_CREATE = "/2010-04-01/Accounts/{AccountSid}/Messages.json"


@dataclass(frozen=True)
class Fault:
    """How one request to create a message goes wrong.

    Attributes:
        status: the HTTP status of the answer; none where `silent`.
        code: Twilio's own error code.
        accepts: the message is taken all the same.
        silent: `hang` gives no answer, `drop` ends the connection.
    """

    status: int = 500
    code: int | None = None
    retry_after_s: int | None = None
    accepts: bool = False
    silent: str | None = None


@dataclass
class TwilioServer:
    """What it was asked, what it holds, and what it is to do next.

    Attributes:
        violations: requests that break Twilio's description, or answers of its own that do.
        messages: all that were taken, the oldest first.
        faults: for the next requests to create a message, one each.
        fates: the statuses that a number's messages come to, one for each time that they are asked for.
        hidden_lists: so many lists do not show the newest messages yet.
        arriving, taken: called before and after a message is taken.
    """

    url: str = ""
    violations: list[str] = field(default_factory=list[str])
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    messages: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    faults: deque[Fault] = field(default_factory=deque[Fault])
    fates: dict[str, list[tuple[str, int | None]]] = field(default_factory=dict[str, list[tuple[str, int | None]]])
    hidden_lists: int = 0
    trial: bool = False
    arriving: Callable[[], None] = lambda: None
    taken: Callable[[], None] = lambda: None
    _api: Any = field(default_factory=lambda: OpenAPI.from_file_path(str(_DESCRIPTION)))
    _described: Any = field(default_factory=lambda: json.loads(_DESCRIPTION.read_text()))

    def bodies(self, to: str | None = None) -> list[str]:
        """The texts that were taken, in order."""
        return [message["body"] for message in self.messages if to in (None, message["to"]) and message["direction"] != "inbound"]

    def receive(self, sender: str, text: str, at: datetime | None = None) -> None:
        """Somebody texts to the account's number."""
        self.messages.append(self._message({"To": FROM_NUMBER, "From": sender, "Body": text}, "inbound", "received", at))

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST Messages.json."""
        form = await self._judged(request)
        fault = self.faults.popleft() if self.faults else None
        if fault is None and not self._authentic(request):
            fault = Fault(401, 20003)
        self.arriving()
        message = self._message(form, "outbound-api", "queued")
        if fault is None or fault.accepts:
            self.messages.append(message)
        self.taken()
        if fault is None:
            return self._answer(request, 201, message)
        return await self._failed(request, fault)

    async def list(self, request: web.Request) -> web.StreamResponse:
        """GET Messages.json: the newest first."""
        await self._judged(request)
        to = request.query.get("To")
        found = [message for message in reversed(self.messages) if to in (None, message["to"])]
        if self.hidden_lists:
            self.hidden_lists -= 1
            found = [message for message in found if message["status"] == "delivered"]
        page = found[: int(request.query.get("PageSize", "50"))]
        return self._answer(request, 200, {"messages": page, "page": 0, "page_size": len(page), "next_page_uri": None, "start": 0})

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """GET Messages/{Sid}.json: each time, it has come one step further."""
        await self._judged(request)
        found = [message for message in self.messages if message["sid"] == request.match_info["sid"]]
        if not found:
            return await self._failed(request, Fault(404, 20404))
        fate = self.fates.get(found[0]["to"])
        status, code = (fate.pop(0) if len(fate) > 1 else fate[0]) if fate else ("delivered", None)
        found[0].update(status=status, error_code=code)
        return self._answer(request, 200, found[0])

    async def _judged(self, request: web.Request) -> dict[str, str]:
        raw, form = await request.read(), dict(await request.post())
        self.requests.append((request.method, request.path))
        headers = {"Authorization": request.headers.get("Authorization", "")}
        asked = MockRequest(
            "https://api.twilio.com", request.method, request.path, args=dict(request.query), headers=headers, data=raw,
            content_type=request.content_type,
        )  # fmt: skip
        for error in self._api.iter_request_errors(asked):
            self.violations.append(f"{request.method} {request.path}: {error!r} {error.__cause__!r}")
        unknown = [name for name in (*form, *request.query) if name not in self._names(request)]
        self.violations += [f"{request.method}: no parameter {name}" for name in unknown]
        return {name: str(value) for name, value in form.items()}

    def _names(self, request: web.Request) -> set[str]:
        path = self._described["paths"][_CREATE]
        if request.method == "POST":
            return set(path["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]["properties"])
        return {parameter["name"] for parameter in path["get"]["parameters"]}

    def _answer(self, request: web.Request, status: int, body: dict[str, Any]) -> web.Response:
        text = json.dumps(body)
        asked = MockRequest("https://api.twilio.com", request.method, request.path, content_type=request.content_type)
        answer = MockResponse(text.encode(), status_code=status)
        self.violations += [f"own answer: {error!r} {error.__cause__!r}" for error in self._api.iter_response_errors(asked, answer)]
        return web.Response(status=status, text=text, content_type="application/json")

    async def _failed(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.silent == "hang":
            await asyncio.sleep(3_600)
        if fault.silent == "drop" and request.transport is not None:
            request.transport.abort()
        headers = {"Retry-After": str(fault.retry_after_s)} if fault.retry_after_s is not None else {}
        body = {"code": fault.code, "message": f"error {fault.code}", "more_info": "", "status": fault.status} if fault.code else None
        return web.Response(status=fault.status, text=json.dumps(body) if body else "<html>no</html>", headers=headers)

    def _message(self, form: dict[str, str], direction: str, status: str, at: datetime | None = None) -> dict[str, Any]:
        now = format_datetime(at or datetime.now(UTC))
        body = form.get("Body", "")
        return {
            "sid": f"SM{len(self.messages):032x}", "account_sid": ACCOUNT_SID, "to": form.get("To"), "from": form.get("From"),
            "body": PREAMBLE + body if self.trial and direction != "inbound" else body,
            "messaging_service_sid": form.get("MessagingServiceSid"), "status": status, "direction": direction,
            "date_created": now, "date_updated": now, "date_sent": None, "error_code": None, "error_message": None,
            "num_segments": "1", "num_media": "0", "price": None, "price_unit": "USD", "api_version": "2010-04-01", "uri": None,
        }  # fmt: skip

    def _authentic(self, request: web.Request) -> bool:
        wanted = base64.b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        return request.headers.get("Authorization") == f"Basic {wanted}"


@asynccontextmanager
async def running_twilio(host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[TwilioServer]:
    """A server while the context is open."""
    server = TwilioServer()
    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{account}/Messages.json", server.create)
    app.router.add_get("/2010-04-01/Accounts/{account}/Messages.json", server.list)
    app.router.add_get("/2010-04-01/Accounts/{account}/Messages/{sid}.json", server.fetch)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    server.url = f"http://{host}:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
