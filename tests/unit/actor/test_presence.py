"""A service's goodbye."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from hems.actor.clock import WallClock
from hems.actor.health import Health
from hems.actor.presence import Presence
from hems.actor.store import Store
from hems.contracts.topic import Qos, Root


class SlowBus:
    """A broker that passes on what is said, and answers the first of it never."""

    session_present = False

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.spoken = asyncio.Event()

    async def subscribe(self, topic_filter: str, qos: Qos, *, as_published: bool = False) -> None:
        """Nothing comes."""

    async def publish(self, topic: str, payload: bytes, *, qos: Qos, retain: bool) -> None:
        """Others have it before the answer."""
        self.said.append(payload)
        self.spoken.set()
        if len(self.said) == 1:
            await asyncio.Event().wait()

    def deliveries(self) -> Any:
        """Nothing comes."""


async def test_a_stop_before_the_brokers_answer_says_goodbye_too(tmp_path: Path) -> None:
    """Others have heard `online`: without an `offline` they would believe it for ever."""
    log, bus = structlog.get_logger(), SlowBus()
    with Store(tmp_path / "service.db", log) as store:
        presence = Presence("tiny", Root("home"), WallClock(), Health(datetime.now(UTC)), store, log)
        attending = asyncio.create_task(presence.attend(bus))
        await bus.spoken.wait()
        attending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attending
    assert bus.said == [b"online", b"offline"]
