"""The dashboard on a broker in memory: what it shows, asks and says."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from hems.contracts.appliances import ApplianceState
from hems.contracts.catalog import (
    APPLIANCE,
    APPLIANCE_LABEL,
    DEMAND_EVENT,
    DEMAND_OVERRIDE,
    ENERGY,
    HISTORY_QUERY,
    HISTORY_RESULT,
    MAINS,
    NOTIFY_MUTE,
    NOTIFY_TEST,
    RELAY,
    RELAY_RESULT,
    RELAY_SET_BY,
)
from hems.contracts.energy import Energy, HistoryResult
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayResult, RelayState
from hems.testing.clocks import settle
from hems.testing.harness import Stage, on_stage
from services.dashboard.actor import Dashboard
from services.dashboard.desk import Desk
from services.dashboard.domain.answers import Unanswered
from services.dashboard.domain.figures import Figures
from tests.support.waiting import until


class FakeSite:
    """Pages that nobody draws; it notes how often they were brought up to date."""

    desk: Desk

    def __init__(self) -> None:
        self.refreshed = asyncio.Event()

    async def open(self, desk: Desk) -> None:
        """Take what pages work with."""
        self.desk = desk

    async def serve(self) -> None:
        """Serve nothing."""
        await asyncio.Event().wait()

    async def refresh(self) -> None:
        """Note it."""
        self.refreshed.set()


@asynccontextmanager
async def dashboard(folder: Path) -> AsyncGenerator[tuple[Stage, FakeSite]]:
    """A running dashboard."""
    site = FakeSite()
    async with on_stage("dashboard", lambda context: Dashboard(context, site, Figures(ZoneInfo("Europe/London"))), folder) as stage:
        yield stage, site


async def test_news_is_shown_at_once(tmp_path: Path) -> None:
    """A reading and a state are in the home, and the pages are told."""
    async with dashboard(tmp_path) as (stage, site):
        await site.refreshed.wait()
        site.refreshed.clear()
        now = stage.clock.now()
        await stage.tell(MAINS, Mains(measured_at=now, power_w=512, quality="estimated"))
        await stage.tell(APPLIANCE, ApplianceState(observed_at=now, running=True, power_w=2_000, confidence=0.9), appliance="kettle")
        assert site.desk.home.mains is not None
        assert [name for name, _ in site.desk.home.running()] == ["kettle"]
        await asyncio.wait_for(site.refreshed.wait(), 5)


async def test_a_switch_goes_out_as_this_pages_own_and_soon_expires(tmp_path: Path) -> None:
    """The topic is the proof of its source; an old command must not switch."""
    async with dashboard(tmp_path) as (stage, site):
        await site.desk.switch("bulb", "ON", for_s=1_800)
        ((parameters, command),) = stage.said(RELAY_SET_BY)
        assert (parameters["relay"], parameters["source"]) == ("bulb", "dashboard")
        assert (command.state, command.for_s, command.issued_at) == ("ON", 1_800, stage.clock.now())
        assert command.expires_at is not None
        assert command.expires_at - stage.clock.now() <= timedelta(seconds=10)
        await stage.tell(RELAY_RESULT, RelayResult(id=command.id, source="dashboard", accepted=True), relay="bulb")
        await stage.tell(RELAY, RelayState(state="ON", how="read_back", changed_at=stage.clock.now(), source="dashboard"), relay="bulb")
        assert (asked := site.desk.switching.of("bulb")) is not None
        assert asked.outcome == "confirmed"


async def test_without_a_broker_a_switch_is_refused_at_once(tmp_path: Path) -> None:
    """It would come too late; the page says why."""
    async with dashboard(tmp_path) as (stage, site):
        stage.broker.kill()
        await settle()
        await site.desk.switch("bulb", "ON")
        assert (asked := site.desk.switching.of("bulb")) is not None
        assert (asked.outcome, asked.reason) == ("refused", "there is no connection to the broker")
        assert stage.said(RELAY_SET_BY) == []


async def test_a_label_survives_a_broker_that_is_away(tmp_path: Path) -> None:
    """It is kept, and said when the broker is back."""
    async with dashboard(tmp_path) as (stage, site):
        stage.broker.kill()
        await settle()
        assert site.desk.label("kettle", "wrong")
        assert stage.said(APPLIANCE_LABEL) == []
        stage.broker.start()
        await until(lambda: bool(stage.said(APPLIANCE_LABEL)))
        ((parameters, label),) = stage.said(APPLIANCE_LABEL)
        assert (parameters["appliance"], label.verdict, label.source) == ("kettle", "wrong", "dashboard")


async def test_wishes_go_out(tmp_path: Path) -> None:
    """Less for an hour, an opt-out, a test, a silence."""
    async with dashboard(tmp_path) as (stage, site):
        assert await site.desk.demand("high", 3_600)
        assert await site.desk.opt_out(event="e", relay=None)
        assert await site.desk.send_test()
        assert await site.desk.mute(stage.clock.now() + timedelta(hours=1))
        ((_, event),) = stage.said(DEMAND_EVENT)
        assert (event.level, event.ends_at - event.starts_at) == ("high", timedelta(hours=1))
        assert [len(stage.said(DEMAND_OVERRIDE)), len(stage.said(NOTIFY_TEST)), len(stage.said(NOTIFY_MUTE))] == [1, 1, 1]
        assert site.desk.home.muted_until is not None


async def test_an_answer_is_put_together_from_its_pieces(tmp_path: Path) -> None:
    """Several questions may wait; each gets its own answer."""
    async with dashboard(tmp_path) as (stage, site):
        now = stage.clock.now()
        asked = [asyncio.ensure_future(site.desk.ask(what, now - timedelta(hours=1), now)) for what in ("price", "carbon")]
        await settle()
        queries = {query.what: query.id for _, query in stage.said(HISTORY_QUERY)}
        for what in ("carbon", "price"):
            for number in (0, 1):
                piece = HistoryResult(id=queries[what], piece=number, last=number == 1, columns=("value",), rows=((f"{what}{number}",),))
                await stage.tell(HISTORY_RESULT, piece, client="dashboard")
        assert [(await answer).column("value") for answer in asked] == [["price0", "price1"], ["carbon0", "carbon1"]]


async def test_a_refused_question_gives_the_recorders_reason(tmp_path: Path) -> None:
    """And an answer that nobody waits for is let go."""
    async with dashboard(tmp_path) as (stage, site):
        now = stage.clock.now()
        asking = asyncio.ensure_future(site.desk.ask("nonsense", now - timedelta(hours=1), now))
        await settle()
        identity = next(query.id for _, query in stage.said(HISTORY_QUERY) if query.what == "nonsense")
        await stage.tell(HISTORY_RESULT, HistoryResult(id="unknown", piece=0, last=True), client="dashboard")
        await stage.tell(HISTORY_RESULT, HistoryResult(id=identity, piece=0, last=True, error="nothing is kept of it"), client="dashboard")
        with pytest.raises(Unanswered, match="nothing is kept"):
            await asking


async def test_malformed_messages_change_nothing(tmp_path: Path) -> None:
    """They are counted, and the pages go on."""
    async with dashboard(tmp_path) as (stage, site):
        await stage.tell(ENERGY, Energy(as_of=stage.clock.now(), total_kwh=1, today_kwh=1, month_kwh=1))
        for raw in (b"", b"{}", b"\xff", b'{"as_of": "x"}', b"[" * 1_000):
            await stage.tell(ENERGY, raw)
        assert site.desk.home.energy is not None
        assert site.desk.home.energy.total_kwh == 1


async def test_it_knows_whether_it_is_connected(tmp_path: Path) -> None:
    """Within a moment, both ways."""
    async with dashboard(tmp_path) as (stage, site):
        await until(lambda: site.desk.home.connected)
        stage.broker.kill()
        await until(lambda: not site.desk.home.connected)
        stage.broker.start()
        await until(lambda: site.desk.home.connected)
