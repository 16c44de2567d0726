"""An estimate of the energy that was not used, and how it was come by."""

from dataclasses import dataclass, field, replace
from datetime import datetime

_SETTLED_S = 20.0


@dataclass
class _Load:
    since: datetime
    before_w: float | None
    configured_w: float | None
    power_w: float | None = None
    energy_kwh: float = 0.0
    counted_until: datetime | None = None

    def measure(self, filtered_w: float | None) -> None:
        """What fell away since it was shed is its own, so long as no other load has moved."""
        if self.power_w is None and self.before_w is not None and filtered_w is not None:
            self.power_w = max(self.before_w - filtered_w, 0.0)
            self.counted_until = self.since

    @property
    def known_as(self) -> str:
        """Its power, and how that is known."""
        if self.power_w is None:
            return "not measured yet" if self.before_w is not None else "not measured, so not counted"
        return f"{self.power_w:.0f} W ({'configured' if self.configured_w is not None else 'measured'})"


@dataclass
class Savings:
    """Counts while loads are held back: what each would have drawn, as if it had run throughout."""

    loads: dict[str, _Load] = field(default_factory=dict[str, _Load])
    done_kwh: float = 0.0
    _told: dict[str, str] = field(default_factory=dict[str, str])

    def begin(self, relay: str, now: datetime, filtered_w: float | None, configured_w: float | None) -> None:
        """A load is held back from now; `filtered_w` is what the home has drawn since the load before it moved."""
        self._another_moves(filtered_w)
        self.loads[relay] = _Load(now, filtered_w, configured_w, configured_w, counted_until=now)

    def look(self, now: datetime, filtered_w: float | None) -> None:
        """Time has passed: measure what fell away, and count."""
        for relay, load in self.loads.items():
            if (now - load.since).total_seconds() >= _SETTLED_S:
                load.measure(filtered_w)
            if load.power_w is not None and load.counted_until is not None:
                load.energy_kwh += load.power_w * max((now - load.counted_until).total_seconds(), 0.0) / 3.6e6
                load.counted_until = now
            self._told[relay] = f"{relay} {load.known_as}"

    def end(self, relay: str, now: datetime, filtered_w: float | None) -> None:
        """A load is free again."""
        if relay in self.loads:
            self._another_moves(filtered_w)
            self.look(now, filtered_w)
            self.done_kwh += self.loads.pop(relay).energy_kwh

    def counted_anew(self) -> "Savings":
        """From nothing, for the loads that are held back now."""
        return Savings({relay: replace(load, energy_kwh=0.0) for relay, load in self.loads.items()})

    def _another_moves(self, filtered_w: float | None) -> None:
        # What falls away from now on is another load's: what was not measured by now never will be.
        for load in self.loads.values():
            load.measure(filtered_w)
            load.before_w = None

    @property
    def energy_kwh(self) -> float:
        """All that was saved since the event began, kWh."""
        return self.done_kwh + sum(load.energy_kwh for load in self.loads.values())

    @property
    def how(self) -> str:
        """How the estimate was made, for people."""
        if not self._told:
            return "nothing is counted yet"
        parts = ", ".join(self._told[relay] for relay in sorted(self._told))
        return f"each load's power, as if it had run throughout while it was held back: {parts}; catching up later is not subtracted"
