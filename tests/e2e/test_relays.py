"""What a person with an MQTT client sees: commands and their answers, refusals with reasons, a demand event that comes and goes."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hems.contracts.catalog import DEMAND_EVENT, RELAY_SET
from hems.contracts.demand import DemandEvent
from hems.contracts.relays import RelayCommand
from tests.support.broker import RealBroker
from tests.support.relays import ROOT, demands, relays, results, say, states

CONFIGURATION = """
actuator:
  relays:
    bulb: {safe: off, resting: off, max_on_s: 3600, allow: [local, dashboard]}
    fridge: {safe: on, resting: on, min_off_s: 2, max_away_s: 3600, allow: [local, load_manager]}
    heater: {safe: off, resting: last, person_holds_s: 0, allow: [local, load_manager]}
load_manager:
  stagger_s: 1
  sheddable: {heater: {priority: 1, power_w: 2000}, fridge: {priority: 2, power_w: 100}}
"""


def test_a_person_switches_a_lamp_and_the_grid_asks_for_less(mosquitto: RealBroker, tmp_path: Path) -> None:
    """ON is done and answered; retained, expired and malformed commands are refused; an event sheds in turns and brings back."""
    with relays(mosquitto, tmp_path, CONFIGURATION, "actuator", "load_manager") as (home, client):
        say(client, "bulb", b"ON")
        home.until_level("bulb", "ON")
        home.until(lambda: results(client, "bulb") and states(client, "bulb")[-1].state == "ON")
        assert results(client, "bulb")[0].accepted
        assert (states(client, "bulb")[-1].how, states(client, "bulb")[-1].source) == ("read_back", "local")

        retained = RELAY_SET.at(ROOT, relay="bulb")
        client.client.publish(retained, b"OFF", qos=1, retain=True)
        say(client, "bulb", RelayCommand(state="OFF", id="late", expires_at=datetime.now(UTC) - timedelta(seconds=1)))
        say(client, "bulb", b'{"state": "DIM"}')
        home.until(lambda: len(results(client, "bulb")) >= 4)
        reasons = [result.reason or "" for result in results(client, "bulb")[1:]]
        assert [any(word in reason for reason in reasons) for word in ("retained", "expired", "malformed")] == [True] * 3
        assert home.level("bulb") == "ON"
        client.client.publish(retained, b"", qos=1, retain=True)

        say(client, "heater", b"ON")
        home.until_level("heater", "ON")
        now = datetime.now(UTC)
        event = DemandEvent(id="peak", level="high", starts_at=now, ends_at=now + timedelta(seconds=5), reason="a cold evening")
        client.publish(DEMAND_EVENT.at(ROOT), event.to_wire())
        shed = [home.until_level(relay, "OFF") for relay in ("heater", "fridge")]
        assert shed[1].monotonic_s - shed[0].monotonic_s >= 0.9, "they go in turns"
        home.until_level("heater", "ON")
        home.until_level("fridge", "ON")
        home.until(lambda: demands(client)[-1].level == "normal" and not demands(client)[-1].shed)
        assert (demands(client)[-1].saved_kwh or 0) > 0
        assert home.level("bulb") == "ON", "what is not named is never shed"

        trail = _audit(tmp_path)
        assert {"switched", "refused"} <= {entry["event"] for entry in trail}
        assert any(entry["source"] == "load_manager" and entry["relay"] == "heater" and entry["state"] == "OFF" for entry in trail)


def _audit(folder: Path) -> list[dict[str, str]]:
    call = "from services.actuator.command import audit; audit()"
    command = [sys.executable, "-c", call, "--json", "--directory", str(folder)]
    shown = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        env={"HEMS_HOME__ID": ROOT.home, "PYTHONPATH": str(Path.cwd()), "HEMS_CONFIG": ""},
    )
    return [json.loads(line) for line in shown.stdout.splitlines()]
