"""What the bridge needs of a cloud: a conversation about values, and an API beside it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from services.bridge_adafruit.domain.gap import Batch
from services.bridge_adafruit.domain.notices import Notice, Values


class KeyRefused(Exception):
    """The cloud knows no such user, or the key is another's."""


class ApiRefused(Exception):
    """An answer that is a refusal. `status` is HTTP's; 422 is a full account or a value that it does not like."""

    def __init__(self, status: int, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"Adafruit IO refused ({status}): {reason}")
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s


class ApiSilent(Exception):
    """No answer, or one that says nothing: what was asked may have been done."""


class CloudConnection(Protocol):
    """A conversation, while it lasts."""

    async def begin(self) -> None:
        """Listen, and ask for the last values.

        Raises:
            Disconnected: the connection broke.
        """
        ...

    async def publish(self, values: Mapping[str, str]) -> None:
        """Write to feeds.

        Raises:
            Disconnected: the connection broke, or no answer came; they may have arrived.
        """
        ...

    def heard(self) -> AsyncIterator[Values | Notice]:
        """Values and notices.

        Raises:
            Disconnected: the connection broke.
        """
        ...


class Cloud(Protocol):
    """Somewhere to connect to."""

    def connect(self) -> AbstractAsyncContextManager[CloudConnection]:
        """Connect once.

        Raises:
            Disconnected: it can't be reached.
            KeyRefused: it does not let us in.
        """
        ...


class Api(Protocol):
    """The API beside the conversation. Each question raises ApiRefused or ApiSilent."""

    def opened(self) -> AbstractAsyncContextManager[None]:
        """Open it until the end."""
        ...

    async def rate(self) -> tuple[int, int]:
        """The account's points a minute, and those of the minute that ends now; 0 where they are not known."""
        ...

    async def last_values(self) -> Mapping[str, str | None]:
        """The feeds of the group, and what each shows."""
        ...

    async def fill(self, batch: Batch) -> None:
        """Write points with times of their own."""
        ...

    async def times(self, key: str, start: datetime, end: datetime) -> set[datetime]:
        """The times of the points that a feed holds between two times."""
        ...
