"""What IFTTT is told, and what is done where it can't be told."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from hems.contracts.alerts import Alert
from hems.contracts.appliances import ApplianceEvent
from hems.contracts.catalog import ALERT, APPLIANCE_EVENT, DEMAND, SERVICE_HEALTH
from hems.contracts.demand import DemandState
from hems.testing.clocks import START, ManualClock
from hems.testing.harness import Stage, on_stage
from services.bridge_adafruit.actor import BridgeAdafruit
from services.bridge_adafruit.domain.triggers import Trigger, TriggerLater, TriggerRefused
from services.bridge_adafruit.ifttt import Ifttt
from services.bridge_adafruit.settings import BridgeAdafruitSettings

EVENTS = [
    {"event": "washing_done", "when": "finished", "appliance": "washing_machine"},
    {"event": "hems_alert", "when": "alert", "severity": "critical"},
    {"event": "grid", "when": "demand"},
]


class FakeRecipes:
    """Takes everything, unless `failures` say otherwise."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = deque(failures)
        self.told: list[Trigger] = []
        self.attempts = 0

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncGenerator[None]:
        """Nothing to open."""
        yield

    async def tell(self, trigger: Trigger) -> None:
        """The next failure, or taken."""
        self.attempts += 1
        if self.failures:
            raise self.failures.popleft()
        self.told.append(trigger)


@contextlib.asynccontextmanager
async def telling(folder: Path, recipes: FakeRecipes, clock: ManualClock) -> AsyncGenerator[Stage]:
    """A bridge with triggers and no account."""
    settings = BridgeAdafruitSettings.read({"ifttt": {"key": "k", "events": EVENTS}}, {})
    async with on_stage(
        "bridge_adafruit", lambda context: BridgeAdafruit(settings, context, recipes=recipes), folder, clock=clock
    ) as stage:
        yield stage


def finished(identity: str = "e1", at: Any = START) -> ApplianceEvent:
    """The washing machine has finished."""
    return ApplianceEvent(id=identity, kind="finished", at=at, announced_at=at, confidence=0.9, duration_s=4_200, energy_kwh=0.912)


def alert(severity: Any = "critical") -> Alert:
    """Something is wrong."""
    return Alert(id=f"a-{severity}", rule="x", severity=severity, title="Fire", message="It burns.", at=START)


async def test_chosen_events_are_told_once(tmp_path: Path) -> None:
    """The chosen appliance, alerts of the chosen severity and a changed demand level; the same event again is not."""
    recipes, clock = FakeRecipes(), ManualClock()
    async with telling(tmp_path, recipes, clock) as stage:
        for _ in range(2):
            await stage.tell(APPLIANCE_EVENT, finished(), appliance="washing_machine")
        await stage.tell(APPLIANCE_EVENT, finished("e2"), appliance="kettle")
        await stage.tell(ALERT, alert("warning"))
        await stage.tell(ALERT, alert())
        await stage.tell(DEMAND, DemandState(level="normal"), retain=True)
        await stage.tell(DEMAND, DemandState(level="high", reason="peak"), retain=True)
        await clock.advance(1)
    assert [(trigger.event, trigger.values) for trigger in recipes.told] == [
        ("washing_done", ("washing machine", "70 min", "0.91 kWh")),
        ("hems_alert", ("Fire", "It burns.", "critical")),
        ("grid", ("high", "", "peak")),
    ]


async def test_history_triggers_nothing(tmp_path: Path) -> None:
    """An event of three minutes ago is no news."""
    recipes, clock = FakeRecipes(), ManualClock()
    async with telling(tmp_path, recipes, clock) as stage:
        await clock.advance(180)
        await stage.tell(APPLIANCE_EVENT, finished(), appliance="washing_machine")
        await clock.advance(5)
    assert recipes.told == []


async def test_it_is_told_again_until_it_is_taken(tmp_path: Path) -> None:
    """Three failures, then it is taken; waits grow; a refusal is not repeated."""
    recipes, clock = FakeRecipes(*[TriggerLater("503")] * 3), ManualClock()
    async with telling(tmp_path, recipes, clock) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(), appliance="washing_machine")
        await clock.advance(1)
        assert recipes.attempts == 1
        await clock.advance(30)
        assert len(recipes.told) == 1
        assert recipes.attempts == 4
        recipes.failures.append(TriggerRefused("401"))
        await stage.tell(ALERT, alert())
        await clock.advance(120)
        assert recipes.attempts == 5


async def test_what_nobody_takes_is_given_up(tmp_path: Path) -> None:
    """After ten minutes it is no news any more: it is given up, and counted."""
    recipes, clock = FakeRecipes(*[TriggerLater("503")] * 99), ManualClock()
    async with telling(tmp_path, recipes, clock) as stage:
        await stage.tell(APPLIANCE_EVENT, finished(), appliance="washing_machine")
        await clock.advance(900)
        assert recipes.attempts < 30
        await asyncio.sleep(0)
        assert recipes.told == []
        recipes.failures.clear()
        await stage.tell(ALERT, alert().model_copy(update={"at": clock.now()}))
        await clock.advance(1)
        assert [trigger.event for trigger in recipes.told] == ["hems_alert"]
        assert stage.said(SERVICE_HEALTH)


@contextlib.asynccontextmanager
async def maker(*statuses: int) -> AsyncGenerator[tuple[str, list[tuple[str, Any]]]]:
    """IFTTT's Webhooks on the loopback: what it was asked."""
    asked: list[tuple[str, Any]] = []
    answers = deque(statuses)

    async def take(request: web.Request) -> web.Response:
        asked.append((request.path, await request.json()))
        return web.Response(status=answers.popleft() if answers else 200)

    app = web.Application()
    app.router.add_post("/trigger/{event}/with/key/{key}", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


async def test_the_request_is_what_ifttt_takes() -> None:
    """POST /trigger/<event>/with/key/<key> with value1 to value3."""
    async with maker() as (url, asked):
        recipes = Ifttt(url, "the-key", 5)
        async with recipes.opened():
            await recipes.tell(Trigger("washing_done", ("a", "b", "c"), START))
        assert asked == [("/trigger/washing_done/with/key/the-key", {"value1": "a", "value2": "b", "value3": "c"})]


@pytest.mark.parametrize(("status", "failure"), [(429, TriggerLater), (503, TriggerLater), (401, TriggerRefused), (404, TriggerRefused)])
async def test_failures_are_told_apart(status: int, failure: type[Exception]) -> None:
    """Too many and a broken server are tried again, anything else is not; the key is in no message."""
    async with maker(status) as (url, _):
        recipes = Ifttt(url, "the-key", 5)
        async with recipes.opened():
            with pytest.raises(failure) as caught:
                await recipes.tell(Trigger("x", ("", "", ""), START))
    assert "the-key" not in str(caught.value)


async def test_nobody_there_is_tried_again() -> None:
    """A refused connection is no reason to give up, and the key is not in the message."""
    recipes = Ifttt("http://127.0.0.1:9", "the-key", 5)
    async with recipes.opened():
        with pytest.raises(TriggerLater) as caught:
            await recipes.tell(Trigger("x", ("", "", ""), START))
    assert "the-key" not in str(caught.value)
