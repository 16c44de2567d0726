"""Adafruit IO's HTTP API, version 2 (https://io.adafruit.com/api/docs)."""

import contextlib
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import aiohttp

from services.bridge_adafruit.account import Account
from services.bridge_adafruit.cloud import ApiRefused, ApiSilent
from services.bridge_adafruit.domain.gap import Batch

_SECONDS = re.compile(r"(\d+)\s*sec")
_LONGEST_ANSWER = 8 * 1024 * 1024


class AdafruitHttp:
    """The account's HTTP API."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._session: Any = None
        self._wrapped = False

    @property
    def page(self) -> str:
        """Where the account's pages are."""
        return f"{re.sub(r'/api/v2$', '', self._account.base_url)}/{self._account.username}"

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Open the session, and close it at the end."""
        timeout = aiohttp.ClientTimeout(total=self._account.timeout_s)
        async with aiohttp.ClientSession(headers={"X-AIO-Key": self._account.key}, timeout=timeout) as self._session:
            yield

    async def get(self, path: str, **query: str) -> Any:
        """Read something below the user's own path.

        Raises:
            ApiRefused: it was refused.
            ApiSilent: there was no answer.
        """
        return await self._asked("GET", path, params=query)

    async def send(self, method: str, path: str, body: Any) -> Any:
        """Create or change something below the user's own path.

        Raises:
            ApiRefused: it was refused.
            ApiSilent: there was no answer; it may have been done.
        """
        return await self._asked(method, path, json=body)

    async def rate(self) -> tuple[int, int]:
        """The account's points a minute, and those of the minute that ends now.

        Raises:
            ApiRefused: it was refused.
            ApiSilent: there was no answer.
        """
        answer: Any = await self.get("throttle")
        known = cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}
        return _whole(known.get("data_rate_limit")), _whole(known.get("active_data_rate"))

    async def last_values(self) -> dict[str, str | None]:
        """The feeds of the group by their keys in it, and what each shows.

        Raises:
            ApiRefused: it was refused; 404 where there is no such group.
            ApiSilent: there was no answer.
        """
        answer: Any = await self.get(f"groups/{self._account.group}/feeds")
        found = (
            [cast("dict[str, Any]", feed) for feed in cast("list[Any]", answer) if isinstance(feed, dict)]
            if isinstance(answer, list)
            else []
        )
        prefix = f"{self._account.group}."
        return {str(feed.get("key", "")).removeprefix(prefix): feed.get("last_value") for feed in found}

    async def fill(self, batch: Batch) -> None:
        """Write points with times of their own.

        Raises:
            ApiRefused: it was refused.
            ApiSilent: there was no answer; they may be there.
        """
        points = [{"value": point.value, "created_at": _iso(point.at)} for point in batch.points]
        try:
            await self.send("POST", self._data(batch.key, "/batch"), {"data": points} if self._wrapped else points)
        except ApiRefused as refusal:
            if self._wrapped or refusal.status not in (400, 422):
                raise
            # The description has a bare list, Adafruit's own clients send it under `data`.
            self._wrapped = True
            await self.send("POST", self._data(batch.key, "/batch"), {"data": points})

    async def times(self, key: str, start: datetime, end: datetime) -> set[datetime]:
        """The times of the points that a feed holds between two times, both included.

        Raises:
            ApiRefused: it was refused.
            ApiSilent: there was no answer.
        """
        around = timedelta(seconds=1)
        answer: Any = await self.get(self._data(key), start_time=_iso(start - around), end_time=_iso(end + around), limit="1000")
        held = cast("list[Any]", answer) if isinstance(answer, list) else []
        return {
            moment for entry in held if isinstance(entry, dict) and (moment := _moment(cast("dict[str, Any]", entry).get("created_at")))
        }

    def _data(self, key: str, more: str = "") -> str:
        return f"groups/{self._account.group}/feeds/{key}/data{more}"

    async def _asked(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self._account.base_url}/{self._account.username}/{path}"
        try:
            async with self._session.request(method, url, allow_redirects=False, **options) as response:
                return _judged(response.status, await _text(response), response.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiSilent(f"no answer from Adafruit IO: {str(error) or type(error).__name__}") from None


async def _text(response: Any) -> str:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > _LONGEST_ANSWER:
            raise ApiSilent("Adafruit IO's answer is too long")
    return body.decode(errors="replace")


def _judged(status: int, text: str, retry_after: str) -> Any:
    if status >= 500:
        raise ApiSilent(f"Adafruit IO failed ({status})")
    try:
        answer: Any = json.loads(text) if text.strip() else None
    except ValueError:
        answer = None
        if status < 300:
            raise ApiSilent("Adafruit IO's answer is not JSON") from None
    if status < 300:
        return answer
    said = cast("Mapping[str, Any]", answer).get("error") if isinstance(answer, dict) else None
    reason = _sentence(said) or text[:200] or "no reason given"
    seconds = _SECONDS.search(reason)
    wait_s = float(retry_after) if retry_after.isdigit() else float(seconds[1]) if seconds else None
    raise ApiRefused(status, reason, wait_s)


def _sentence(said: Any) -> str:
    parts = cast("Sequence[Any]", said) if isinstance(said, list) else [said] if said else []
    return "; ".join(map(str, parts))[:300]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)).astimezone(UTC).replace(microsecond=0)
    except ValueError:
        return None


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
