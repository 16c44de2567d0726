"""A home with a load manager, whose relays do what they are told."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hems.contracts.demand import DemandEvent, DemandLevel, DemandOverride
from hems.contracts.relays import Level, RelayState, Source
from services.load_manager.domain.comfort import Sheddable
from services.load_manager.domain.manager import Limits, Manager, Order, Plan, Standing
from services.load_manager.domain.schedules import Schedule

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
HEATER = Sheddable("heater", 1, longest_off_s=600, rest_s=300, power_w=2_000)
FRIDGE = Sheddable("fridge", 2, longest_off_s=1_800)
BOILER = Sheddable("boiler", 3, longest_off_s=1_800)


def event(level: DemandLevel = "special", *, event_id: str = "e", after_s: float = 0, lasts_s: float = 3_600) -> DemandEvent:
    """An event that begins now."""
    starts_at = NOW + timedelta(seconds=after_s)
    return DemandEvent(id=event_id, level=level, starts_at=starts_at, ends_at=starts_at + timedelta(seconds=lasts_s))


class House:
    """A manager, and relays that do what they are told."""

    def __init__(
        self, *loads: Sheddable, limits: Limits | None = None, schedules: Sequence[Schedule] = (), standing: Standing | None = None
    ):
        self.plan = Plan({load.relay: load for load in loads}, schedules, limits or Limits(), lease_s=120, stagger_s=10)
        self.manager = Manager(self.plan, LONDON, lambda _event, _day: None, standing)
        self.now = NOW
        self.orders: list[tuple[float, Order]] = []
        self.states: dict[str, RelayState] = {}
        for load in loads:
            self.put(load.relay, "ON", "local")

    def put(self, relay: str, state: Level, source: Source | None, *, until: datetime | None = None) -> None:
        self.states[relay] = RelayState(state=state, how="read_back", changed_at=self.now, source=source, until=until)
        self.manager.see(relay, self.states[relay], self.now)

    def ask(self, asked: DemandEvent) -> None:
        demands = self.manager.standing.demands.with_event(asked, self.now)
        self.manager.standing = self.manager.standing.model_copy(update={"demands": demands})

    def override(self, override: DemandOverride) -> None:
        demands = self.manager.standing.demands.with_override(override, self.now)
        self.manager.standing = self.manager.standing.model_copy(update={"demands": demands})

    def run(self, seconds: int, power_w: float | None = None) -> "House":
        for _ in range(seconds):
            self.now += timedelta(seconds=1)
            if power_w is not None:
                self.manager.filter.add(self.now, power_w)
            for order in self.manager.decide(self.now):
                self.orders.append(((self.now - NOW).total_seconds(), order))
                if self.states[order.relay].state != order.state:
                    self.put(order.relay, order.state, "load_manager")
        return self

    def on(self) -> set[str]:
        return {relay for relay, state in self.states.items() if state.state == "ON"}
