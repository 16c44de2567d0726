"""In front of every page, file and socket: the guard, the session, the size of what comes, and the headers of what goes."""

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.dashboard.domain.guard import HEADERS, LARGEST_BODY_BYTES, Guard, Refusal
from services.dashboard.sessions import SessionBook

COOKIE = "hems_session"
OPEN_PATHS = frozenset({"/login", "/page/style.css", "/page/icon.svg", "/favicon.ico"})


class _TooLarge(Exception):
    pass


class Gate:
    """Wraps the whole application; what does not pass never reaches it."""

    def __init__(self, inner: ASGIApp, guard: Guard, sessions: SessionBook | None) -> None:
        """`sessions` is None where nobody has to sign in."""
        self._inner = inner
        self._guard = guard
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            await self._request(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._inner(scope, receive, send)

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        refusal = self._guard.refuses(scope["method"], headers)
        if refusal is None and not self._may_enter(scope["path"], headers):
            await _to_login(headers)(scope, receive, send)
            return
        if refusal is not None:
            await _refused(refusal)(scope, receive, send)
            return
        try:
            await self._inner(scope, _bounded(receive), send)
        except _TooLarge:
            await _refused(Refusal(413, "the request is too large"))(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        if self._guard.refuses("GET", headers, socket=True) or not self._may_enter(scope["path"], headers):
            await receive()
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: the browser is told 403
            return
        await self._inner(scope, receive, send)

    def _may_enter(self, path: str, headers: Mapping[str, str]) -> bool:
        return self._sessions is None or path in OPEN_PATHS or self._sessions.knows(session_token(headers))


def session_token(headers: Mapping[str, str]) -> str | None:
    """The session's cookie."""
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return cookie.value if cookie else None


def _headers(scope: Scope) -> dict[str, str]:
    """By lower case name; of several, all, so that a second `Host` can't hide behind the first."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _to_login(headers: Mapping[str, str]) -> Response:
    if "text/html" in headers.get("accept", ""):
        return RedirectResponse("/login", 303)
    return PlainTextResponse("Sign in first.\n", 401)


def _refused(refusal: Refusal) -> Response:
    return PlainTextResponse(f"Refused: {refusal.reason}.\n", refusal.status)


def _bounded(receive: Receive) -> Receive:
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LARGEST_BODY_BYTES:
            raise _TooLarge
        return message

    return bounded


def _with_headers(send: Send) -> Send:
    added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in added} | {b"server"}
            message = {**message, "headers": [*((n, v) for n, v in message.get("headers", ()) if n.lower() not in own), *added]}
        await send(message)

    return sending
