"""The actuator on a broker in memory: what it hears and what it says."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hems.contracts.catalog import ALERT, RELAY, RELAY_RESULT, RELAY_SET, RELAY_SET_BY, SERVICE_HEALTH, TASMOTA_COMMAND, TASMOTA_STATE
from hems.contracts.health import ServiceHealth, TasmotaPower
from hems.contracts.relays import RelayCommand, RelayResult
from hems.testing.clocks import START, ManualClock
from hems.testing.harness import Stage, on_stage
from hems.testing.memory_bus import MemoryBroker
from services.actuator.actor import Actuator
from services.actuator.audit_file import AuditFile, entries
from services.actuator.command import audit
from services.actuator.settings import ActuatorSettings
from services.actuator.switchboard import Clocks
from services.actuator.tasmota_board import TasmotaBoard
from tests.unit.actuator.stage import RELAYS, FaultyBoard, actuator


def _results(stage: Stage) -> list[RelayResult]:
    return [result for _, result in stage.said(RELAY_RESULT)]


def _log(folder: Path) -> list[tuple[str, str, str]]:
    lines = [json.loads(line) for line in (folder / "relays.jsonl").read_text().splitlines()]
    return [(line["relay"], line["event"], line["level"]) for line in lines]


async def test_a_bare_word_switches_and_is_answered(tmp_path: Path) -> None:
    """The pin moves, the result says so, the retained state names who and until when."""
    clock = ManualClock()
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET, b"ON", relay="bulb")
        (result,) = _results(stage)
        assert (result.accepted, result.source, result.id) == (True, "local", None)
        state = stage.said(RELAY)[-1][1]
        assert (state.state, state.how, state.source, state.until) == ("ON", "read_back", "local", START + timedelta(hours=1))
        assert stage.broker.retained("hems/home/relay/bulb") == state.to_wire()
    assert [entry for entry in _log(tmp_path) if entry[0] == "bulb"] == [
        ("bulb", "claimed", "OFF"),
        ("bulb", "switched", "ON"),
        ("bulb", "switched", "OFF"),
        ("bulb", "released", "OFF"),
    ]


@pytest.mark.parametrize(
    ("payload", "retain", "words"),
    [
        (b"maybe", False, 'malformed: neither ON, OFF, 1 or 0, nor JSON such as {"state": "ON"}'),
        (b"on", False, "malformed: neither ON"),
        (b"", False, "malformed: there is nothing in it"),
        (b'{"state": "TOGGLE"}', False, "TOGGLE needs an id"),
        (b'{"state": "ON", "for_s": NaN}', False, "malformed"),
        (b"ON", True, "retained"),
        (b"nonsense", True, "malformed"),
        (b'{"state": "ON", "expires_at": "2025-01-06T06:59:59Z"}', False, "expired 1 s ago"),
        (b'{"state": "ON", "issued_at": "2025-01-06T07:00:06Z"}', False, "in the future"),
        (b'{"state": "ON", "issued_at": "2025-01-06T06:57:59Z"}', False, "issued 121 s ago"),
    ],
)
async def test_what_is_not_a_command_of_now_is_refused_with_the_reason(tmp_path: Path, payload: bytes, retain: bool, words: str) -> None:
    """Malformed, retained, expired, future and old commands switch nothing and are answered."""
    clock = ManualClock()
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET, payload, relay="bulb", retain=retain)
        (result,) = _results(stage)
        assert not result.accepted
        assert words in (result.reason or "")
        assert stage.said(RELAY)[-1][1].state != "ON" or stage.said(RELAY)[-1][0]["relay"] == "fridge"
    assert ("bulb", "switched", "ON") not in _log(tmp_path)


async def test_clearing_a_retained_command_is_no_command(tmp_path: Path) -> None:
    """An empty retained message is what the refusal of a retained command asks for: nobody is told of it."""
    clock = ManualClock()
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET, b"ON", relay="bulb", retain=True)
        await stage.tell(RELAY_SET, b"", relay="bulb", retain=True)
        assert [result.accepted for result in _results(stage)] == [False]
    assert not [entry for entry in entries(tmp_path / "audit.db") if "nothing" in (entry.reason or "")]


async def test_a_command_that_was_retained_before_the_start_is_refused(tmp_path: Path) -> None:
    """The broker's copy of an old command switches nothing, however often the actuator connects."""
    clock, broker = ManualClock(), MemoryBroker()
    broker.say("hems/home/relay/bulb/set", b"ON", retain=True)
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context), tmp_path, clock=clock, broker=broker) as stage:
        assert [result.accepted for result in _results(stage)] == [False]


@pytest.mark.parametrize(
    ("payload", "accepted", "words"),
    [
        (b"ON", False, "JSON with expires_at"),
        (b'{"state": "ON", "id": "a"}', False, "JSON with expires_at"),
        (b'{"state": "ON", "id": "a", "issued_at": "2025-01-06T07:00:00Z"}', False, "JSON with expires_at"),
        (b'{"state": "ON", "id": "a", "expires_at": "2025-01-06T06:59:59Z"}', False, "expired 1 s ago"),
        (b'{"state": "ON", "id": "a", "expires_at": "2025-01-06T07:00:30Z"}', True, ""),
    ],
)
async def test_what_comes_from_a_cluster_switches_only_with_an_expiry(tmp_path: Path, payload: bytes, accepted: bool, words: str) -> None:
    """The way from a cluster of many homes may be long: a bare word would still switch hours later."""
    relays = {"bulb": {"allow": ["local", "fleet"]}}
    clock = ManualClock()
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context, relays=relays), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET_BY, payload, relay="bulb", source="fleet")
        (result,) = _results(stage)
        assert (result.source, result.accepted) == ("fleet", accepted)
        assert words in (result.reason or "")
    assert (("bulb", "switched", "ON") in _log(tmp_path)) == accepted


async def test_sources_are_known_by_their_topics(tmp_path: Path) -> None:
    """A source that is not allowed, one that does not exist, and a relay that does not exist are refused."""
    clock = ManualClock()
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET_BY, b"ON", relay="bulb", source="sms")
        await stage.tell(RELAY_SET_BY, b"ON", relay="bulb", source="neighbour")
        await stage.tell(RELAY_SET_BY, b"{", relay="bulb", source="neighbour")
        await stage.tell(RELAY_SET, b"ON", relay="pump")
        await stage.tell(RELAY_SET_BY, b"ON", relay="bulb", source="dashboard")
    assert [(result.source, result.accepted) for result in _results(stage)] == [("sms", False), ("local", False), ("dashboard", True)]
    assert "bulb, fridge" in (_results(stage)[1].reason or "")
    assert [entry.source for entry in entries(tmp_path / "audit.db") if entry.event == "refused"] == [
        "sms",
        "neighbour",
        "neighbour",
        "local",
    ]


async def test_an_orderly_stop_and_a_start_leave_every_relay_safe(tmp_path: Path) -> None:
    """Also a compressor's, whatever its minimum off time says; ids are known again after the start."""
    clock, command = ManualClock(), RelayCommand(state="OFF", id="once")
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET, command, relay="fridge")
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET, command, relay="fridge")
        assert "done before" in (_results(stage)[-1].reason or "")
    assert [entry[1:] for entry in _log(tmp_path) if entry[0] == "fridge"] == [
        ("claimed", "ON"),
        ("switched", "OFF"),
        ("switched", "ON"),
        ("released", "ON"),
        ("claimed", "ON"),
        ("released", "ON"),
    ]


async def test_a_lease_ends_with_the_broker_away(tmp_path: Path) -> None:
    """The timer needs no broker; the state is said once there is one again."""
    clock = ManualClock()
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET, RelayCommand(state="ON", for_s=30), relay="bulb")
        stage.broker.kill()
        await clock.advance(31)
        assert _log(tmp_path)[-1] == ("bulb", "switched", "OFF")


async def test_a_silent_controller_loses_its_relay(tmp_path: Path) -> None:
    """A lease of the load manager's ends in safety when its health falls silent, though the broker lives."""
    clock = ManualClock()
    relays = {"heater": {"silent_after_s": 30, "resting": "on", "allow": ["load_manager"]}}
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context, relays=relays), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET_BY, RelayCommand(state="ON", for_s=600), relay="heater", source="load_manager")
        for service, expected in (("load_manager", "ON"), ("recorder", "ON"), ("recorder", "OFF")):
            await clock.advance(20)
            await stage.tell(SERVICE_HEALTH, ServiceHealth(at=clock.now(), version="1", started_at=clock.now()), service=service)
            assert stage.said(RELAY)[-1][1].state == expected


async def test_a_board_that_fails_is_told_of_and_tried_again(tmp_path: Path) -> None:
    """A command away from safe is refused; one toward safe is tried every second until it is done."""
    clock, board = ManualClock(), FaultyBoard(bulb="OFF", fridge="ON")
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context, board), tmp_path, clock=clock) as stage:
        board.broken = True
        await stage.tell(RELAY_SET, b"ON", relay="bulb")
        assert not _results(stage)[-1].accepted
        assert "the wire is cut" in (_results(stage)[-1].reason or "")
        board.broken = False
        await stage.tell(RELAY_SET, b"ON", relay="bulb")
        board.broken = True
        await stage.tell(RELAY_SET, b"OFF", relay="bulb")
        assert stage.said(RELAY)[-1][1].state == "ON", "what is shown is the pin, not the wish"
        board.broken = False
        await clock.advance(3)
        assert board.levels["bulb"] == "OFF"
        assert stage.said(ALERT)[0][1].severity == "critical"


async def test_a_relay_that_its_longest_time_has_switched_is_told_of(tmp_path: Path) -> None:
    """An alert names the relay first and says why; a lease that ends as it was asked for is no news."""
    clock, relays = ManualClock(), {"bulb": {"max_on_s": 60}}
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context, relays=relays), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET, RelayCommand(state="ON", for_s=10), relay="bulb")
        await clock.advance(11)
        assert not stage.said(ALERT)
        await stage.tell(RELAY_SET, b"ON", relay="bulb")
        await clock.advance(61)
        ((_, alert),) = stage.said(ALERT)
        assert (alert.rule, alert.severity, alert.title) == ("actuator.limit", "info", "bulb was switched OFF")
        assert "longest time" in alert.message


async def test_a_pin_that_something_else_moved_is_put_back(tmp_path: Path) -> None:
    """A level that is read back and was never asked for lasts a second at most."""
    clock, board = ManualClock(), FaultyBoard(bulb="OFF", fridge="ON")
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context, board), tmp_path, clock=clock):
        board.levels["bulb"] = "ON"
        await clock.advance(2)
        assert board.levels["bulb"] == "OFF"


async def test_tasmota_switches_are_told_until_they_confirm(tmp_path: Path) -> None:
    """Commands go out on their own topics, again each second; `commanded` becomes `read_back` with the answer."""
    clock, board = ManualClock(), TasmotaBoard({"bulb": "plug1"}, {"bulb": "OFF"})
    options: dict[str, Any] = {"board": "tasmota", "relays": {"bulb": {"device": "plug1", "max_on_s": 60}}}
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context, board, **options), tmp_path, clock=clock) as stage:
        await clock.advance(1.1)
        assert stage.said(TASMOTA_COMMAND)[0] == ({"device": "plug1"}, TasmotaPower(on=False))
        await stage.tell(TASMOTA_STATE, TasmotaPower(on=False), device="plug1")
        await stage.tell(RELAY_SET, b"ON", relay="bulb")
        assert stage.said(TASMOTA_COMMAND)[-1][1].on
        assert stage.said(RELAY)[-1][1].how == "commanded"
        count = len(stage.said(TASMOTA_COMMAND))
        await clock.advance(3)
        assert len(stage.said(TASMOTA_COMMAND)) >= count + 2
        await stage.tell(TASMOTA_STATE, TasmotaPower(on=True), device="plug1")
        assert (stage.said(RELAY)[-1][1].state, stage.said(RELAY)[-1][1].how) == ("ON", "read_back")
        count = len(stage.said(TASMOTA_COMMAND))
        await clock.advance(5)
        assert len(stage.said(TASMOTA_COMMAND)) == count, "a switch that has confirmed is left alone"


async def test_a_switch_pressed_by_hand_counts_like_any_other(tmp_path: Path) -> None:
    """The state follows the device, and its longest time on holds for the hand too."""
    clock, board = ManualClock(), TasmotaBoard({"bulb": "plug1"}, {"bulb": "OFF"})
    options: dict[str, Any] = {"board": "tasmota", "relays": {"bulb": {"device": "plug1", "max_on_s": 60}}}
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context, board, **options), tmp_path, clock=clock) as stage:
        await stage.tell(TASMOTA_STATE, TasmotaPower(on=False), device="plug1")
        await stage.tell(TASMOTA_STATE, TasmotaPower(on=True), device="plug1")
        assert (stage.said(RELAY)[-1][1].state, stage.said(RELAY)[-1][1].source) == ("ON", None)
        await clock.advance(61)
        assert stage.said(TASMOTA_COMMAND)[-1][1] == TasmotaPower(on=False)


async def test_tasmota_switches_are_safe_after_an_orderly_stop(tmp_path: Path) -> None:
    """The last command before the connection ends is the safe state."""
    clock, board = ManualClock(), TasmotaBoard({"bulb": "plug1"}, {"bulb": "OFF"})
    options: dict[str, Any] = {"board": "tasmota", "relays": {"bulb": {"device": "plug1"}}}
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context, board, **options), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET, b"ON", relay="bulb")
        await stage.tell(TASMOTA_STATE, TasmotaPower(on=True), device="plug1")
    assert stage.said(TASMOTA_COMMAND)[-1][1] == TasmotaPower(on=False)


async def test_a_clock_that_went_back_is_said_with_what_to_do(tmp_path: Path) -> None:
    """A day ahead for a while: what carries a time is refused until then; health says so, and how to end it; a bare word is taken."""
    clock = ManualClock()
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context), tmp_path, clock=clock) as stage:
        clock.jump(86_400)
        await stage.tell(RELAY_SET, b"ON", relay="bulb")
        clock.jump(-86_400)
        await clock.advance(601)
        await stage.tell(RELAY_SET, RelayCommand(state="OFF", issued_at=clock.now()), relay="bulb")
        assert "time of day is not known" in (_results(stage)[-1].reason or "")
        assert "set the clock" in (stage.said(SERVICE_HEALTH)[-1][1].blind or "")
        await stage.tell(RELAY_SET, b"OFF", relay="bulb")
        assert _results(stage)[-1].accepted
        clock.jump(86_400)
        await clock.advance(11)
        assert stage.said(SERVICE_HEALTH)[-1][1].blind is None


async def test_one_relay_that_fails_is_told_of_once_though_others_switch(tmp_path: Path) -> None:
    """What the others do neither ends its fault nor begins it anew."""
    clock, board = ManualClock(), FaultyBoard(bulb="OFF", fridge="ON")
    async with on_stage("actuator", lambda context: actuator(tmp_path, clock, context, board), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET, b"OFF", relay="fridge")
        board.broken_relay = "fridge"
        await clock.advance(601)
        await stage.tell(RELAY_SET, b"ON", relay="fridge")
        for word in (b"ON", b"OFF"):
            await stage.tell(RELAY_SET, word, relay="bulb")
            await clock.advance(2)
        assert len(stage.said(ALERT)) == 1
        assert "fridge can't be switched ON" in (stage.said(SERVICE_HEALTH)[-1][1].blind or "")


async def test_the_audit_shows_who_what_when_and_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hems audit` lists switches and refusals, of one relay if asked, as text or as JSON."""
    clock, home = ManualClock(), tmp_path / "home"
    async with on_stage("actuator", lambda context: actuator(home, clock, context), tmp_path, clock=clock) as stage:
        await stage.tell(RELAY_SET, RelayCommand(state="ON", id="one"), relay="bulb")
        await stage.tell(RELAY_SET_BY, b"OFF", relay="fridge", source="sms")
    monkeypatch.setenv("HEMS_CONFIG", "")
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(audit, ["--directory", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    first, second, third = shown.output.splitlines()
    assert first.startswith("2025-01-06T07:00:00.000+00:00  bulb         switched ON   by local")
    assert "refused" in second
    assert "sms may not switch" in second
    assert "by the actuator itself: the actuator stops" in third
    (only,) = CliRunner().invoke(audit, ["fridge", "--json", "--directory", str(tmp_path)]).output.splitlines()
    assert json.loads(only)["source"] == "sms"
    missing = CliRunner().invoke(audit, ["--directory", str(tmp_path / "elsewhere")])
    assert missing.exit_code == 1
    assert "is not there" in missing.output


async def test_in_a_simulated_home_people_and_services_are_judged_by_their_own_clocks(tmp_path: Path) -> None:
    """A local program lives in real time, a service in the recording's; a lease is real seconds, and shown in the recording's."""
    clock, real = ManualClock(), START + timedelta(days=400)
    settings = ActuatorSettings.read({"relays": RELAYS}, {})
    clocks = Clocks(clock.monotonic, clock.now, lambda: real, "test", 20.0)
    board: Any = FaultyBoard(bulb="OFF", fridge="ON")
    trail: Any = AuditFile(tmp_path / "audit.db", 1_000)
    async with on_stage(
        "actuator", lambda context: Actuator(settings, context, board, trail, clocks, clock.sleep), tmp_path, clock=clock
    ) as stage:
        await stage.tell(RELAY_SET, RelayCommand(state="ON", issued_at=real, for_s=60), relay="bulb")
        await stage.tell(RELAY_SET_BY, RelayCommand(state="OFF", issued_at=clock.now()), relay="bulb", source="dashboard")
        await stage.tell(RELAY_SET, RelayCommand(state="ON", issued_at=clock.now()), relay="bulb")
    assert [result.accepted for result in _results(stage)] == [True, True, False]
    assert [state.until for _, state in stage.said(RELAY) if state.state == "ON" and state.source == "local"] == [
        START + timedelta(minutes=20)
    ]
