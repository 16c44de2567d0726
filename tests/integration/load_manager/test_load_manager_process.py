"""`python -m services.load_manager` with a real actuator and a real broker; the board's own log is the witness."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hems.contracts.catalog import DEMAND_EVENT
from hems.contracts.demand import DemandEvent
from tests.support.broker import RealBroker
from tests.support.relays import ROOT, demands, relays, say

CONFIGURATION = """
actuator:
  relays:
    heater: {safe: off, resting: last, person_holds_s: 0, allow: [local, load_manager]}
load_manager:
  lease_s: 5
  stagger_s: 0
  sheddable: {heater: {power_w: 2000}}
"""


def test_loads_come_back_though_the_load_manager_is_killed(mosquitto: RealBroker, tmp_path: Path) -> None:
    """Kill -9 in the middle of an event: the lease ends, the load rests as it was; started again, it sheds anew and brings back."""
    with relays(mosquitto, tmp_path, CONFIGURATION, "actuator", "load_manager") as (home, client):
        say(client, "heater", b"ON")
        home.until_level("heater", "ON")
        now = datetime.now(UTC)
        event = DemandEvent(id="peak", level="high", starts_at=now, ends_at=now + timedelta(hours=1))
        client.publish(DEMAND_EVENT.at(ROOT), event.to_wire())
        home.until_level("heater", "OFF")
        home.until(lambda: demands(client) and demands(client)[-1].shed)
        home.process("load_manager").kill()
        home.until_level("heater", "ON")
        home.start("load_manager")
        home.until_level("heater", "OFF")
        client.publish(DEMAND_EVENT.at(ROOT), event.model_copy(update={"level": "normal"}).to_wire())
        home.until_level("heater", "ON")
        home.until(lambda: demands(client)[-1].level == "normal")
