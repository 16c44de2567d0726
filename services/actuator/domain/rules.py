"""What is configured of one relay, and who counts as a person."""

from dataclasses import dataclass

from hems.contracts.relays import Level, Source

LOAD_MANAGER: Source = "load_manager"
"""It acts by itself; a person's wish goes first."""

FLEET: Source = "fleet"
"""Whoever runs many homes, through the bridge to their cluster: it acts by itself, too, and its commands may come late."""

BY_THEMSELVES = frozenset({LOAD_MANAGER, FLEET})
"""Every other source carries a person's wish."""

CONTROLLERS: dict[str, tuple[Source, ...]] = {
    "load_manager": ("load_manager",),
    "bridge_adafruit": ("adafruit", "webhook"),
    "notifier": ("sms",),
    "dashboard": ("dashboard",),
}
"""Which sources a service speaks for: its health message shows that they are alive. Local clients have no service."""

HOUR_S = 3_600.0


@dataclass(frozen=True)
class RelayRules:
    """One relay's limits.

    Attributes:
        safe: where it stands at every start and stop, and whenever nobody is in charge.
        resting: where it goes when a lease ends; None is the last command without a lease.
        min_on_s: how long it stays on before it may leave ON, away from safe.
        min_off_s: how long it stays off before it returns to ON; a compressor needs this even on its way to safety.
        safe_overrides_min_off: nothing is hurt by an early return to ON, where ON is safe.
        max_away_s: the longest time away from safe; returns shorter than `rest_s` count as away.
        rest_s: how long it stays safe before its time away is counted anew.
        max_switches_per_hour: both directions count, and the way back is kept in reserve.
        silent_after_s: it goes safe when the broker, or the controller of its lease, is silent for so long.
        person_holds_s: how long a person's command without a lease goes before the load manager's.
        allow: who may switch it.
    """

    safe: Level = "OFF"
    resting: Level | None = None
    min_on_s: float = 0.0
    min_off_s: float = 0.0
    safe_overrides_min_off: bool = False
    max_away_s: float | None = None
    rest_s: float = 60.0
    max_switches_per_hour: int = 60
    silent_after_s: float | None = None
    person_holds_s: float = 60.0
    allow: frozenset[Source] = frozenset({"local"})


def opposite(level: Level) -> Level:
    """The other one."""
    return "OFF" if level == "ON" else "ON"
