"""`python -m services.load_manager` with a real actuator and broker, and openleadr's own server; the board's own log is the witness."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hems.contracts.catalog import DEMAND_EVENT, SERVICE_HEALTH
from hems.contracts.demand import DemandEvent
from hems.contracts.health import ServiceHealth
from tests.support.broker import RealBroker, free_port
from tests.support.paho_client import PahoClient
from tests.support.relays import ROOT, demands, relays, say
from tests.support.vtn import WARNINGS, running_vtn

pytestmark = [pytest.mark.filterwarnings(warning) for warning in WARNINGS]

_CONFIGURATION = """
actuator:
  relays:
    heater: {{safe: off, resting: last, person_holds_s: 0, allow: [local, load_manager]}}
load_manager:
  lease_s: 5
  stagger_s: 0
  sheddable: {{heater: {{power_w: 2000}}}}
  openadr: {{vtn_url: "{url}", ven_name: hut}}
"""


def _event(level: str) -> bytes:
    now = datetime.now(UTC)
    return DemandEvent.model_validate({"id": "local", "level": level, "starts_at": now, "ends_at": now + timedelta(hours=1)}).to_wire()


def _health(client: PahoClient) -> ServiceHealth | None:
    topic = SERVICE_HEALTH.at(ROOT, service="load_manager")
    found = [ServiceHealth.from_wire(payload) for name, payload in client.received if name == topic]
    return found[-1] if found else None


def test_an_event_of_the_server_switches_the_board(mosquitto: RealBroker, tmp_path: Path) -> None:
    """Over HTTP, through the broker, to the board and back; the server dies in the middle, and its event is still met."""
    with (
        running_vtn() as vtn,
        relays(mosquitto, tmp_path, _CONFIGURATION.format(url=vtn.url), "actuator", "load_manager") as (home, client),
    ):
        say(client, "heater", b"ON")
        home.until_level("heater", "ON")
        home.until(lambda: "oadrPoll" in vtn.heard)
        assert vtn.registrations == ["hut"]
        vtn.ask("evening", 3)
        home.until_level("heater", "OFF")
        home.until(lambda: vtn.answer_to("evening") == "optIn")
        home.until(lambda: demands(client)[-1].event == "openadr-evening")
        vtn.stop()
        time.sleep(6)  # longer than a lease
        assert home.level("heater") == "OFF"
        vtn.start()
        home.until(lambda: len(vtn.registrations) == 2)
        vtn.ask("evening", 0)
        home.until_level("heater", "ON")


def test_a_server_that_never_answers_is_no_reason_to_wait(mosquitto: RealBroker, tmp_path: Path) -> None:
    """Events from anywhere else are met meanwhile."""
    url = f"http://127.0.0.1:{free_port()}"
    with relays(mosquitto, tmp_path, _CONFIGURATION.format(url=url), "actuator", "load_manager") as (home, client):
        say(client, "heater", b"ON")
        home.until_level("heater", "ON")
        client.publish(DEMAND_EVENT.at(ROOT), _event("high"))
        home.until_level("heater", "OFF")
        assert home.process("load_manager").log.count("the OpenADR server can't be used") == 1


def test_without_the_library_loads_are_managed_and_it_says_what_to_install(
    mosquitto: RealBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an environment that does not have the extra."""
    (tmp_path / "missing").mkdir()
    (tmp_path / "missing" / "openleadr.py").write_text("raise ModuleNotFoundError(\"No module named 'openleadr'\")")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "missing"), str(Path.cwd())]))
    with relays(mosquitto, tmp_path, _CONFIGURATION.format(url="http://127.0.0.1:1"), "actuator", "load_manager") as (home, client):
        say(client, "heater", b"ON")
        home.until_level("heater", "ON")
        client.publish(DEMAND_EVENT.at(ROOT), _event("high"))
        home.until_level("heater", "OFF")
        assert "pip install 'openleadr>=0.5.36,<0.6'" in home.process("load_manager").log
        home.until(lambda: _health(client))
        health = _health(client)
        assert health is not None
        assert "OpenADR is not installed" in (health.configuration_error or "")
