"""What a service counts about itself."""

from collections import Counter
from datetime import datetime

import hems
from hems.contracts.health import ServiceHealth


class Health:
    """Counters of work and errors, gauges, and the reason why the service can't work now."""

    def __init__(self, started_at: datetime) -> None:
        self._started_at = started_at
        self._work: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._gauges: dict[str, float] = {}
        self.blind: str | None = None
        self.configuration_error: str | None = None

    def work(self, name: str, count: int = 1) -> None:
        """Count work done."""
        self._work[name] += count

    def error(self, name: str, count: int = 1) -> None:
        """Count what went wrong."""
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
