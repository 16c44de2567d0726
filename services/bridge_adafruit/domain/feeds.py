"""Which feed shows what, and how a value is written there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hems.contracts.appliances import ApplianceState
from hems.contracts.demand import DemandState
from hems.contracts.energy import Energy
from hems.contracts.mains import Mains
from hems.contracts.payload import Payload

NOTHING_RUNS = "nothing"
RELAY = "relay/"
APPLIANCES = "appliances"
_LONGEST = 200

PAYLOADS: Mapping[str, type[Payload]] = {
    "mains": Mains,
    "energy": Energy,
    "energy/": Energy,
    "appliance/": ApplianceState,
    "demand": DemandState,
}
"""What a feed may show: a topic below the home's root, or the beginning of many, and its payload."""


@dataclass(frozen=True)
class Feed:
    """One feed of the group.

    Attributes:
        key: its key in the group: lower case, digits and `-`.
        topic: `mains`, `energy`, `energy/<appliance>`, `appliance/<appliance>`, `demand`, `appliances`, or `relay/<relay>`.
        shows: the payload's field; empty for `appliances` and a relay.
        every_s: the least time between two points; 0 for a state, which is shown at once.
        decimals: of a number.
        most: the end of its gauge's scale.
        locked: of a relay, that it may not be switched from there: it gets a lamp in place of a toggle.
    """

    key: str
    name: str
    topic: str
    shows: str = ""
    every_s: float = 0.0
    decimals: int = 2
    unit: str = ""
    most: float | None = None
    locked: bool = False

    @property
    def relay(self) -> str | None:
        """The relay that its toggle switches."""
        return self.topic.removeprefix(RELAY) if self.topic.startswith(RELAY) else None


DEFAULTS = (
    Feed("power", "Home power", "mains", "power_w", every_s=10, decimals=0, unit="W", most=8_000),
    Feed("energy-today", "Energy today", "energy", "today_kwh", every_s=60, unit="kWh", most=30),
    Feed("current", "Current", "mains", "current_a", every_s=30, unit="A", most=60),
    Feed("voltage", "Voltage", "mains", "voltage_v", every_s=60, decimals=1, unit="V", most=260),
    Feed("cost-today", "Cost today", "energy", "today_cost", every_s=300, most=20),
    Feed("appliances", "Appliances Status", APPLIANCES),
)
"""They leave room for four relays among the free plan's ten feeds."""


def relay_feed(relay: str) -> Feed:
    """The toggle of a relay: `garden_pump` has the feed `garden-pump`."""
    return Feed(relay.replace("_", "-"), readable(relay).capitalize(), f"{RELAY}{relay}")


def fitting(feeds: Sequence[Feed], relays: Sequence[str], most: int | None) -> tuple[tuple[Feed, ...], tuple[Feed, ...]]:
    """The feeds that there is room for, and those left out: first what is mapped, then the relays in order."""
    named = {feed.topic for feed in feeds}
    wanted = (*feeds, *(relay_feed(relay) for relay in relays if f"{RELAY}{relay}" not in named))
    unique = tuple({feed.key: feed for feed in reversed(wanted)}.values())[::-1]
    room = len(unique) if most is None else most
    return unique[:room], unique[room:]


def written(feed: Feed, value: Any) -> str | None:
    """A field's value as the feed shows it; None where there is none."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        text = f"{value:.{feed.decimals}f}"
        return text.removeprefix("-") if float(text) == 0 else text
    return str(value)[:_LONGEST]


def readable(name: str) -> str:
    """`washing_machine` as people say it."""
    return name.replace("_", " ").replace("-", " ")


@dataclass
class Running:
    """Which appliances run, as one text."""

    _running: dict[str, bool] = field(default_factory=dict[str, bool])

    def hear(self, appliance: str, running: bool) -> str:
        """One appliance's state; the text of all."""
        self._running[appliance] = running
        return ", ".join(readable(name) for name in sorted(self._running) if self._running[name])[:_LONGEST] or NOTHING_RUNS
