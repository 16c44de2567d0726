"""Commands to relays: what was asked, and what became of it."""

from dataclasses import dataclass, field
from typing import Literal

from hems.contracts.relays import Level, RelayResult, RelayState

Outcome = Literal["asked", "accepted", "confirmed", "refused", "no_answer"]

PATIENCE_S = 5.0
_SHOWN_S = 20.0


@dataclass(frozen=True)
class Asked:
    """The newest command of this page to a relay."""

    id: str
    wanted: Level
    at_s: float
    outcome: Outcome = "asked"
    reason: str | None = None


@dataclass
class Switching:
    """The newest command to each relay. Times are seconds of a monotonic clock."""

    _asked: dict[str, Asked] = field(default_factory=dict[str, Asked])

    def ask(self, relay: str, identity: str, wanted: Level, at_s: float) -> None:
        """A command is being said."""
        self._asked[relay] = Asked(identity, wanted, at_s)

    def fail(self, relay: str, identity: str, reason: str, at_s: float) -> None:
        """It could not even be said."""
        if (asked := self._asked.get(relay)) and asked.id == identity:
            self._asked[relay] = Asked(asked.id, asked.wanted, at_s, "refused", reason)

    def answer(self, relay: str, result: RelayResult, at_s: float) -> bool:
        """The actuator's answer; False where it answers another's command."""
        asked = self._asked.get(relay)
        if asked is None or result.id != asked.id:
            return False
        outcome: Outcome = "refused" if not result.accepted else "confirmed" if asked.outcome == "confirmed" else "accepted"
        self._asked[relay] = Asked(asked.id, asked.wanted, at_s, outcome, result.reason)
        return True

    def see(self, relay: str, state: RelayState, at_s: float) -> None:
        """A state that is what was asked for, by this page, confirms the command."""
        asked = self._asked.get(relay)
        if asked and asked.outcome in ("asked", "accepted", "no_answer") and state.state == asked.wanted and state.source == "dashboard":
            self._asked[relay] = Asked(asked.id, asked.wanted, at_s, "confirmed", asked.reason)

    def expire(self, now_s: float) -> bool:
        """Give up what has no answer, and forget what was shown long enough; True where something changed."""
        before = dict(self._asked)
        for relay, asked in before.items():
            if asked.outcome == "asked" and now_s - asked.at_s > PATIENCE_S:
                self._asked[relay] = Asked(asked.id, asked.wanted, now_s, "no_answer")
            elif asked.outcome != "asked" and now_s - asked.at_s > _SHOWN_S:
                del self._asked[relay]
        return self._asked != before

    def of(self, relay: str) -> Asked | None:
        """What was last asked of a relay, while it is worth showing."""
        return self._asked.get(relay)
