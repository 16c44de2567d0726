"""What the relays hang on, by the settings."""

from pathlib import Path

from hems.contracts.relays import Level
from services.actuator.gpio_board import GpioBoard, Wiring
from services.actuator.settings import ActuatorSettings
from services.actuator.simulated_board import SimulatedBoard
from services.actuator.switchboard import Board
from services.actuator.tasmota_board import TasmotaBoard


def board_of(settings: ActuatorSettings, folder: Path) -> Board:
    """The board; nothing is claimed before it is entered."""
    relays = settings.relays
    safe: dict[str, Level] = {name: relay.safe for name, relay in relays.items()}
    if settings.board == "gpio":
        return GpioBoard({name: Wiring(relay.pin or 0, relay.active == "high", relay.safe) for name, relay in relays.items()})
    if settings.board == "tasmota":
        return TasmotaBoard({name: relay.device or "" for name, relay in relays.items()}, safe)
    return SimulatedBoard(settings.simulated_log or folder / "relays.jsonl", safe)
