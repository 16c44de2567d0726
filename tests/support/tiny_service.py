"""A service for tests of the runtime: `python -m tests.support.tiny_service`, with the broker user `notifier`.

It accepts a reading at its interval, and says on its log what it accepted; a demand event named `bug` is one.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

import structlog
from pydantic import Field

from hems.actor.bus import Input, Received
from hems.actor.context import Context
from hems.actor.runner import run_service
from hems.actor.settings import Section
from hems.contracts.alerts import Alert
from hems.contracts.catalog import ALERT, DEMAND_EVENT
from hems.contracts.demand import DemandEvent

_START = datetime(2025, 1, 6, tzinfo=UTC)


class TinySettings(Section):
    """How often it says something, and how many times."""

    section: ClassVar[str] = "tiny"

    every_s: Annotated[float, Field(gt=0)] = 0.005
    count: Annotated[int, Field(ge=0)] = 0
    busy_thread_s: Annotated[float, Field(ge=0, description="a thread that can't be stopped, as a name that is looked up")] = 0


class Tiny:
    """Says alerts, numbered, for ever."""

    outputs = (ALERT,)

    def __init__(self, settings: TinySettings, context: Context) -> None:
        self._settings = settings
        self._context = context

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """What may break it."""
        return (Input(DEMAND_EVENT, self._hear),)

    async def run(self) -> None:
        """Accept one after the other."""
        busy = asyncio.get_running_loop().run_in_executor(None, time.sleep, self._settings.busy_thread_s)
        following = int(self._context.store.get("next") or b"0")
        for number in range(following, following + self._settings.count):
            self._accept(number)
            structlog.get_logger().info("accepted", number=number)
            await asyncio.sleep(self._settings.every_s)
        await busy
        await asyncio.Event().wait()

    def _accept(self, number: int) -> None:
        at = _START + timedelta(seconds=number)
        alert = Alert(id=f"tiny-{number}", rule="tiny", severity="info", title=str(number), message="-", at=at)
        with self._context.store.transaction(durable=False) as transaction:
            transaction.put("next", b"%d" % (number + 1))
            transaction.accept(ALERT, alert, message_id=alert.id)

    async def _hear(self, message: Received[DemandEvent]) -> None:
        if message.payload.id == "bug":
            raise ZeroDivisionError


if __name__ == "__main__":
    run_service("notifier", TinySettings, Tiny)
