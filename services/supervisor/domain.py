"""When to start again what ended."""

from dataclasses import dataclass

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_LONG_ENOUGH_S = 60.0
_CONFIGURATION_DELAY_S = 60.0
_CONFIGURATION_STATUS = 78


@dataclass
class RestartPolicy:
    """At once after a long life, ever more slowly after short ones; a mistake in the configuration waits for a person."""

    _delay_s: float = _FIRST_DELAY_S

    def delay_s(self, status: int, lived_s: float) -> float:
        """How long to wait before the next start.

        Args:
            status: the exit status, negative where a signal ended it.
            lived_s: how long it ran.
        """
        if status == _CONFIGURATION_STATUS:
            return _CONFIGURATION_DELAY_S
        delay_s = _FIRST_DELAY_S if lived_s >= _LONG_ENOUGH_S else self._delay_s
        self._delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
        return delay_s


def why(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"was ended by signal {-status}"
    if status == _CONFIGURATION_STATUS:
        return "found mistakes in its configuration: mend them and it starts again within a minute"
    return f"ended with status {status}"
