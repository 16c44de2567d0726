"""The door for webhooks: an HTTP server with one kind of request, `POST /hooks/<name>`, and its OpenAPI description."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from ipaddress import IPv6Address, ip_address

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from hems.actor.logs import FaultLog, Log
from services.bridge_adafruit.domain.hooks import LONGEST_BODY, Call, Refusal
from services.bridge_adafruit.openapi import DESCRIPTION

_WITHIN_S = 10.0
_CLOSING_S = 0.3
_AT_ONCE = 64

Answer = Callable[[Call], Awaitable[Refusal | dict[str, object]]]
"""Judges a call and does it: what it says to the caller, or why not."""


class HookServer:
    """Listens where it is told; the home's bridge decides.

    Args:
        host: the address to listen on.
        port: 0 takes any that is free.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._log: Log = structlog.get_logger()
        self._busy = 0
        self.port = 0

    @contextlib.asynccontextmanager
    async def opened(self, answer: Answer) -> AsyncGenerator[None]:
        """Serve until the end.

        Raises:
            OSError: the port is taken, or the address is not ours.
        """
        self._answer = answer
        faults = logging.getLogger("hems.webhooks")
        faults.propagate, faults.handlers = False, [_Sampled(self._log)]
        app = web.Application(client_max_size=LONGEST_BODY, middlewares=[self._as_json])
        app.router.add_post("/hooks/{name}", self._hook)
        app.router.add_get("/openapi.json", self._describe)
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=faults,
            shutdown_timeout=_CLOSING_S,
            keepalive_timeout=_WITHIN_S,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port).start()
            self.port = runner.addresses[0][1]
            self._log.info("listening for webhooks", host=self._host, port=self.port)
            yield
        finally:
            await runner.cleanup()

    async def _hook(self, request: web.Request) -> web.Response:
        if self._busy >= _AT_ONCE:
            return _refused(Refusal(429, "too many requests at once; try again later", 1))
        self._busy += 1
        try:
            body = await asyncio.wait_for(request.read(), _WITHIN_S)
            said = await self._answer(_call(request, body))
        except TimeoutError:
            return _refused(Refusal(408, f"the body did not come within {_WITHIN_S:.0f} s"))
        finally:
            self._busy -= 1
        return _refused(said) if isinstance(said, Refusal) else web.json_response(said)

    async def _describe(self, _request: web.Request) -> web.Response:
        return web.json_response(DESCRIPTION)

    @web.middleware
    async def _as_json(self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge:
            return _refused(Refusal(413, f"the body is longer than {LONGEST_BODY} bytes"))
        except web.HTTPException as error:
            answer = _refused(Refusal(error.status, error.reason.lower()))
            if "Allow" in error.headers:
                answer.headers["Allow"] = error.headers["Allow"]
            return answer


class _Sampled(logging.Handler):
    """What the HTTP library says of a broken request, which anybody may send as often as they like; bugs are told whole."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self._broken = FaultLog(log, "a request is no HTTP", every=1_000)

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None or isinstance(error, HttpProcessingError):
            # Not what was sent: a secret may be in it.
            self._broken.failed(said=record.getMessage()[:100], kind=type(error).__name__)
        else:
            self._log.error("a webhook's request could not be handled: a bug", exc_info=error)


def _call(request: web.Request, body: bytes) -> Call:
    header, bearer = request.headers, request.headers.get("Authorization", "")
    return Call(
        hook=request.match_info["name"],
        source=_source(request.remote or ""),
        body=body,
        secret=header.get("X-Hook-Secret") or (bearer.removeprefix("Bearer ").strip() if bearer.startswith("Bearer ") else None) or None,
        signature=header.get("X-Hook-Signature"),
        timestamp=header.get("X-Hook-Timestamp"),
        nonce=header.get("X-Hook-Nonce"),
    )


def _source(address: str) -> str:
    """The address; of IPv6, the network that one caller has for itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(IPv6Address(int(parsed) >> 64 << 64))
    return address


def _refused(refusal: Refusal) -> web.Response:
    headers = {"Retry-After": str(refusal.retry_after_s)} if refusal.retry_after_s is not None else {}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.json_response({"error": refusal.error}, status=refusal.status, headers=headers)
