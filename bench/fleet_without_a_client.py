"""The replica's own work on a reading, its messages handed over in memory: what would be left if an MQTT client cost nothing."""

import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from hems.actor.clock import WallClock
from hems.actor.context import Context
from hems.actor.runner import serve
from hems.actor.store import Store
from hems.contracts.catalog import MAINS
from hems.contracts.mains import Mains
from hems.contracts.topic import Root
from hems.testing.memory_bus import MemoryBroker
from services.disaggregator.domain.many import Reading
from services.disaggregator.domain.network import Network
from services.disaggregator.fleet import FleetDisaggregator
from services.disaggregator.settings import DisaggregatorSettings, FleetSettings
from services.disaggregator.states import OwnStates

_TOGETHER = 100


def reading_us(networks: Sequence[Network], readings: Sequence[Reading]) -> float:
    """µs of processor time a reading, from its bytes to its acknowledgement, states kept in SQLite."""
    return asyncio.run(_reading_us(networks, readings))


async def _reading_us(networks: Sequence[Network], readings: Sequence[Reading]) -> float:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    broker, log, health = MemoryBroker(), structlog.get_logger(), list[Any]()
    settings = FleetSettings(gather_s=0.001)

    def build(context: Context) -> FleetDisaggregator:
        health.append(context.health)
        states = OwnStates(context.store)
        return FleetDisaggregator(
            DisaggregatorSettings(), settings, context, lambda names: (networks, ()), broker, lambda: nullcontext(states)
        )

    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "replica.db", log) as store:
        root = Root("replica")
        serving = asyncio.ensure_future(serve("disaggregator", build, broker=broker, root=root, clock=WallClock(), store=store, log=log))
        await asyncio.sleep(0.5)
        began_s, shift_s = time.process_time(), time.time() - readings[-1].time_s
        messages = [_message(reading, shift_s) for reading in readings]
        spent_on_messages_s = time.process_time() - began_s
        for first in range(0, len(messages), _TOGETHER):
            for topic, payload in messages[first : first + _TOGETHER]:
                broker.say(topic, payload)
            while health[0].report(datetime.now(UTC), 0).work.get("readings", 0) < first + _TOGETHER:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        spent_s = time.process_time() - began_s - spent_on_messages_s
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
    return spent_s / len(readings) * 1e6


def _message(reading: Reading, shift_s: float) -> tuple[str, bytes]:
    measured_at = datetime.fromtimestamp(reading.time_s + shift_s, UTC)
    return MAINS.at(Root(reading.home)), Mains(measured_at=measured_at, power_w=reading.power_w, quality="measured").to_wire()
