"""The load manager and the actuator's own rules through random hours: people, events, schedules, crashes of both."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from hems.contracts.demand import DemandEvent, DemandOverride
from hems.contracts.relays import Level, RelayCommand, RelayState
from services.actuator.domain.admission import Instant, Request
from services.actuator.domain.relay import Change, Relay
from services.actuator.domain.rules import RelayRules
from services.load_manager.domain.comfort import Sheddable
from services.load_manager.domain.manager import Limits, Manager, Plan, Standing
from services.load_manager.domain.schedules import Beginning, Schedule
from tests.unit.load_manager.house import LONDON

NAME, HOUR_S = "load", 3_600
BEGIN = datetime(2026, 1, 5, 11, tzinfo=UTC)
few = settings(max_examples=12, deadline=None)


@dataclass
class Together:
    """One relay, and what it and a person have done.

    Attributes:
        wish: a person's last command, and until when it counts.
        found: what must not be.
    """

    random: Random
    now_s: float = 0.0
    wish: tuple[Level, float] | None = None
    back_at_s: float | None = None
    found: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        choose = self.random.choice
        self.rules = RelayRules(
            safe=choose(("OFF", "ON")),
            resting=choose((None, "ON", "OFF")),
            min_off_s=choose((0.0, 30.0)),
            max_away_s=choose((None, 900.0, 5_000.0)),
            max_switches_per_hour=choose((6, 60)),
            person_holds_s=choose((0.0, 60.0)),
            allow=frozenset({"local", "load_manager"}),
        )
        load = Sheddable(NAME, 1, longest_off_s=choose((120.0, 600.0, 1_800.0)), rest_s=choose((0.0, 300.0)))
        at, lasts = time(11, self.random.randrange(60)), timedelta(seconds=choose((300, 1_200)))
        schedule = Schedule(NAME, choose(("ON", "OFF")), Beginning(at=at), lasts, frozenset(range(7)))
        schedules = [schedule] if self.random.random() < 0.4 else []
        self.plan = Plan({NAME: load}, schedules, Limits(choose((None, 1_000.0))), lease_s=choose((30.0, 120.0)), stagger_s=5)
        self.relay, self.manager = Relay(self.rules, 0.0), self._manager(None)
        self.changed_at, self.last = BEGIN, self._state(BEGIN)
        self.manager.see(NAME, self.last, BEGIN)

    @property
    def now(self) -> datetime:
        """The time of day."""
        return BEGIN + timedelta(seconds=self.now_s)

    def live(self) -> "Together":
        """An hour, second by second."""
        while self.now_s < HOUR_S:
            self.now_s += 1
            self.relay.step(self.now_s)
            self._look()
            self.manager.filter.add(self.now, self.random.choice((500.0, 3_000.0)) if self.now_s % 200 < 100 else 500.0)
            self._happen()
            if self.back_at_s is None:
                self._manage()
            elif self.now_s >= self.back_at_s:
                self.back_at_s = None
                self.manager = self._manager(Standing.from_wire(self.manager.standing.to_wire()))
                self.manager.see(NAME, self.last, self.now)
        return self

    def _happen(self) -> None:
        kind = self.random.random()
        if kind < 0.004:
            self._command(self.random.choice(("ON", "OFF")), self.random.choice((None, None, 100.0, 900.0)))
        elif kind < 0.006:
            starts_at = self.now + timedelta(seconds=self.random.choice((-10, 0, 60)))
            ends_at = self.now + timedelta(seconds=self.random.choice((100, 600, 2_000)))
            asked = DemandEvent(id=f"e{self.now_s:g}", level=self.random.choice(("high", "normal")), starts_at=starts_at, ends_at=ends_at)
            self._ask(asked)
        elif kind < 0.0065:
            self._ask(DemandOverride(id="o", relay=self.random.choice((None, NAME))))
        elif kind < 0.007 and self.back_at_s is None:
            self.back_at_s = self.now_s + self.random.choice((3, 60, 400))
        elif kind < 0.0075:
            self.relay, self.wish = Relay(self.rules, self.now_s), None
            self._look()

    def _ask(self, asked: DemandEvent | DemandOverride) -> None:
        demands = self.manager.standing.demands
        changed = demands.with_event(asked, self.now) if isinstance(asked, DemandEvent) else demands.with_override(asked, self.now)
        self.manager.standing = self.manager.standing.model_copy(update={"demands": changed})

    def _command(self, state: Level, for_s: float | None) -> None:
        if self.relay.command(Request(RelayCommand(state=state, for_s=for_s), "local"), Instant(self.now_s, self.now)).accepted:
            self.wish = (state, self.now_s + (for_s or float("inf")))
        self._look()

    def _manage(self) -> None:
        for order in self.manager.decide(self.now):
            request = Request(RelayCommand(state=order.state, for_s=order.for_s), "load_manager")
            answer = self.relay.command(request, Instant(self.now_s, self.now))
            self._look()
            if not answer.accepted:
                self.manager.refused(NAME, self.now)
        shed = self.manager.standing.shed.get(NAME)
        longest_s = self.plan.sheddable[NAME].longest_off_s + self.plan.stagger_s + 1
        if shed is not None and (self.now - shed.since).total_seconds() > longest_s:
            self.found.append(f"{self.now_s:g} s: held back since {shed.since}")

    def _look(self) -> None:
        for change in self.relay.take_changes():
            self._judge(change)
        self.changed_at = self.now if self.relay.level != self.last.state else self.changed_at
        if self._state(self.changed_at) != self.last:
            self.last = self._state(self.changed_at)
            if self.back_at_s is None:
                self.manager.see(NAME, self.last, self.now)

    def _judge(self, change: Change) -> None:
        wanted_off = self.wish is not None and self.wish[0] == "OFF" and self.now_s < self.wish[1]
        local = self.now.astimezone(LONDON)
        scheduled = any(entry.state == "ON" and entry.span_at(local, lambda _event, _day: None) for entry in self.plan.schedules)
        if (change.source, change.level) == ("load_manager", "ON") and wanted_off and not scheduled:
            self.found.append(f"{self.now_s:g} s: switched on what a person had switched off")

    def _state(self, changed_at: datetime) -> RelayState:
        until_s, hold = self.relay.until_s, self.relay.hold
        until = None if until_s is None else BEGIN + timedelta(seconds=until_s)
        return RelayState(state=self.relay.level, how="read_back", changed_at=changed_at, until=until, source=hold.source if hold else None)

    def _manager(self, standing: Standing | None) -> Manager:
        return Manager(self.plan, LONDON, lambda _event, _day: None, standing)


@few
@given(st.integers(0, 2**32))
def test_no_load_comes_on_against_a_person_or_stays_off_for_too_long(seed: int) -> None:
    """Whatever happens in an hour, crashes of either service included."""
    assert Together(Random(seed)).live().found == []
