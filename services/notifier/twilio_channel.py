"""SMS through Twilio's own library."""

import asyncio
import base64
import contextlib
import importlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import aiohttp
from twilio.base.exceptions import TwilioException  # pyright: ignore[reportMissingTypeStubs]
from twilio.http.async_http_client import AsyncTwilioHttpClient  # pyright: ignore[reportMissingTypeStubs]
from twilio.rest import Client  # pyright: ignore[reportMissingTypeStubs]

from services.notifier.domain.account import Account, Incoming
from services.notifier.domain.outgoing import Accepted, Delivered, Found, Later, Outcome, Rejected
from services.notifier.twilio_errors import judge, undelivered

_LONGEST_VALIDITY_S = 36_000
_LISTED = 50
_CLOCK_DIFFERENCE = timedelta(minutes=10)

_Rest: Any = Client
T = TypeVar("T")


class TwilioChannel:
    """One account; opened inside the loop, since Twilio's client opens its connections when it is made."""

    name = "sms"

    def __init__(self, account: Account) -> None:
        self._account = account
        self._http: Any = None
        self._client: Any = None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Make the client, and close its connections at the end."""
        account = self._account
        # A second of imports, which would hold up the loop when the client is first used.
        await asyncio.to_thread(importlib.import_module, "twilio.rest.api.v2010")
        self._http = _Http()
        self._client = _Rest(account.username, account.password, account.sid, http_client=self._http)
        self._client.api.base_url = account.base_url
        try:
            yield
        finally:
            await self._http.close()

    async def send(self, address: str, text: str, useful_for_s: float) -> Outcome:
        """Hand a message to Twilio; it forgets what it could not pass on while that was useful."""
        sender = (
            {"messaging_service_sid": self._account.messaging_service_sid}
            if self._account.messaging_service_sid
            else {"from_": self._account.sender}
        )
        validity_s = int(min(max(useful_for_s, 10), _LONGEST_VALIDITY_S))
        answer = await self._asked(lambda: self._client.messages.create_async(to=address, body=text, validity_period=validity_s, **sender))
        if not isinstance(answer, _Answer):
            return answer
        sid = getattr(answer.value, "sid", None)
        return Accepted(sid) if isinstance(sid, str) else Later("Twilio's answer holds no message id", may_be_taken=True)

    async def find(self, address: str, text: str, since: datetime, known: Collection[str]) -> Found | Later:
        """Look in the list of recent messages for one that an attempt since then may have left there.

        A trial account's texts carry a preamble, so the end is compared; `known` are the ids of other messages of ours.
        """
        answer = await self._asked(lambda: self._client.messages.list_async(to=address, limit=_LISTED, page_size=_LISTED))
        if isinstance(answer, _Answer):
            matching = [message for message in answer.value if self._matches(message, text, since) and message.sid not in known]
            return Found(matching[0].sid if matching else None)
        return answer if isinstance(answer, Later) else Later(answer.reason, account=True)

    async def check(self, provider_id: str) -> Delivered:
        """Ask how far a message has come; where that can't be told now, it is still on its way."""
        answer = await self._asked(lambda: self._client.messages(provider_id).fetch_async())
        if not isinstance(answer, _Answer):
            return Delivered(None, answer.reason)
        if answer.value.status in ("delivered", "read"):
            return Delivered("delivered")
        if answer.value.status in ("undelivered", "failed", "canceled"):
            return undelivered(answer.value.error_code, answer.value.error_message)
        return Delivered(None)

    async def incoming(self) -> list[Incoming]:
        """The newest messages to our number, the oldest of them first; none where Twilio can't be asked."""
        if self._account.sender is None:
            return []
        answer = await self._asked(lambda: self._client.messages.list_async(to=self._account.sender, limit=_LISTED, page_size=_LISTED))
        if not isinstance(answer, _Answer):
            return []
        inbound = [message for message in answer.value if message.direction == "inbound" and _moment(message.date_created)]
        return [Incoming(message.sid, message.from_, message.body or "", _moment(message.date_created)) for message in reversed(inbound)]

    async def _asked(self, question: Callable[[], Awaitable[Any]]) -> "_Answer | Rejected | Later":
        try:
            async with asyncio.timeout(self._account.timeout_s):
                return _Answer(await question())
        except TwilioException as error:
            status: Any = getattr(error, "status", None)
            code: Any = getattr(error, "code", None)
            said = getattr(error, "msg", None) or getattr(error, "detail", None) or str(error)
            return judge(status, code, str(said), self._http.retry_after_s)
        except aiohttp.ClientConnectorError as error:
            return Later(f"Twilio can't be reached: {error}")
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            return Later(f"no clear answer from Twilio: {str(error) or type(error).__name__}", may_be_taken=True)

    def _matches(self, message: Any, text: str, since: datetime) -> bool:
        created = _moment(message.date_created)
        if message.direction == "inbound" or created is None or created < since - _CLOCK_DIFFERENCE:
            return False
        return " ".join((message.body or "").split()).endswith(" ".join(text.split()))


@dataclass(frozen=True)
class _Answer:
    value: Any


class _Http(AsyncTwilioHttpClient):
    """Twilio's own client, with the header that says how long to wait, which it drops from errors.

    Credentials go as a header: the way in which Twilio's client passes them is deprecated in aiohttp.
    """

    retry_after_s: float | None = None

    async def request(self, method: str, url: str, *, headers: dict[str, str], auth: tuple[str, str], **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - as the client calls it
        self.retry_after_s = None
        credentials = base64.b64encode(":".join(auth).encode()).decode()
        inherited: Any = super()
        response: Any = await inherited.request(method, url, headers={**headers, "Authorization": f"Basic {credentials}"}, **options)
        said: str = response.headers.get("Retry-After", "")
        self.retry_after_s = float(said) if said.isdigit() else None
        return response


def _moment(value: Any) -> Any:
    return value if not isinstance(value, datetime) or value.tzinfo else value.replace(tzinfo=UTC)
