"""A person who looks at the page now and then."""

import asyncio
import time

import httpx

_TIMEOUT_S = 10.0
_AGAIN_AFTER_S = 0.5
_WRONG = 500


class PageVisitor:
    """Signs in where a password is asked for, and looks at the page.

    Attributes:
        visits: how often the page was wanted.
        waited: the visits that had to try more than once.
        unanswered: the visits that got no page within their patience.
        broken: answers that said the page has a fault of its own.
    """

    def __init__(self, address: str, password: str | None = None) -> None:
        self.visits = self.waited = self.unanswered = self.broken = 0
        self._address = address
        self._password = password
        self._browser = httpx.AsyncClient(base_url=address, timeout=_TIMEOUT_S)

    async def look(self, patience_s: float) -> bool:
        """Look at the page, again and again until it is shown; whether it was."""
        self.visits += 1
        give_up_at, tried = time.monotonic() + patience_s, 0
        while not await self._shown():
            tried += 1
            if time.monotonic() > give_up_at:
                self.unanswered += 1
                return False
            await asyncio.sleep(_AGAIN_AFTER_S)
        self.waited += bool(tried)
        return True

    async def send(self, body: bytes) -> str:
        """Send something that is no request of a person; what became of it."""
        try:
            answer = await self._browser.post("/login", content=body, headers={"origin": self._address})
        except httpx.HTTPError as error:
            return type(error).__name__
        self.broken += answer.status_code >= _WRONG
        return str(answer.status_code)

    async def leave(self) -> None:
        """Close the browser."""
        await self._browser.aclose()

    async def _shown(self) -> bool:
        try:
            answer = await self._browser.get("/")
            if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.SEE_OTHER) and self._password is not None:
                await self._browser.post("/login", data={"password": self._password}, headers={"origin": self._address})
                answer = await self._browser.get("/")
        except httpx.HTTPError:
            return False
        self.broken += answer.status_code >= _WRONG
        return answer.status_code == httpx.codes.OK
