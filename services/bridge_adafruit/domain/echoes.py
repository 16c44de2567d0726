"""Our own values, as they come back: the cloud sends every value to all of the account's clients, us included."""

from dataclasses import dataclass, field, replace

_LATEST_S = 30.0
"""The longest that a value may be on its way and back. A press of the same value in this time is taken for the echo: the safer error."""
_MISSED_AFTER_S = 10.0


def alike(one: str | None, other: str) -> bool:
    """Whether two values of a feed are one: a cloud may write 1.90 as 1.9."""
    if one is None or one == other:
        return one == other
    try:
        return float(one) == float(other)
    except ValueError:
        return False


@dataclass(frozen=True)
class _Echo:
    value: str
    sent_s: float
    live: bool
    awaited: bool = True


@dataclass
class Echoes:
    """What was sent and has not come back."""

    _waiting: dict[str, list[_Echo]] = field(default_factory=dict[str, list[_Echo]])
    _heard: bool = False

    def expect(self, key: str, value: str, now_s: float, *, live: bool = True) -> None:
        """A value is being sent; `live` where the feed then shows it, not where it fills a gap."""
        self._waiting[key] = [*self._recent(key, now_s), _Echo(value, now_s, live)]

    def take(self, key: str, value: str, now_s: float) -> bool | None:
        """Whether a value that comes is an echo: of a live one (True), of one in a gap (False), or none (None)."""
        waiting = self._recent(key, now_s)
        found = next((echo for echo in waiting if alike(echo.value, value)), None)
        if found is not None:
            waiting.remove(found)
            self._heard = self._heard or found.live
        self._waiting[key] = waiting
        return found.live if found else None

    def waits(self, key: str, value: str) -> bool:
        """Whether a live value has not come back yet, and nothing speaks against its coming."""
        return any(echo.live and echo.awaited and echo.value == value for echo in self._waiting.get(key, []))

    def outstanding(self, key: str) -> bool:
        """Whether a live value of the feed has not come back yet."""
        return any(echo.live and echo.awaited for echo in self._waiting.get(key, []))

    def missed(self, now_s: float, *, at_once: bool = False) -> set[str]:
        """Feeds whose newest live value has not come back in time, each said once: they may show something else.

        Args:
            now_s: seconds of a clock that never jumps.
            at_once: whatever is not back now counts, since something was thrown away.
        """
        if not self._heard and not at_once:
            return set()  # a cloud that never echoes
        late: set[str] = set()
        for key, waiting in self._waiting.items():
            if any(echo.live and echo.awaited and (at_once or _MISSED_AFTER_S <= now_s - echo.sent_s < _LATEST_S) for echo in waiting):
                late.add(key)
                # Still recognised if they come: only the worry about them is over.
                self._waiting[key] = [replace(echo, awaited=False) for echo in waiting]
        return late

    def reconnect(self) -> None:
        """A new connection: what was on its way over the old one may still come, as a surprise, over this one."""
        for key, waiting in self._waiting.items():
            self._waiting[key] = [replace(echo, awaited=False) for echo in waiting]

    def _recent(self, key: str, now_s: float) -> list[_Echo]:
        return [echo for echo in self._waiting.get(key, []) if now_s - echo.sent_s < _LATEST_S]
