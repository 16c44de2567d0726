"""When to start again what ended, and when a demo begins."""

from dataclasses import dataclass

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_LONG_ENOUGH_S = 60.0
_CONFIGURATION_DELAY_S = 60.0
_CONFIGURATION_STATUS = 78
_SHORTEST_LEAD_S = 4.0
_LONGEST_LEAD_S = 20.0
_STARTS_FOR_ALL = 2.5
"""All services together take so many times as long to start as one process alone."""


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


def demo_lead_s(one_start_s: float) -> float:
    """How long after the first service's start the recording begins: a slow computer must not miss the appliance that it begins with.

    Args:
        one_start_s: what starting one process took just now.
    """
    return min(max(_SHORTEST_LEAD_S, _STARTS_FOR_ALL * one_start_s), _LONGEST_LEAD_S)


def why(status: int) -> str:
    """An exit status in words."""
    if status < 0:
        return f"was ended by signal {-status}"
    if status == _CONFIGURATION_STATUS:
        return "found mistakes in its configuration: mend them and it starts again within a minute"
    return f"ended with status {status}"
