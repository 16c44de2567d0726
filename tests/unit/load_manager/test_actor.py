"""The load manager on a broker in memory, with an actuator's part played by the test."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hems.actor.context import Context
from hems.contracts.catalog import DEMAND, DEMAND_EVENT, DEMAND_OVERRIDE, MAINS, RELAY, RELAY_RESULT, RELAY_SET_BY
from hems.contracts.demand import DemandEvent, DemandOverride
from hems.contracts.mains import Mains
from hems.contracts.relays import Level, RelayCommand, RelayResult, RelayState, Source
from hems.testing.clocks import START
from hems.testing.harness import Stage, on_stage
from hems.testing.memory_bus import MemoryBroker
from services.load_manager.actor import LoadManager
from services.load_manager.settings import LoadManagerSettings

_SETTINGS: dict[str, Any] = {"sheddable": {"heater": {"power_w": 2_000}}, "lease_s": 30, "stagger_s": 1}


def build(context: Context, **settings: Any) -> LoadManager:
    """Put one together."""
    return LoadManager(
        LoadManagerSettings.read({**_SETTINGS, **settings}, {}), context, ZoneInfo("Europe/London"), lambda _event, _day: None
    )


def _event(lasts_s: float = 60) -> DemandEvent:
    return DemandEvent(id="peak", level="high", starts_at=START, ends_at=START + timedelta(seconds=lasts_s), reason="the grid is short")


def _orders(stage: Stage) -> list[RelayCommand]:
    return [command for _, command in stage.said(RELAY_SET_BY)]


async def _relay(stage: Stage, state: Level, source: Source | None = "local") -> None:
    said = RelayState(state=state, how="read_back", changed_at=stage.clock.now(), source=source)
    await stage.tell(RELAY, said, relay="heater", retain=True)


async def test_an_event_sheds_shows_and_brings_back(tmp_path: Path) -> None:
    """A leased OFF, renewed; the state in force says what is shed; at the end ON without a lease, and normal again."""
    async with on_stage("load_manager", build, tmp_path) as stage:
        await _relay(stage, "ON")
        await stage.tell(DEMAND_EVENT, _event())
        await stage.clock.advance(2)
        (order,) = _orders(stage)
        assert (order.state, order.for_s) == ("OFF", 30)
        assert order.expires_at is not None
        await _relay(stage, "OFF", "load_manager")
        shown = stage.said(DEMAND)[-1][1]
        assert (shown.level, shown.event, shown.reason, [shed.relay for shed in shown.shed]) == (
            "high",
            "peak",
            "the grid is short",
            ["heater"],
        )
        await stage.clock.advance(30)
        assert len(_orders(stage)) >= 3
        assert len({order.id for order in _orders(stage)}) == len(_orders(stage))
        await stage.clock.advance(35)
        assert (_orders(stage)[-1].state, _orders(stage)[-1].for_s) == ("ON", None)
        await _relay(stage, "ON", "load_manager")
        await stage.clock.advance(2)
        shown = stage.said(DEMAND)[-1][1]
        assert (shown.level, shown.shed) == ("normal", ())
        assert (shown.saved_kwh or 0) > 0
        times = [state.as_of for _, state in stage.said(DEMAND)]
        assert len(set(times)) == len(times)
        assert None not in times


async def test_events_wait_for_a_load_manager_that_is_away(tmp_path: Path) -> None:
    """An event that is said while the service is down, and one that it had taken before, count after the start."""
    async with on_stage("load_manager", build, tmp_path) as stage:
        await stage.tell(DEMAND_EVENT, _event(3_600))
        broker, clock = stage.broker, stage.clock
    async with on_stage("load_manager", build, tmp_path, broker=broker, clock=clock) as stage:
        await _relay(stage, "ON")
        await stage.clock.advance(2)
        assert _orders(stage)[-1].state == "OFF"


async def test_a_retained_event_is_no_news(tmp_path: Path) -> None:
    """Events are never retained; what the broker kept of one is old."""
    broker = MemoryBroker()
    broker.say("hems/home/demand/event", _event().to_wire(), retain=True)
    async with on_stage("load_manager", build, tmp_path, broker=broker) as stage:
        await _relay(stage, "ON")
        await stage.clock.advance(3)
        assert not _orders(stage)


async def test_an_opt_out_ends_it(tmp_path: Path) -> None:
    """A person's override brings the relay back at once."""
    async with on_stage("load_manager", build, tmp_path) as stage:
        await _relay(stage, "ON")
        await stage.tell(DEMAND_EVENT, _event(3_600))
        await stage.clock.advance(2)
        await _relay(stage, "OFF", "load_manager")
        await stage.tell(DEMAND_OVERRIDE, DemandOverride(id="no", relay="heater"))
        await stage.clock.advance(3)
        assert _orders(stage)[-1].state == "ON"


async def test_a_refusal_is_taken(tmp_path: Path) -> None:
    """What the actuator refuses is not shown as shed, and not asked for at every second."""
    async with on_stage("load_manager", build, tmp_path) as stage:
        await _relay(stage, "ON")
        await stage.tell(DEMAND_EVENT, _event(3_600))
        await stage.clock.advance(2)
        refused = RelayResult(id=_orders(stage)[0].id, source="load_manager", accepted=False, reason="a person's command goes first")
        await stage.tell(RELAY_RESULT, refused, relay="heater")
        await stage.clock.advance(20)
        assert len(_orders(stage)) == 1
        assert not stage.said(DEMAND)[-1][1].shed
        await stage.clock.advance(20)
        assert len(_orders(stage)) > 1


async def test_the_cap_counts_fresh_readings_only(tmp_path: Path) -> None:
    """Readings that are old when they come shed nothing; a home over its limit does."""
    async with on_stage("load_manager", lambda context: build(context, power_cap_w=1_000), tmp_path) as stage:
        await _relay(stage, "ON")
        for age_s, expected in ((300, 0), (0, 1)):
            for _ in range(20):
                await stage.clock.advance(1)
                measured_at = stage.clock.now() - timedelta(seconds=age_s)
                await stage.tell(MAINS, Mains(measured_at=measured_at, power_w=3_000, quality="measured"))
            await stage.clock.advance(2)
            assert len(_orders(stage)) == expected
