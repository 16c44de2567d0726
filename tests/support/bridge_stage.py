"""A bridge on a stage: the home's broker and Adafruit IO in memory, and a clock moved by hand."""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hems.actor.context import Context
from hems.contracts.appliances import ApplianceState
from hems.contracts.catalog import APPLIANCE, MAINS, RELAY, RELAY_RESULT, RELAY_SET_BY
from hems.contracts.mains import Mains
from hems.contracts.relays import Level, RelayCommand, RelayResult, RelayState
from hems.testing.clocks import ManualClock
from hems.testing.harness import Stage, on_stage
from hems.testing.memory_bus import MemoryBroker
from services.bridge_adafruit.actor import BridgeAdafruit
from services.bridge_adafruit.settings import BridgeAdafruitSettings
from tests.support.adafruit_account import AdafruitAccount
from tests.support.adafruit_memory import MemoryCloud

ACCOUNT = {"username": "tester", "key": "aio_0123456789"}


def settings(**values: Any) -> BridgeAdafruitSettings:
    """A bridge with an account."""
    return BridgeAdafruitSettings.read({**ACCOUNT, **values}, {})


@dataclass
class Bridge:
    """A running bridge, its home and its cloud."""

    stage: Stage
    clock: ManualClock
    account: AdafruitAccount
    cloud: MemoryCloud

    def shown(self, key: str) -> str | None:
        """What a feed shows."""
        return self.account.shown(key)

    def held(self, key: str) -> list[str]:
        """All values of a feed, in the order in which they came."""
        return [point.value for point in self.account.feeds[key]]

    def commands(self, source: str = "adafruit") -> list[tuple[str, RelayCommand]]:
        """What was asked of relays."""
        said = self.stage.said(RELAY_SET_BY)
        return [(parameters["relay"], command) for parameters, command in said if parameters["source"] == source]

    async def mains(self, power_w: float, **more: float) -> None:
        """A reading of now."""
        await self.stage.tell(MAINS, Mains(measured_at=self.clock.now(), power_w=power_w, quality="measured", **more), retain=True)  # type: ignore[arg-type]

    async def appliance(self, name: str, *, running: bool) -> None:
        """An appliance's state of now."""
        state = ApplianceState(observed_at=self.clock.now(), running=running, power_w=100, confidence=0.9)
        await self.stage.tell(APPLIANCE, state, retain=True, appliance=name)

    async def relay(self, name: str, level: Level) -> None:
        """Where a relay stands now."""
        state = RelayState(state=level, how="read_back", changed_at=self.clock.now())
        await self.stage.tell(RELAY, state, retain=True, relay=name)

    async def result(self, name: str, command: RelayCommand, *, accepted: bool, reason: str | None = None) -> None:
        """The actuator's answer."""
        await self.stage.tell(RELAY_RESULT, RelayResult(id=command.id, source="adafruit", accepted=accepted, reason=reason), relay=name)

    async def press(self, key: str, value: str) -> None:
        """A person presses a toggle."""
        self.account.press(key, value)
        await self.clock.advance(0)


@contextlib.asynccontextmanager
async def bridge(
    directory: Path,
    *relays: str,
    chosen: BridgeAdafruitSettings | None = None,
    account: AdafruitAccount | None = None,
    broker: MemoryBroker | None = None,
    clock: ManualClock | None = None,
    without: Sequence[str] = (),
    **parts: Any,
) -> AsyncGenerator[Bridge]:
    """Run a bridge whose account has all the feeds (but those in `without`), until the block ends."""
    clock = clock or (account.clock if account is not None and isinstance(account.clock, ManualClock) else ManualClock())
    chosen = chosen or settings()
    feeds, _ = chosen.shown(relays)
    account = account or AdafruitAccount(clock, limit=chosen.points_per_minute)
    account.feeds = {feed.key: account.feeds.get(feed.key, []) for feed in feeds if feed.key not in without} | account.feeds
    cloud = MemoryCloud(account)

    def build(context: Context) -> BridgeAdafruit:
        return BridgeAdafruit(chosen, context, feeds=feeds, cloud=cloud, api=cloud, **parts)

    async with on_stage("bridge_adafruit", build, directory, broker=broker, clock=clock) as stage:
        await clock.advance(1)
        yield Bridge(stage, clock, account, cloud)
