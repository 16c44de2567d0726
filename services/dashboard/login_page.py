"""The sign-in page: plain HTML, so that nothing of the component library is reached without a session."""

from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from services.dashboard.domain.texts import Texts
from services.dashboard.gate import COOKIE, session_token
from services.dashboard.sessions import SessionBook, TooManyTries

_MOST_FIELDS = 4

_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · hems</title><link rel="icon" href="/page/icon.svg"><link rel="stylesheet" href="/page/style.css"></head>
<body class="signing-in"><main class="card sign-in"><h1>{title}</h1>
<form method="post" action="/login"><label for="password">{password}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required autofocus maxlength="200">
<p role="alert">{message}</p><button class="button primary" type="submit">{title}</button></form></main></body></html>"""


class LoginPage:
    """`/login` and `/logout`."""

    def __init__(self, sessions: SessionBook, texts: Texts) -> None:
        self._sessions = sessions
        self._texts = texts

    async def show(self, request: Request) -> Response:
        """The form; for who is signed in, the page."""
        if self._sessions.knows(session_token(dict(request.headers))):
            return RedirectResponse("/", 303)
        return self._page("", 200)

    async def sign_in(self, request: Request) -> Response:
        """Look at a password."""
        try:
            form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=_MOST_FIELDS)
        except ValueError:  # no form of ours: nobody's try
            return self._page(self._texts("wrong_password"), 400)
        address = request.client.host if request.client else ""
        try:
            token = await self._sessions.sign_in(form.get("password", [""])[0], address)
        except TooManyTries as slow:
            response = self._page(self._texts("too_many", seconds=round(slow.wait_s) + 1), 429)
            response.headers["retry-after"] = str(round(slow.wait_s) + 1)
            return response
        if token is None:
            return self._page(self._texts("wrong_password"), 403)
        response = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, token, max_age=30 * 86_400, httponly=True, samesite="strict", secure=secure)
        return response

    async def sign_out(self, request: Request) -> Response:
        """Forget the session."""
        token = session_token(dict(request.headers))
        if token is not None:
            self._sessions.sign_out(token)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        return response

    def _page(self, message: str, status: int) -> Response:
        text = self._texts
        html = _PAGE.format(language=text.language, title=escape(text("login")), password=escape(text("password")), message=escape(message))
        return HTMLResponse(html, status, {"cache-control": "no-store"})
