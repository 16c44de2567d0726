"""The gate in front of the application: what does not pass never reaches it."""

from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from services.dashboard.domain.guard import LARGEST_BODY_BYTES, Guard
from services.dashboard.gate import COOKIE, Gate


class Inner:
    """An application that reads its request, and notes that it was reached."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        self.reached.append(scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"server", b"x"), (b"x-frame-options", b"ALLOW")]})
        await send({"type": "http.response.body", "body": b"inside"})


class Known:
    """Sessions of which one token is good."""

    def knows(self, token: str | None) -> bool:
        """Whether it is the one."""
        return token == "good"


def gate(inner: Inner, *, signed: bool = False) -> Gate:
    """A gate that listens everywhere where people sign in, else on loopback."""
    sessions: Any = Known() if signed else None
    return Gate(inner, Guard("0.0.0.0" if signed else "127.0.0.1"), sessions)  # noqa: S104


def client(application: Gate) -> httpx.AsyncClient:
    """A browser's stand-in."""
    transport: Any = application
    return httpx.AsyncClient(transport=httpx.ASGITransport(transport), base_url="http://127.0.0.1:8080")


async def opens(application: Gate, headers: dict[str, str]) -> bool:
    """Whether a socket is accepted."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await application({"type": "websocket", "path": "/_nicegui_ws/socket.io/", "headers": raw}, receive, send)
    return sent[0]["type"] == "websocket.accept"


async def test_security_headers_stand_on_every_answer_and_replace_the_applications() -> None:
    """Also on a refusal."""
    async with client(gate(Inner())) as browser:
        for headers in ({}, {"host": "evil.example"}):
            answer = await browser.get("/", headers=headers)
            assert answer.headers["x-frame-options"] == "DENY"
            assert "default-src 'self'" in answer.headers["content-security-policy"]
            assert "server" not in answer.headers


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}])
async def test_foreign_requests_never_reach_the_application(headers: dict[str, str]) -> None:
    """Host and origin, on HTTP and on the socket."""
    inner = Inner()
    async with client(gate(inner)) as browser:
        answer = await browser.get("/", headers=headers)
    assert answer.status_code in (403, 421)
    assert not await opens(gate(inner), {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080", **headers})
    assert inner.reached == []


async def test_two_host_lines_are_refused() -> None:
    """The second can't hide behind the first."""
    inner = Inner()
    async with client(gate(inner)) as browser:
        request = browser.build_request("GET", "/", headers=[("host", "127.0.0.1:8080"), ("host", "evil.example")])
        assert (await browser.send(request)).status_code == 421
    assert inner.reached == []


async def test_a_body_that_grows_beyond_the_bound_is_refused_as_it_comes() -> None:
    """Without a length it can't be refused before."""

    async def chunks() -> AsyncGenerator[bytes]:
        for _ in range(LARGEST_BODY_BYTES // 1_000 + 2):
            yield b"x" * 1_000

    async with client(gate(Inner())) as browser:
        answer = await browser.post("/login", content=chunks(), headers={"origin": "http://127.0.0.1:8080"})
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/", "/history", "/_nicegui/x/static/a.js", "/_nicegui_ws/socket.io/", "/login/../", "//login", "/LOGIN"])
async def test_without_a_session_nothing_but_the_sign_in_is_reached(path: str) -> None:
    """Not the pages, not the library's files, not the socket; a browser is led to the sign-in."""
    inner = Inner()
    async with client(gate(inner, signed=True)) as browser:
        assert (await browser.get(path)).status_code == 401
        answer = await browser.get(path, headers={"accept": "text/html"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert not await opens(
        gate(inner, signed=True), {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080", "cookie": f"{COOKIE}=bad"}
    )
    assert inner.reached == []


async def test_with_a_session_all_is_reached() -> None:
    """Pages and socket."""
    inner = Inner()
    cookie = f"other=1; {COOKIE}=good"
    async with client(gate(inner, signed=True)) as browser:
        assert (await browser.get("/history", headers={"cookie": cookie})).text == "inside"
    assert await opens(gate(inner, signed=True), {"host": "127.0.0.1:8080", "origin": "http://127.0.0.1:8080", "cookie": cookie})
    assert inner.reached == ["/history", "/_nicegui_ws/socket.io/"]


@pytest.mark.parametrize("cookie", ["", ";;;", f"{COOKIE}", f"{COOKIE}=", 'a="', "\x00"])
async def test_broken_cookies_open_nothing(cookie: str) -> None:
    """They are no session, and no crash."""
    inner = Inner()
    async with client(gate(inner, signed=True)) as browser:
        assert (await browser.get("/", headers=[(b"cookie", cookie.encode())])).status_code == 401
