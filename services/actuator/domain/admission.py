"""Whether a command may be heard at all: who says it, how it came, and whether it is of now."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hems.contracts.relays import RelayCommand, Source
from services.actuator.domain.rules import FLEET, RelayRules

FUTURE = timedelta(seconds=5)
STALE = timedelta(minutes=2)
EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
"""No release is older: a clock before it has not been set since the power came."""


@dataclass(frozen=True)
class Instant:
    """Both clocks at once: safety counts by the monotonic one, commands carry the wall's."""

    monotonic_s: float
    wall: datetime
    wall_known: bool = True


@dataclass(frozen=True)
class Request:
    """A command, who said it by the topic that it came on, whether it was retained, and how long it may have waited to be read."""

    command: RelayCommand
    source: Source
    retained: bool = False
    waited_s: float = 0.0

    @property
    def bears_a_time(self) -> bool:
        """Whether it says of itself when it is good."""
        return self.command.issued_at is not None or self.command.expires_at is not None


class TrustedTime:
    """The wall's time counts as unknown before the release's date, and before the newest time that was persisted."""

    def __init__(self, newest: datetime | None, earliest: datetime = EARLIEST) -> None:
        self.newest = max(newest or earliest, earliest)

    def known(self, wall: datetime) -> bool:
        """Whether the wall's time can be believed."""
        return wall >= self.newest

    def persisted(self, wall: datetime) -> None:
        """This time was written down."""
        self.newest = max(self.newest, wall)


def refusal(request: Request, rules: RelayRules, now: Instant) -> str | None:
    """Why a command is not heard; None where it is."""
    if request.source not in rules.allow:
        return f"{request.source} may not switch this relay; it is not in its 'allow' list"
    if request.retained:
        return "retained: a command is for now; publish it without the retain flag, and clear the retained one"
    if request.source == FLEET and request.command.expires_at is None:
        return "a command from the fleet's cluster may be old when it comes: it must be JSON with expires_at"
    return _untimely(request.command, now) if request.bears_a_time else None


def waited(request: Request) -> str | None:
    """Why a bare command is not followed away from safe: nobody knows how old it is."""
    if request.waited_s > 0 and not request.bears_a_time:
        return f"the actuator was held up for {request.waited_s:.0f} s, and this may be as old; send it again"
    return None


def _untimely(command: RelayCommand, now: Instant) -> str | None:
    if not now.wall_known:
        return "the time of day is not known here, so that a command with times can't be judged; send a bare ON or OFF"
    if command.expires_at is not None and command.expires_at <= now.wall:
        return f"expired {(now.wall - command.expires_at).total_seconds():.0f} s ago"
    return _out_of_step(command.issued_at, now.wall) if command.issued_at else None


def _out_of_step(issued_at: datetime, wall: datetime) -> str | None:
    if issued_at - wall > FUTURE:
        return f"issued {(issued_at - wall).total_seconds():.0f} s in the future; check the sender's clock"
    if wall - issued_at > STALE:
        return f"issued {(wall - issued_at).total_seconds():.0f} s ago; a command is for now"
    return None
