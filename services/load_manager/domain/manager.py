"""Puts it together: what to say to which relay now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo

from hems.contracts.demand import DemandEvent, DemandState, ShedRelay
from hems.contracts.energy import SeriesValue
from hems.contracts.payload import Moment, Payload, Seconds
from hems.contracts.relays import Level, RelayState
from services.load_manager.domain.best_hours import Best, Span, begins_now
from services.load_manager.domain.comfort import Hours, Sheddable
from services.load_manager.domain.demand import Demands
from services.load_manager.domain.power import PowerCap, PowerFilter
from services.load_manager.domain.savings import Savings
from services.load_manager.domain.schedules import Schedule, SunAt

_OURS = "load_manager"
_RETRY = timedelta(seconds=30)
_PERSON_FIRST = timedelta(hours=1)


@dataclass(frozen=True)
class Order:
    """What to say to a relay; `for_s` in domain seconds, None for good."""

    relay: str
    state: Level
    for_s: float | None
    why: str


class Shed(Payload):
    """A load that is held back. `was_until` is when it would have gone off by itself: its lease's end, or its schedule's."""

    since: Moment
    why: str
    was_until: Moment | None = None
    renewed_at: Moment

    def moved(self, by: timedelta, latest: datetime) -> "Shed":
        """The same on a clock that was set: nothing that has happened lies ahead of it."""
        return self.model_copy(update={"since": min(self.since + by, latest), "renewed_at": min(self.renewed_at + by, latest)})


class Standing(Payload):
    """What survives a restart: who is held back, who was last, and what is asked for."""

    shed: dict[str, Shed] = {}
    returning: dict[str, Shed] = {}
    ended: dict[str, Moment] = {}
    demands: Demands = Demands()
    alone_until: dict[str, Moment] = {}
    begun: dict[str, Span] = {}
    capped: tuple[str, ...] = ()
    saved_kwh: float = 0.0
    saved_in: str | None = None


@dataclass(frozen=True)
class Limits:
    """The power cap: at all hours, and a tighter one in some."""

    cap_w: float | None = None
    peak_w: float | None = None
    peak_hours: tuple[Hours, ...] = ()

    def at(self, local: datetime) -> float | None:
        """The limit of now, W."""
        peak_w = self.peak_w if any(hours.hold(local) for hours in self.peak_hours) else None
        return min((limit for limit in (self.cap_w, peak_w) if limit is not None), default=None)


@dataclass
class Plan:
    """What is configured.

    Attributes:
        lease_s: each order holds so long, and is renewed at a third of it.
        stagger_s: so long between two loads that are shed or brought back.
    """

    sheddable: Mapping[str, Sheddable]
    schedules: Sequence[Schedule] = ()
    limits: Limits = field(default_factory=Limits)
    lease_s: Seconds = 120.0
    stagger_s: Seconds = 10.0


class Manager:
    """Decides each second. It sheds only what is on, and never goes before a person."""

    def __init__(self, plan: Plan, zone: tzinfo, sun_at: SunAt, standing: Standing | None = None) -> None:
        self._plan = plan
        self._zone = zone
        self._sun_at = sun_at
        self.standing = standing or Standing()
        self.filter = PowerFilter()
        self.savings = Savings(done_kwh=self.standing.saved_kwh)
        self._cap = PowerCap()
        self.series: dict[Best, Sequence[SeriesValue]] = {}
        self._relays: dict[str, RelayState] = {}
        self._decided_at: datetime | None = None
        self._last_move: datetime | None = None
        self._not_before: dict[str, datetime] = {}
        self._scheduled: dict[str, datetime] = {}
        for relay, shed in self.standing.shed.items():
            self.savings.begin(relay, shed.since, None, plan.sheddable[relay].power_w if relay in plan.sheddable else None)

    def see(self, relay: str, state: RelayState, now: datetime) -> None:
        """Where a relay stands; a person who switches one while it is held back, or during an event, is left alone with it."""
        before = self._relays.get(relay)
        self._relays[relay] = state
        if relay in self._plan.sheddable and self._is_a_persons_wish(relay, before, state):
            self._leave_alone(relay, now)

    def refused(self, relay: str, now: datetime) -> None:
        """The actuator refused an order: try again later. A load that could not be shed is not held back."""
        self._not_before[relay] = now + _RETRY
        self._scheduled.pop(relay, None)
        shed, state = self.standing.shed.get(relay), self._relays.get(relay)
        if shed is not None and state is not None and state.state == "ON":
            self._release(relay, now, rests=state.changed_at > shed.since)

    def decide(self, now: datetime) -> list[Order]:
        """What to say now."""
        self._follow_the_clock(now)
        local = now.astimezone(self._zone)
        filtered_w = self.filter.at(now)
        self._update(demands=self.standing.demands.tidied(now))
        self.savings.look(now, filtered_w)
        event = self.standing.demands.in_force(now)
        self._count_savings_anew(event)
        self._judge_cap(filtered_w, local, now)
        self._begin_best(local)
        return [
            *self._bring_back(event, local, now),
            *self._shed(event, local, now, filtered_w),
            *self._renew(now),
            *self._schedule(local, now),
        ]

    def shown(self, now: datetime) -> DemandState:
        """The state in force, for all to see."""
        event = self.standing.demands.in_force(now)
        return DemandState(
            level=event.level if event else "normal",
            until=event.ends_at if event else None,
            event=event.id if event else None,
            shed=tuple(
                ShedRelay(relay=relay, since=shed.since, until=self._until(relay, shed, event)) for relay, shed in self._named_shed()
            ),
            saved_kwh=round(self.savings.energy_kwh, 6),
            saved_how=self.savings.how,
            reason=event.reason if event else ("power cap" if self.standing.capped else None),
        )

    def _named_shed(self) -> list[tuple[str, Shed]]:
        return [(relay, shed) for relay, shed in self.standing.shed.items() if relay in self._plan.sheddable]

    def _until(self, relay: str, shed: Shed, event: DemandEvent | None) -> datetime:
        longest = self._plan.sheddable[relay].longest_until(shed.since)
        return min(longest, event.ends_at) if event is not None and relay not in self.standing.capped else longest

    def _judge_cap(self, filtered_w: float | None, local: datetime, now: datetime) -> None:
        capped = tuple(relay for relay in self.standing.capped if relay in self._plan.sheddable)
        returning_w = self._draws(capped[-1]) if capped else 0.0
        verdict = self._cap.look(filtered_w, self._plan.limits.at(local), returning_w, now)
        if verdict == "shed":
            able = [name for name in self._by_priority() if name not in capped and self._may_be_shed(name, local, now)]
            capped = (*capped, *able[:1])
        elif verdict == "restore" and capped:
            capped = capped[:-1]
        if capped != self.standing.capped:
            self._cap.acted()
            self.filter.begin_anew()
            self._update(capped=capped)

    def _shed(self, event: DemandEvent | None, local: datetime, now: datetime, filtered_w: float | None) -> list[Order]:
        for relay in self._by_priority():
            why = self._why(relay, event)
            if why is None or not self._may_be_shed(relay, local, now) or not self._may_move(now):
                continue
            shed = Shed(since=now, why=why, was_until=self._runs_until(relay, local), renewed_at=now)
            self._update(shed={**self.standing.shed, relay: shed})
            self.savings.begin(relay, now, filtered_w, self._plan.sheddable[relay].power_w)
            self.filter.begin_anew()
            self._last_move = now
            self._scheduled.pop(relay, None)
            return [Order(relay, "OFF", self._plan.lease_s, why)]
        return []

    def _bring_back(self, event: DemandEvent | None, local: datetime, now: datetime) -> list[Order]:
        for relay, shed in self.standing.shed.items():
            if not self._stays(relay, shed, event, local, now) and (self._may_move(now) or relay not in self._plan.sheddable):
                self._release(relay, now)
                self._last_move = now
                self._update(returning={**self.standing.returning, relay: shed})
                break
        return [order for relay in list(self.standing.returning) for order in self._return(relay, now)]

    def _return(self, relay: str, now: datetime) -> list[Order]:
        shed = self.standing.returning[relay]
        if self._state(relay) == "ON" or (shed.was_until is not None and shed.was_until <= now):
            self._update(returning={name: entry for name, entry in self.standing.returning.items() if name != relay})
            return []
        if now < self._not_before.get(relay, now):
            return []
        self._not_before[relay] = now + _RETRY
        for_s = None if shed.was_until is None else (shed.was_until - now).total_seconds()
        return [Order(relay, "ON", for_s, f"no longer held back: {shed.why}")]

    def _runs_until(self, relay: str, local: datetime) -> datetime | None:
        """When a load that is on goes off by itself. A schedule's leases are renewed until its span ends."""
        held = [schedule for schedule in self._plan.schedules if (schedule.relay, schedule.state) == (relay, "ON")]
        spans = [self._span(schedule, local) for schedule in held]
        ends = max((span[1] for span in spans if span is not None), default=None)
        return ends if ends is not None and self._relays[relay].source == _OURS else self._relays[relay].until

    def _renew(self, now: datetime) -> list[Order]:
        due = timedelta(seconds=self._plan.lease_s / 3)
        orders: list[Order] = []
        for relay, shed in self.standing.shed.items():
            if now >= shed.renewed_at + due:
                self._update(shed={**self.standing.shed, relay: shed.model_copy(update={"renewed_at": now})})
                orders.append(Order(relay, "OFF", self._plan.lease_s, shed.why))
        return orders

    def _schedule(self, local: datetime, now: datetime) -> list[Order]:
        orders: list[Order] = []
        for schedule in self._plan.schedules:
            span = self._span(schedule, local)
            if span is None or schedule.relay in self.standing.shed or not self._is_free(schedule.relay, span[0], now):
                continue
            renewed_at = self._scheduled.get(schedule.relay)
            if renewed_at is None or now >= renewed_at + timedelta(seconds=self._plan.lease_s / 3):
                self._scheduled[schedule.relay] = now
                left_s = span[1].timestamp() - now.timestamp()
                orders.append(Order(schedule.relay, schedule.state, min(self._plan.lease_s, left_s), "schedule"))
        return orders

    def _begin_best(self, local: datetime) -> None:
        for schedule in self._plan.schedules:
            best, between, before = schedule.begins.best, schedule.between, self.standing.begun.get(schedule.name)
            if best is not None and between is not None:
                chosen = begins_now(between, schedule.days, schedule.lasts, self.series.get(best, ()), before, local)
                if chosen is not None:
                    self._update(begun={**self.standing.begun, schedule.name: chosen})

    def _span(self, schedule: Schedule, local: datetime) -> tuple[datetime, datetime] | None:
        if schedule.begins.best is None:
            return schedule.span_at(local, self._sun_at)
        begun = self.standing.begun.get(schedule.name)
        return (begun.starts, begun.ends) if begun is not None and begun.starts <= local < begun.ends else None

    def _is_free(self, relay: str, since: datetime, now: datetime) -> bool:
        """No person has switched it since the schedule's span began, and no refusal is fresh."""
        state = self._relays.get(relay)
        by_person = state is not None and state.source not in (None, _OURS) and state.changed_at.timestamp() >= since.timestamp()
        return not by_person and relay not in self.standing.returning and now >= self._not_before.get(relay, now)

    def _may_be_shed(self, relay: str, local: datetime, now: datetime) -> bool:
        load = self._plan.sheddable[relay]
        free = relay not in self.standing.shed and relay not in self.standing.returning and now >= self._not_before.get(relay, now)
        return (
            free
            and self._state(relay) == "ON"
            and load.tolerates(local)
            and load.rested(self.standing.ended.get(relay), now)
            and now >= self.standing.alone_until.get(relay, now)
        )

    def _stays(self, relay: str, shed: Shed, event: DemandEvent | None, local: datetime, now: datetime) -> bool:
        load = self._plan.sheddable.get(relay)
        if load is None or self._why(relay, event) is None:
            return False
        return load.tolerates(local) and now < load.longest_until(shed.since)

    def _why(self, relay: str, event: DemandEvent | None) -> str | None:
        if event is not None and self._plan.sheddable[relay].meets(event.level) and not self.standing.demands.is_left_alone(relay, event):
            return f"demand event {event.id}"
        return "power cap" if relay in self.standing.capped else None

    def _may_move(self, now: datetime) -> bool:
        return self._last_move is None or now >= self._last_move + timedelta(seconds=self._plan.stagger_s)

    def _by_priority(self) -> list[str]:
        return sorted(self._plan.sheddable, key=lambda relay: (self._plan.sheddable[relay].priority, relay))

    def _state(self, relay: str) -> Level | None:
        state = self._relays.get(relay)
        return state.state if state else None

    def _draws(self, relay: str) -> float:
        load = self.savings.loads.get(relay)
        return (load.power_w if load else None) or self._plan.sheddable[relay].power_w or 0.0

    def _is_a_persons_wish(self, relay: str, before: RelayState | None, state: RelayState) -> bool:
        if state.source in (None, _OURS):
            return False
        if before is not None:
            return _wish(state) != _wish(before)
        # The first look after a start: what a person did before the load was held back is no word against it.
        held = self.standing.shed.get(relay) or self.standing.returning.get(relay)
        return held is not None and (state.state == "OFF" or state.changed_at > held.since)

    def _leave_alone(self, relay: str, now: datetime) -> None:
        event = self.standing.demands.in_force(now)
        if event is not None:
            left = {**self.standing.demands.left_alone, relay: event.id}
            self._update(demands=self.standing.demands.model_copy(update={"left_alone": left}))
        if relay in self.standing.shed:
            self._update(alone_until={**self.standing.alone_until, relay: now + _PERSON_FIRST})
            self._release(relay, now)
        self._update(returning={name: entry for name, entry in self.standing.returning.items() if name != relay})

    def _release(self, relay: str, now: datetime, *, rests: bool = True) -> None:
        self.savings.end(relay, now, self.filter.at(now))
        self.filter.begin_anew()
        shed = {name: entry for name, entry in self.standing.shed.items() if name != relay}
        capped = tuple(name for name in self.standing.capped if name != relay)
        ended = {**self.standing.ended, relay: now} if rests else self.standing.ended
        self._update(shed=shed, capped=capped, ended=ended, saved_kwh=self.savings.energy_kwh)

    def _follow_the_clock(self, now: datetime) -> None:
        """A clock that was set back holds nothing back, and leaves nothing alone, for longer."""
        before, self._decided_at = self._decided_at, now
        if before is not None and now >= before:
            return
        by = now - before if before is not None else timedelta(0)
        standing, last = self.standing, self._last_move
        self._last_move = None if last is None else min(last + by, now)
        self._not_before = {relay: min(at + by, now + _RETRY) for relay, at in self._not_before.items()}
        self._scheduled = {relay: min(at + by, now) for relay, at in self._scheduled.items()}
        self._update(
            shed={relay: shed.moved(by, now) for relay, shed in standing.shed.items()},
            returning={relay: shed.moved(by, now) for relay, shed in standing.returning.items()},
            ended={relay: min(at + by, now) for relay, at in standing.ended.items()},
            alone_until={relay: min(at + by, now + _PERSON_FIRST) for relay, at in standing.alone_until.items()},
            begun={name: span.moved(by, now) for name, span in standing.begun.items()},
        )

    def _count_savings_anew(self, event: DemandEvent | None) -> None:
        if event is not None and event.id != self.standing.saved_in:
            self.savings = self.savings.counted_anew()
            self._update(saved_kwh=0.0, saved_in=event.id)

    def _update(self, **changes: object) -> None:
        self.standing = self.standing.model_copy(update=changes)


def _wish(state: RelayState) -> tuple[object, ...]:
    """What tells one command from another, whether or not the relay had to move for it."""
    return state.state, state.source, state.changed_at, state.until
