"""Assembles the actuator."""

from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from hems.actor.clock import SimulatedClock, WallClock
from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.context import Context
from hems.actor.runner import Surroundings, run_service
from hems.actor.settings import StorageSettings
from services.actuator.actor import Actuator
from services.actuator.audit_file import AuditFile
from services.actuator.boards import board_of
from services.actuator.domain.admission import TrustedTime
from services.actuator.settings import ActuatorSettings
from services.actuator.switchboard import Clocks

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_ANY_TIME = datetime.min.replace(tzinfo=UTC)


def build(settings: ActuatorSettings, context: Context) -> Actuator:
    """Put it together.

    Raises:
        ConfigurationError: a simulated home would switch real relays.
    """
    if context.clock.rate != 1 and settings.board != "simulated":
        message = f"the {settings.board} board switches real loads, and time runs {context.clock.rate:g} times as fast; use --speed 1"
        raise ConfigurationError([Mistake("hems.yaml", None, "actuator.board", message)])
    for warning in settings.warnings():
        structlog.get_logger().warning("a relay is not safe at power-on", advice=warning)
    folder = Configuration.load().section(StorageSettings).directory / context.root.home
    audit = AuditFile(folder / "audit.db", settings.audit_entries)
    return Actuator(settings, context, board_of(settings, folder), audit, _clocks(context))


def leave_safe(settings: ActuatorSettings, surroundings: Surroundings) -> None:
    """Put every relay into its safe state, though nothing else works: a damaged disk must not leave a load on."""
    with suppress(Exception), board_of(settings, surroundings.folder):
        structlog.get_logger().warning("the relays are put into their safe states; none can be switched", relays=list(settings.relays))


def _clocks(context: Context) -> Clocks:
    monotonic, boot = WallClock().monotonic, _BOOT.read_text().strip() if _BOOT.exists() else str(datetime.now(UTC))
    if isinstance(context.clock, SimulatedClock):
        # Services live in the recording's time, which may be long ago; people's own programs don't.
        trust = partial(TrustedTime, earliest=_ANY_TIME)
        return Clocks(monotonic, context.clock.now, lambda: datetime.now(UTC), boot, context.clock.rate, trust)
    return Clocks(monotonic, context.clock.now, boot=boot)


if __name__ == "__main__":
    run_service("actuator", ActuatorSettings, build, unable=leave_safe)
