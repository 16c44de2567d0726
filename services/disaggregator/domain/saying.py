"""Which states are worth saying: what changed, and everything once a minute."""

from collections.abc import Sequence
from typing import NamedTuple

from services.disaggregator.domain.tracking import Tracker
from services.disaggregator.domain.unknown_heater import UnknownHeater

SAY_EVERY_S = 60.0
_WORTH_W = 50.0
_WORTH_SHARE = 0.2

Appliance = Tracker | UnknownHeater


class _Said(NamedTuple):
    running: bool
    power_w: float
    time_s: float


_IDLE = _Said(running=False, power_w=0.0, time_s=0.0)


class Sayer:
    """Remembers what was said last of each appliance."""

    def __init__(self) -> None:
        self._said: dict[str, _Said] = {}

    def due(self, appliances: Sequence[Appliance], time_s: float) -> list[Appliance]:
        """Those to say now: started or stopped, drawing clearly more or less, or not said for a minute."""
        due = [appliance for appliance in appliances if self._is_due(appliance, time_s)]
        for appliance in due:
            self._said[appliance.appliance] = _Said(appliance.running, appliance.power_w, time_s)
        return due

    def recall(self, appliances: Sequence[Appliance], time_s: float) -> None:
        """Take it that these were said so at that time: for a home that goes on where it was left."""
        for appliance in appliances:
            self._said[appliance.appliance] = _Said(appliance.running, appliance.power_w, time_s)

    def has_changed(self, appliance: Appliance) -> bool:
        """Whether it started, stopped, or draws clearly more or less than was said last; true of what was never said and runs."""
        said = self._said.get(appliance.appliance, _IDLE)
        return said.running != appliance.running or abs(appliance.power_w - said.power_w) > max(_WORTH_W, _WORTH_SHARE * said.power_w)

    def _is_due(self, appliance: Appliance, time_s: float) -> bool:
        said = self._said.get(appliance.appliance)
        return said is None or not 0 <= time_s - said.time_s < SAY_EVERY_S or self.has_changed(appliance)
