"""An actuator on a broker in memory, with a clock moved by hand."""

from pathlib import Path
from typing import Any

from hems.actor.context import Context
from hems.contracts.relays import Level
from hems.testing.clocks import ManualClock
from services.actuator.actor import Actuator
from services.actuator.audit_file import AuditFile
from services.actuator.settings import ActuatorSettings
from services.actuator.simulated_board import SimulatedBoard
from services.actuator.switchboard import Board, Clocks

RELAYS: dict[str, dict[str, Any]] = {
    "bulb": {"allow": ["local", "dashboard"], "max_on_s": 3_600},
    "fridge": {"safe": "on", "resting": "on", "min_off_s": 600, "max_away_s": 5_400, "allow": ["local", "load_manager"]},
}


class FaultyBoard:
    """A board whose wires a test may cut."""

    def __init__(self, **levels: Level) -> None:
        self.levels: dict[str, Level] = dict(levels)
        self.broken = False
        self.broken_relay = ""

    def __enter__(self) -> "FaultyBoard":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def switch(self, relay: str, level: Level) -> None:
        """Switch, or fail."""
        if self.broken or relay == self.broken_relay:
            raise OSError("the wire is cut")
        self.levels[relay] = level

    def level(self, relay: str) -> Level | None:
        """Where it stands."""
        return self.levels[relay]


def actuator(folder: Path, clock: ManualClock, context: Context, wires: Board | None = None, **settings: Any) -> Actuator:
    """Put one together."""
    read = ActuatorSettings.read({"relays": RELAYS, **settings}, {})
    simulated: Any = SimulatedBoard(folder / "relays.jsonl", {name: relay.safe for name, relay in read.relays.items()})
    audit: Any = AuditFile(folder / "audit.db", 1_000)
    return Actuator(read, context, wires or simulated, audit, Clocks(clock.monotonic, clock.now, boot="test"), clock.sleep)
