"""What a service counts about itself."""

import asyncio
from collections import Counter
from datetime import datetime

import hems
from hems.contracts.health import ServiceHealth


class Health:
    """Counters of work and errors, gauges, and the reason why the service can't work now.

    `changed` is set when the service goes blind or sees again, which is said at once.
    """

    def __init__(self, started_at: datetime) -> None:
        self._started_at = started_at
        self._work: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._gauges: dict[str, float] = {}
        self._blind: str | None = None
        self.changed = asyncio.Event()
        self.configuration_error: str | None = None

    @property
    def blind(self) -> str | None:
        """Why the service can't do its work now."""
        return self._blind

    @blind.setter
    def blind(self, reason: str | None) -> None:
        if reason != self._blind:
            self.changed.set()
        self._blind = reason

    def work(self, name: str, count: int = 1) -> None:
        """Count work done."""
        if count:
            self._work[name] += count

    def error(self, name: str, count: int = 1) -> None:
        """Count what went wrong."""
        if count:
            self._errors[name] += count

    def gauge(self, name: str, value: float) -> None:
        """Note a figure of the moment; its unit is in its name."""
        self._gauges[name] = value

    def report(self, at: datetime, backlog: int) -> ServiceHealth:
        """All of it, as a message."""
        return ServiceHealth(
            at=at,
            version=hems.__version__,
            started_at=self._started_at,
            work=dict(self._work),
            errors=dict(self._errors),
            gauges=dict(self._gauges),
            backlog=backlog,
            blind=self.blind,
            configuration_error=self.configuration_error,
        )
