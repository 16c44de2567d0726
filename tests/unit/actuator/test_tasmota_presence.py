"""A Tasmota switch that is unplugged, or out of Wi-Fi, and comes back: on a broker in memory."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from hems.actor.context import Context
from hems.contracts.catalog import (
    RELAY,
    RELAY_RESULT,
    RELAY_SET,
    TASMOTA_COMMAND,
    TASMOTA_COMMANDS,
    TASMOTA_LWT,
    TASMOTA_STATE,
    TASMOTA_STATES,
)
from hems.contracts.health import ServiceHealth, TasmotaPower, TasmotaPresence
from hems.contracts.relays import RelayCommand, RelayState
from hems.testing.clocks import ManualClock
from hems.testing.harness import Stage, on_stage
from hems.testing.memory_bus import MemoryBroker
from services.actuator.actor import Actuator
from services.actuator.audit_file import entries
from services.actuator.tasmota_board import TasmotaBoard
from tests.unit.actuator.stage import actuator

ONLINE, OFFLINE = TasmotaPresence(online=True), TasmotaPresence(online=False)
ON, OFF = TasmotaPower(on=True), TasmotaPower(on=False)


@dataclass
class Plug:
    """An actuator with one plug, and its context."""

    stage: Stage
    clock: ManualClock
    contexts: list[Context]

    @property
    def health(self) -> ServiceHealth:
        """What it counts now."""
        return self.contexts[-1].health.report(self.clock.now(), 0)


@asynccontextmanager
async def _running(folder: Path, broker: MemoryBroker | None = None, **relay: Any) -> AsyncGenerator[Plug]:
    clock, board = ManualClock(), TasmotaBoard({"bulb": "plug"}, {"bulb": "ON" if relay.get("safe") == "on" else "OFF"})
    options: dict[str, Any] = {"board": "tasmota", "relays": {"bulb": {"device": "plug", **relay}}}
    contexts: list[Context] = []

    def build(context: Context) -> Actuator:
        contexts.append(context)
        return actuator(folder, clock, context, board, **options)

    async with on_stage("actuator", build, folder, clock=clock, broker=broker) as stage:
        yield Plug(stage, clock, contexts)


@asynccontextmanager
async def _plug(folder: Path, broker: MemoryBroker | None = None, **relay: Any) -> AsyncGenerator[tuple[Stage, ManualClock]]:
    async with _running(folder, broker, **relay) as plug:
        yield plug.stage, plug.clock


async def _switched_on(stage: Stage, command: RelayCommand | bytes = b"ON") -> None:
    await stage.tell(TASMOTA_LWT, ONLINE, device="plug", retain=True)
    await stage.tell(TASMOTA_STATE, OFF, device="plug")
    await stage.tell(RELAY_SET, command, relay="bulb")
    await stage.tell(TASMOTA_STATE, ON, device="plug")
    assert _shown(stage) == ("ON", "read_back")


async def _leaves(stage: Stage) -> None:
    await stage.tell(TASMOTA_LWT, OFFLINE, device="plug", retain=True)


async def _comes_back(stage: Stage) -> list[str]:
    """What it is told from then on."""
    count = len(stage.said(TASMOTA_COMMAND))
    await stage.tell(TASMOTA_LWT, ONLINE, device="plug", retain=True)
    return _told(stage)[count:]


def _told(stage: Stage) -> list[str]:
    return [power.to_wire().decode() for _, power in stage.said(TASMOTA_COMMAND)]


def _state(stage: Stage) -> RelayState:
    return stage.said(RELAY)[-1][1]


def _shown(stage: Stage) -> tuple[str, str]:
    return _state(stage).state, _state(stage).how


async def test_an_offline_switch_is_not_read_back_and_a_lease_goes_on_when_it_returns(tmp_path: Path) -> None:
    """What holds is told at once on its return, and it is read back only when the switch says so."""
    async with _plug(tmp_path) as (stage, clock):
        await _switched_on(stage, RelayCommand(state="ON", for_s=600))
        await _leaves(stage)
        assert _shown(stage) == ("ON", "commanded")
        count = len(stage.said(TASMOTA_COMMAND))
        await clock.advance(30)
        assert len(stage.said(TASMOTA_COMMAND)) == count, "nobody is there to hear that it is to be on"
        assert await _comes_back(stage) == ["ON"]
        assert _shown(stage) == ("ON", "commanded")
        await stage.tell(TASMOTA_STATE, ON, device="plug")
        assert _shown(stage) == ("ON", "read_back")


async def test_a_lease_that_ends_meanwhile_is_not_taken_up_again(tmp_path: Path) -> None:
    """The actuator decides anew: a switch that returns on, or with the state of its last power-on, is told to be safe."""
    async with _plug(tmp_path, resting="off") as (stage, clock):
        await _switched_on(stage, RelayCommand(state="ON", for_s=60))
        await _leaves(stage)
        await clock.advance(3_600)
        assert _shown(stage) == ("OFF", "commanded")
        assert set(await _comes_back(stage)) == {"OFF"}
        await stage.tell(TASMOTA_STATE, ON, device="plug")
        assert _shown(stage) == ("OFF", "commanded"), "where it stood at its return is no hand at the switch"
        await stage.tell(TASMOTA_STATE, OFF, device="plug")
        assert _shown(stage) == ("OFF", "read_back")


@pytest.mark.parametrize(("safe", "toward", "away"), [("off", b"OFF", b"ON"), ("on", b"ON", b"OFF")])
async def test_commands_to_an_offline_switch_are_answered_honestly(tmp_path: Path, safe: str, toward: bytes, away: bytes) -> None:
    """What leaves safety is refused, since it would be done late; what leads there is taken, and the answer says when it is told."""
    async with _plug(tmp_path, safe=safe) as (stage, clock):
        await _leaves(stage)
        await stage.tell(RELAY_SET, away, relay="bulb")
        await stage.tell(RELAY_SET, toward, relay="bulb")
        refused, taken = (result for _, result in stage.said(RELAY_RESULT))
        assert (refused.accepted, refused.reason) == (False, "its switch is offline")
        assert (taken.accepted, taken.reason) == (True, "its switch is offline; it is told as soon as it is back")
        assert _shown(stage) == (toward.decode(), "commanded")
        await clock.advance(600)
        assert set(await _comes_back(stage)) == {toward.decode()}
    assert away.decode() not in _told(stage)


async def test_what_a_switch_had_not_confirmed_when_it_left_is_not_done_late(tmp_path: Path) -> None:
    """A will comes a minute after the plug was pulled: a command of that minute was never carried out, and is given up."""
    async with _plug(tmp_path) as (stage, clock):
        await stage.tell(TASMOTA_STATE, OFF, device="plug")
        await stage.tell(RELAY_SET, b"ON", relay="bulb")
        await clock.advance(45)
        assert _shown(stage) == ("ON", "commanded")
        await _leaves(stage)
        assert _shown(stage) == ("OFF", "commanded")
        await clock.advance(3_600)
        assert set(await _comes_back(stage)) == {"OFF"}
    assert "its switch is offline, and had not confirmed" in [entry.reason for entry in entries(tmp_path / "audit.db")]


async def test_a_switch_that_was_unplugged_before_the_start_is_known_to_be_away(tmp_path: Path) -> None:
    """The broker keeps its last will: what leaves safety is refused from the start."""
    broker = MemoryBroker()
    broker.say("tele/plug/LWT", b"Offline", retain=True)
    async with _plug(tmp_path, broker) as (stage, _):
        await stage.tell(RELAY_SET, b"ON", relay="bulb")
        assert [result.accepted for _, result in stage.said(RELAY_RESULT)] == [False]


async def test_a_switch_that_speaks_is_there_whatever_its_will_said(tmp_path: Path) -> None:
    """Where the word `Online` was lost, the answer to its safe state, which is told each second, shows that it is back."""
    async with _plug(tmp_path) as (stage, clock):
        await _leaves(stage)
        count = len(stage.said(TASMOTA_COMMAND))
        await clock.advance(3)
        assert set(_told(stage)[count:]) == {"OFF"}
        await stage.tell(TASMOTA_STATE, OFF, device="plug")
        assert _shown(stage) == ("OFF", "read_back")
        await stage.tell(RELAY_SET, b"ON", relay="bulb")
        assert stage.said(RELAY_RESULT)[-1][1].accepted


async def test_a_state_that_the_broker_keeps_confirms_nothing(tmp_path: Path) -> None:
    """With Tasmota's PowerRetain the broker says an unplugged switch's state again."""
    broker = MemoryBroker()
    broker.say("stat/plug/POWER", b"OFF", retain=True)
    broker.say("tele/plug/LWT", b"Offline", retain=True)
    async with _plug(tmp_path, broker) as (stage, _):
        assert _shown(stage) == ("OFF", "commanded")


async def test_a_switch_that_came_anew_is_asked_again(tmp_path: Path) -> None:
    """`Online` without `Offline` before, such as after a restart of its own: where it stands has to be confirmed."""
    async with _plug(tmp_path) as (stage, _):
        await _switched_on(stage)
        assert await _comes_back(stage) == ["ON"]
        assert _shown(stage) == ("ON", "commanded")


async def test_offline_switches_are_counted_and_told_of(tmp_path: Path) -> None:
    """Once when it leaves, once when it is back; another's devices are nobody's business."""
    async with _running(tmp_path) as plug:
        stage = plug.stage
        with structlog.testing.capture_logs() as logs:
            await stage.tell(TASMOTA_LWT, OFFLINE, device="neighbour", retain=True)
            await stage.tell(TASMOTA_LWT, OFFLINE, device="plug", retain=True)
            await stage.tell(TASMOTA_LWT, OFFLINE, device="plug", retain=True)
            health = plug.health
            assert (health.gauges["switches_offline"], health.errors["switches_lost"]) == (1, 1)
            await _comes_back(stage)
            assert plug.health.gauges["switches_offline"] == 0
    lines = [(line["log_level"], line["event"], line["device"]) for line in logs if "a switch is offline" in line["event"]]
    fault = "a switch is offline; where it stands is not known"
    assert lines == [("warning", fault, "plug"), ("info", f"{fault}: recovered", "plug")]


async def test_other_words_than_tasmotas_change_nothing(tmp_path: Path) -> None:
    """They are counted as malformed; an empty one clears the broker's copy."""
    async with _running(tmp_path) as plug:
        stage = plug.stage
        await _switched_on(stage)
        for word in (b"offline", b"", b"Offline "):
            await stage.tell(TASMOTA_LWT, word, device="plug")
        assert _shown(stage) == ("ON", "read_back")
        assert plug.health.errors["malformed_messages"] == 3


async def test_a_device_with_two_relays_is_two_switches_that_come_and_go_together(tmp_path: Path) -> None:
    """Each has its own topics, and its own answer; the will is of both."""
    clock, board = ManualClock(), TasmotaBoard({"lamp": "strip/1", "fan": "strip/2"}, {"lamp": "OFF", "fan": "OFF"})
    options: dict[str, Any] = {"board": "tasmota", "relays": {"lamp": {"device": "strip/1"}, "fan": {"device": "strip/2"}}}
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context, board, **options), tmp_path, clock=clock) as stage:
        for channel in (1, 2):
            await stage.tell(TASMOTA_STATES[channel], OFF, device="strip")
        await stage.tell(RELAY_SET, b"ON", relay="fan")
        await stage.tell(TASMOTA_STATES[2], ON, device="strip")
        assert [power for _, power in stage.said(TASMOTA_COMMANDS[2])][-1] == ON
        assert ON not in [power for _, power in stage.said(TASMOTA_COMMANDS[1])]
        assert _all_shown(stage) == {"lamp": ("OFF", "read_back"), "fan": ("ON", "read_back")}
        await stage.tell(TASMOTA_LWT, OFFLINE, device="strip", retain=True)
        assert _all_shown(stage) == {"lamp": ("OFF", "commanded"), "fan": ("ON", "commanded")}
        await stage.tell(TASMOTA_LWT, ONLINE, device="strip", retain=True)
        await stage.tell(TASMOTA_STATES[2], ON, device="strip")
        assert _all_shown(stage) == {"lamp": ("OFF", "commanded"), "fan": ("ON", "read_back")}


def _all_shown(stage: Stage) -> dict[str, tuple[str, str]]:
    return {parameters["relay"]: (state.state, state.how) for parameters, state in stage.said(RELAY)}
