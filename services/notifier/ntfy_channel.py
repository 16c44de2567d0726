"""Messages to a phone's ntfy app, through ntfy.sh or a server of one's own (https://docs.ntfy.sh/publish)."""

import contextlib
import json
from collections.abc import AsyncGenerator, Collection
from datetime import datetime, timedelta
from typing import Any

import aiohttp

from services.notifier.domain.outgoing import Accepted, Delivered, Found, Later, Outcome, Rejected

_CLOCK_DIFFERENCE = timedelta(minutes=10)


class NtfyChannel:
    """One ntfy server; an address is a topic there."""

    name = "ntfy"

    def __init__(self, base_url: str, token: str | None, timeout_s: float, title: str) -> None:
        self._base_url = base_url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout_s = timeout_s
        self._title = title
        self._session: Any = None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Open the session, and close it at the end."""
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        async with aiohttp.ClientSession(headers=self._headers, timeout=timeout) as self._session:
            yield

    async def send(self, address: str, text: str, useful_for_s: float) -> Outcome:
        """Publish a message on a topic."""
        answer = await self._asked("POST", "/", json={"topic": address, "title": self._title, "message": text})
        if not isinstance(answer, str):
            return answer
        message_id = _message_id(answer)
        return Accepted(message_id, confirms=False) if message_id else Later("the ntfy server gave no message id", may_be_taken=True)

    async def find(self, address: str, text: str, since: datetime, known: Collection[str]) -> Found | Later:
        """Look among the messages that the server still keeps of this topic."""
        began = int((since - _CLOCK_DIFFERENCE).timestamp())
        answer = await self._asked("GET", f"/{address}/json", params={"poll": "1", "since": str(began)})
        if isinstance(answer, str):
            kept = [entry for entry in map(_parsed, answer.splitlines()) if entry.get("message") == text]
            ids = [str(entry["id"]) for entry in kept if entry.get("id") not in known and "id" in entry]
            return Found(ids[-1] if ids else None)
        return answer if isinstance(answer, Later) else Found(None, "the ntfy server does not show what it keeps")

    async def check(self, provider_id: str) -> Delivered:
        """An ntfy server does not know whether a phone has fetched a message."""
        return Delivered(None)

    async def _asked(self, method: str, path: str, **options: Any) -> str | Rejected | Later:
        try:
            async with self._session.request(method, self._base_url + path, **options) as response:
                return _judged(response.status, await response.text(), response.headers.get("Retry-After", ""))
        except aiohttp.ClientConnectorError as error:
            return Later(f"the ntfy server can't be reached: {error}")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return Later(f"no clear answer from the ntfy server: {str(error) or type(error).__name__}", may_be_taken=True)


def _judged(status: int, body: str, retry_after: str) -> str | Rejected | Later:
    if status < 300:
        return body
    if status == 429:
        return Later("the ntfy server asks to slow down", float(retry_after) if retry_after.isdigit() else None)
    if status >= 500:
        return Later(f"the ntfy server failed ({status})", may_be_taken=True)
    if status in (401, 403):
        return Later(f"the ntfy server refuses the access ({status}); check notifier.ntfy.token", account=True)
    return Rejected(f"the ntfy server refused the message ({status}): {body[:200]}")


def _message_id(body: str) -> str | None:
    found = _parsed(body).get("id")
    return found if isinstance(found, str) else None


def _parsed(line: str) -> dict[str, Any]:
    try:
        value: Any = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType]
