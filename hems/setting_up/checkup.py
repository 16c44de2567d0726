"""What a service's `checkup` module is given: it has one function, `check`, and `hems doctor` finds it by its name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hems.actor.configuration import Configuration
from hems.contracts.health import ServiceHealth
from hems.contracts.mains import Mains
from hems.setting_up.findings import Finding


@dataclass(frozen=True)
class Overheard:
    """What was said on the bus while the doctor listened.

    Attributes:
        seconds: how long that was.
        online: the services' retained status.
        health: each service's newest report, retained or live.
        alive: the services that said how they are meanwhile.
        mains: the readings that came live, in order.
    """

    seconds: float
    online: Mapping[str, bool] = field(default_factory=dict[str, bool])
    health: Mapping[str, ServiceHealth] = field(default_factory=dict[str, ServiceHealth])
    alive: frozenset[str] = frozenset()
    mains: Sequence[Mains] = ()

    def runs(self, service: str) -> bool:
        """Whether this service is online."""
        return self.online.get(service, False)


@dataclass(frozen=True)
class HomeSeen:
    """A home as the doctor sees it.

    Attributes:
        configuration: as far as it can be read; sections may have mistakes.
        overheard: None where there is no broker to listen to.
        listen_s: how long a check may listen to a port of its own.
        root: where the system's files are; another folder in tests.
    """

    configuration: Configuration
    overheard: Overheard | None
    listen_s: float
    root: Path = Path("/")


class Check(Protocol):
    """A service's own look at what it needs."""

    async def __call__(self, home: HomeSeen) -> Sequence[Finding]:
        """Look, change nothing, and don't take long."""
        ...
