"""Tries one relay while the actuator is stopped: a short lease, through the actuator's own rules, journal and board."""

import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog

from hems.actor.clock import WallClock
from hems.actor.context import Context
from hems.actor.health import Health
from hems.actor.logs import Log
from hems.actor.store import Store
from hems.contracts.catalog import ALERT, RELAY, RELAY_RESULT
from hems.contracts.relays import Level, RelayCommand, RelayResult
from hems.contracts.topic import Qos, Root
from services.actuator.audit_file import AuditFile
from services.actuator.boards import board_of
from services.actuator.domain.admission import Request
from services.actuator.domain.rules import opposite
from services.actuator.settings import ActuatorSettings
from services.actuator.switchboard import Clocks, Switchboard
from services.actuator.voice import Voice

LEASE_S = 2.0
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_LOOK_EVERY_S = 0.02
_SLACK_S = 1.0


class Refused(Exception):
    """The actuator would not follow; the message is its reason."""


def try_relay(settings: ActuatorSettings, folder: Path, home: str, relay: str, tell: Callable[[Level], None]) -> None:
    """Switch a relay away from safe for two seconds, and back; `tell` is told where it stands.

    All relays are put into their safe states first, and at the end, as at each start and stop of the actuator.

    Raises:
        Refused: the actuator's rules don't allow it now.
        OSError: the board or the disk failed.
    """
    try:
        _try_through_the_rules(settings, folder, home, relay, tell)
    except (Refused, OSError):
        raise
    except Exception as error:  # lgpio and gpiozero have exceptions of their own, such as for a pin that another program holds
        raise OSError(f"the board or the disk failed: {error}") from error


def _try_through_the_rules(settings: ActuatorSettings, folder: Path, home: str, relay: str, tell: Callable[[Level], None]) -> None:
    log: Log = structlog.get_logger()
    with Store(folder / "actuator.db", log) as store:
        clock = WallClock()
        context = Context(root=Root(home), clock=clock, health=Health(clock.now()), store=store, speaker=_Nobody())
        context.outputs = (RELAY, RELAY_RESULT, ALERT)
        voice = _Answers(context)
        rules = {name: each.rules() for name, each in settings.relays.items()}
        audit = AuditFile(folder / "audit.db", settings.audit_entries)
        clocks = Clocks(clock.monotonic, clock.now, boot=_BOOT.read_text().strip() if _BOOT.exists() else str(datetime.now(UTC)))
        with Switchboard(rules, board_of(settings, folder), audit, voice, context, clocks) as switchboard:
            _lease(switchboard, voice, relay, tell)


def _lease(switchboard: Switchboard, voice: "_Answers", relay: str, tell: Callable[[Level], None]) -> None:
    one = switchboard.relays[relay]
    command = RelayCommand(state=opposite(one.rules.safe), for_s=LEASE_S, id=f"setup-{uuid.uuid4()}")
    if not switchboard.follow(relay, Request(command, "local")):
        raise Refused(voice.last_reason or "the actuator refused it")
    tell(one.level)
    # A compressor's minimum off time may hold its return up; leaving the switchboard puts it back at once, as at every stop.
    give_up_at_s = time.monotonic() + LEASE_S + _SLACK_S
    while one.level != one.rules.safe and time.monotonic() < give_up_at_s:
        time.sleep(_LOOK_EVERY_S)
        switchboard.step()
    tell(one.rules.safe)


class _Answers(Voice):
    """Keeps why a command was refused, and says nothing: there is no bus."""

    last_reason: str | None = None

    def answer(self, relay: str, result: RelayResult) -> None:
        """Note the reason."""
        self.last_reason = result.reason


class _Nobody:
    """No connection: what is said is lost, and what is committed waits for the actuator's next start."""

    connected = False

    async def say(self, topic: str, payload: bytes, *, qos: Qos, retain: bool) -> None:
        """Nobody hears it."""
