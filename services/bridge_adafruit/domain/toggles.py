"""A toggle on the dashboard and the relay at home: what was pressed, what came of it, and what the toggle should show."""

from dataclasses import dataclass

from hems.contracts.relays import Level, RelayResult

_LEVELS: dict[str, Level] = {"on": "ON", "1": "ON", "true": "ON", "off": "OFF", "0": "OFF", "false": "OFF"}
_STATE_FOLLOWS_S = 3.0


def read_level(value: str) -> Level | None:
    """What a dashboard, a voice or a hand writes into a toggle's feed; None where that is no level."""
    return _LEVELS.get(value.strip().strip('"').lower())


@dataclass(frozen=True)
class Pending:
    """A command that has no outcome yet."""

    id: str
    level: Level
    until_s: float


class Toggle:
    """One relay's toggle. While a command is pending the toggle is left as the person set it."""

    def __init__(self) -> None:
        self.state: Level | None = None
        self._pending: Pending | None = None

    def ask(self, identity: str, level: Level, until_s: float) -> None:
        """A command is being said; its outcome is known by `until_s`."""
        self._pending = Pending(identity, level, until_s)

    def fail(self, identity: str) -> None:
        """It could not be said."""
        if self._pending is not None and self._pending.id == identity:
            self._pending = None

    def answer(self, result: RelayResult, now_s: float) -> bool | None:
        """The actuator's answer; whether it accepted, or None where it answers somebody else's command."""
        pending = self._pending
        if pending is None or result.id != pending.id:
            return None
        done = not result.accepted or self.state == pending.level
        self._pending = None if done else Pending(pending.id, pending.level, now_s + _STATE_FOLLOWS_S)
        return result.accepted

    def see(self, state: Level) -> None:
        """Where the relay stands."""
        self.state = state
        if self._pending is not None and self._pending.level == state:
            self._pending = None

    def expire(self, now_s: float) -> bool:
        """Give up a command without an outcome; True where there was one."""
        if self._pending is None or now_s < self._pending.until_s:
            return False
        self._pending = None
        return True

    @property
    def expected(self) -> Level | None:
        """Where the relay will stand if what is pending is done."""
        return self._pending.level if self._pending else self.state

    @property
    def shows(self) -> Level | None:
        """What the toggle should show now; None while that is not known or a command is pending."""
        return None if self._pending else self.state
