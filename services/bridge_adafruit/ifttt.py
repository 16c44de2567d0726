"""IFTTT's Webhooks service: it is told of an event, and does what people have set up there (https://ifttt.com/maker_webhooks)."""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import aiohttp

from services.bridge_adafruit.domain.triggers import Trigger, TriggerLater, TriggerRefused


class Ifttt:
    """One account's Webhooks."""

    def __init__(self, base_url: str, key: str, timeout_s: float) -> None:
        self._base_url = base_url
        self._key = key
        self._timeout_s = timeout_s
        self._session: Any = None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Open the session, and close it at the end."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_s)) as self._session:
            yield

    async def tell(self, trigger: Trigger) -> None:
        """Trigger an event.

        Raises:
            TriggerRefused: it is not taken.
            TriggerLater: try again.
        """
        url = f"{self._base_url}/trigger/{trigger.event}/with/key/{self._key}"
        body = {f"value{number}": value for number, value in enumerate(trigger.values, 1)}
        try:
            async with self._session.post(url, json=body, allow_redirects=False) as response:
                status: int = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            # The address holds the key: it must not get into a log.
            raise TriggerLater(f"IFTTT can't be reached ({type(error).__name__})") from None
        if status == 429 or status >= 500:
            raise TriggerLater(f"IFTTT asks to wait ({status})")
        if status >= 300:
            raise TriggerRefused(f"IFTTT refused it ({status}); check bridge_adafruit.ifttt.key and the event's name")
