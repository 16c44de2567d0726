"""`python -m services.actuator` on a real broker, killed, frozen and thrown about; the board's own log is the witness."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from hems.contracts.relays import RelayCommand
from services.actuator.audit_file import entries
from tests.support.broker import RealBroker
from tests.support.relays import ROOT, Relays, relays, results, say, states
from tests.support.services import ServiceProcess, environment_of

CONFIGURATION = """
actuator:
  relays:
    bulb: {safe: off, resting: off, max_on_s: 3600}
    fridge: {safe: on, resting: on, min_off_s: 1, max_away_s: 3600}
    heater: {safe: off, resting: on, silent_after_s: 25, max_switches_per_hour: 6}
"""
SLACK_S = 5.0
"""How late a loaded machine may be; what must not happen is far later, or never. A lease begins a moment before its pin moves."""


def _lasted_s(home: Relays, relay: str, level: str) -> float:
    """How long a relay stood at a level, the last time that it left it."""
    spans = [(before, after) for before, after in pairwise(home.log(relay)) if before.level == level and after.level != level]
    before, after = spans[-1]
    return after.monotonic_s - before.monotonic_s


def test_a_killed_actuator_starts_safe_and_knows_what_it_did(mosquitto: RealBroker, tmp_path: Path) -> None:
    """Kill -9 with a lease running: after the start both relays are safe, the same id switches nothing, a new one does."""
    command = RelayCommand(state="ON", id="once", issued_at=datetime.now(UTC), for_s=600)
    with relays(mosquitto, tmp_path, CONFIGURATION) as (home, client):
        say(client, "bulb", command)
        say(client, "fridge", b"OFF")
        home.until_level("bulb", "ON")
        home.until_level("fridge", "OFF")
        home.until(lambda: results(client, "bulb"))
        home.process("actuator").kill()
        home.start("actuator")
        assert (home.level("bulb"), home.level("fridge")) == ("OFF", "ON")
        assert home.log("bulb")[-1].event == "claimed"
        say(client, "bulb", command)
        home.until(lambda: any("done before" in (result.reason or "") for result in results(client, "bulb")))
        say(client, "bulb", RelayCommand(state="ON", issued_at=datetime.now(UTC) - timedelta(seconds=60)))
        home.until(lambda: any("issued before" in (result.reason or "") for result in results(client, "bulb")))
        assert home.level("bulb") == "OFF"
        say(client, "bulb", b"ON")
        home.until_level("bulb", "ON")


def test_relays_are_made_safe_though_the_journal_can_not_be_opened(mosquitto: RealBroker, tmp_path: Path) -> None:
    """A dying disk ends each start; a load that a killed actuator left on is off all the same."""
    with relays(mosquitto, tmp_path, CONFIGURATION) as (home, client):
        say(client, "bulb", b"ON")
        home.until_level("bulb", "ON")
        home.process("actuator").kill()
        journal = tmp_path / ROOT.home / "actuator.db"
        journal.rename(tmp_path / "aside")
        journal.mkdir()
        process = ServiceProcess("actuator", _environment(mosquitto, tmp_path), tmp_path / "log")
        process.start()
        home.until(lambda: "the service's files can't be used" in process.log, process.log)
        assert process.wait() == 1
        assert [(line.event, line.level) for line in home.log("bulb")[-2:]] == [("claimed", "OFF"), ("released", "OFF")]


def _environment(broker: RealBroker, folder: Path) -> dict[str, str]:
    return environment_of("actuator", broker, folder, ROOT.home) | {"HEMS_CONFIG": str(folder / "hems.yaml")}


def test_switches_of_the_hour_are_counted_across_kills(mosquitto: RealBroker, tmp_path: Path) -> None:
    """No flood and no restart gets a relay more switches than it may have."""
    with relays(mosquitto, tmp_path, CONFIGURATION) as (home, client):
        for _ in range(2):
            for number in range(12):
                say(client, "heater", b"OFF" if number % 2 else b"ON")
            home.until(lambda: any("switches of this hour" in (result.reason or "") for result in results(client, "heater")))
            home.process("actuator").kill()
            home.start("actuator")
        levels = [line.level for line in home.log("heater")]
        assert sum(before != after for before, after in pairwise(levels)) <= 6


def test_a_lease_ends_though_the_broker_is_dead_or_frozen(mosquitto: RealBroker, tmp_path: Path) -> None:
    """The timer needs nobody; when the broker is back the state is said, and commands are heard again."""
    with relays(mosquitto, tmp_path, CONFIGURATION) as (home, client):
        say(client, "bulb", RelayCommand(state="ON", for_s=1.0))
        home.until_level("bulb", "ON")
        mosquitto.freeze()
        home.until_level("bulb", "OFF")
        mosquitto.thaw()
        assert 0.8 < _lasted_s(home, "bulb", "ON") < 1.0 + SLACK_S
        home.until(lambda: states(client, "bulb") and states(client, "bulb")[-1].state == "OFF")
        say(client, "bulb", RelayCommand(state="ON", for_s=1.0))
        home.until_level("bulb", "ON")
        mosquitto.kill()
        home.until_level("bulb", "OFF")
        assert 0.8 < _lasted_s(home, "bulb", "ON") < 1.0 + SLACK_S
        mosquitto.start()


def test_a_bare_command_that_a_frozen_actuator_finds_is_not_followed(mosquitto: RealBroker, tmp_path: Path) -> None:
    """It lay in the actuator's own socket for who knows how long; toward safe it is done all the same."""
    with relays(mosquitto, tmp_path, CONFIGURATION) as (home, client):
        say(client, "fridge", b"OFF")
        home.until_level("fridge", "OFF")
        os.kill(home.process("actuator").pid, signal.SIGSTOP)
        say(client, "bulb", b"ON")
        say(client, "fridge", b"ON")
        time.sleep(10.5)
        os.kill(home.process("actuator").pid, signal.SIGCONT)
        home.until_level("fridge", "ON")
        home.until(lambda: list(entries(tmp_path / ROOT.home / "audit.db", relay="bulb")))
        (refusal,) = entries(tmp_path / ROOT.home / "audit.db", relay="bulb")
        assert (refusal.event, refusal.source) == ("refused", "local")
        assert "was held up for" in (refusal.reason or "")
        time.sleep(2.5)
        say(client, "bulb", b"ON")
        home.until_level("bulb", "ON")


def test_a_stop_leaves_every_relay_safe_before_its_pin_is_released(mosquitto: RealBroker, tmp_path: Path) -> None:
    """SIGTERM: the last switch is to safe, then the release; the exit is clean."""
    with relays(mosquitto, tmp_path, CONFIGURATION) as (home, client):
        say(client, "bulb", b"ON")
        home.until_level("bulb", "ON")
        assert home.process("actuator").stop() == 0
    assert [(line.event, line.level) for line in home.log("bulb")[-2:]] == [("switched", "OFF"), ("released", "OFF")]


@pytest.mark.parametrize("jump_s", [-86_400, 86_400])
def test_a_jump_of_the_clock_leaves_a_lease_as_it_is(mosquitto: RealBroker, tmp_path: Path, jump_s: int) -> None:
    """A lease of a second lasts a second, though the clock jumps a day; then timed commands are judged anew."""
    offset = tmp_path / "offset"
    offset.write_text("0")
    environment = environment_of("actuator", mosquitto, tmp_path, ROOT.home)
    home = Relays(mosquitto, tmp_path, CONFIGURATION)
    settings = {"HEMS_CONFIG": str(tmp_path / "hems.yaml"), "JUMPED_S_FILE": str(offset)}
    command = [sys.executable, "-m", "tests.integration.actuator.jumping_actuator"]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, env={**os.environ, **environment, **settings}, stderr=log) as process,
    ):
        try:
            _jump(home, offset, jump_s)
        finally:
            process.kill()


def _jump(home: Relays, offset: Path, jump_s: int) -> None:
    with ExitStack() as stack:
        client = home.client(stack)
        home.until(lambda: states(client, "bulb"))
        say(client, "bulb", RelayCommand(state="ON", for_s=1.0))
        home.until_level("bulb", "ON")
        offset.write_text(str(jump_s))
        home.until_level("bulb", "OFF")
        assert 0.8 < _lasted_s(home, "bulb", "ON") < 1.0 + SLACK_S
        home.until(lambda: results(client, "bulb"))
        say(client, "bulb", RelayCommand(state="ON", issued_at=datetime.now(UTC)))
        home.until(lambda: len(results(client, "bulb")) == 2)
        assert not results(client, "bulb")[-1].accepted
        say(client, "bulb", b"ON")
        home.until_level("bulb", "ON")


def test_a_simulated_home_never_switches_real_loads(mosquitto: RealBroker, tmp_path: Path) -> None:
    """A rate other than 1 with a real board is a mistake in the configuration, and says what to do."""
    home = Relays(mosquitto, tmp_path, "actuator: {board: gpio, relays: {bulb: {pin: 22}}}\n")
    environment = environment_of("actuator", mosquitto, tmp_path, ROOT.home)
    environment |= {"HEMS_CONFIG": str(tmp_path / "hems.yaml"), "HEMS_CLOCK__RATE": "20", "HEMS_CLOCK__EPOCH": "2020-01-01T00:00:00Z"}
    process = ServiceProcess("actuator", environment, tmp_path / "log")
    process.start()
    home.until(lambda: "use --speed 1" in process.log, process.log)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process.stop() == 78


@pytest.mark.long
@pytest.mark.timeout(180)
def test_a_frozen_broker_makes_a_marked_relay_safe(mosquitto: RealBroker, tmp_path: Path) -> None:
    """Without waiting for the keep-alive; while the broker lives, its own health message keeps the relay on."""
    with relays(mosquitto, tmp_path, CONFIGURATION) as (home, client):
        say(client, "heater", b"ON")
        on = home.until_level("heater", "ON")
        home.until(lambda: _since(on.monotonic_s) > 35, patience_s=60)
        assert home.level("heater") == "ON"
        mosquitto.freeze()
        home.until(lambda: home.level("heater") == "OFF", patience_s=60)
        mosquitto.thaw()
        assert 35 < _lasted_s(home, "heater", "ON") < 35 + 25 + 10 + SLACK_S


def _since(monotonic_s: float) -> float:
    return time.monotonic() - monotonic_s
