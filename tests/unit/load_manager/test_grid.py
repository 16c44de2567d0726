"""A grid operator that is played by the test: what is said at home of its events, what it is told, and how it is waited for."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hems.actor.context import Context
from hems.actor.store import NotAccepted
from hems.contracts.catalog import DEMAND_EVENT, DEMAND_OVERRIDE, MAINS, RELAY, RELAY_SET_BY
from hems.contracts.demand import DemandEvent, DemandOverride
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayState
from hems.testing.clocks import START
from hems.testing.harness import Stage, on_stage
from services.load_manager.actor import LoadManager
from services.load_manager.domain.demand import Demands
from services.load_manager.domain.grid import GridEvent, Step, family_of, news
from services.load_manager.grid import AnswerRefused, NotRegistered, OperatorAway, Sample
from services.load_manager.openadr_events import UnreadableEvent, grid_event
from services.load_manager.settings import LoadManagerSettings

_HOUR = timedelta(hours=1)


class FakeOperator:
    """Has `waiting` for us, keeps the answers, and fails with `fault` where one is set; it forgets us so often."""

    poll_s = 10.0

    def __init__(self) -> None:
        self.waiting: list[GridEvent] = []
        self.answers: list[tuple[str, bool]] = []
        self.calls: list[tuple[str, datetime]] = []
        self.fault: Exception | None = None
        self.refuses = False
        self.forgets = 0
        self.power: Callable[[], Sample | None] = lambda: None
        self.told: Callable[[bool], None] = lambda _arrived: None
        self.now: Callable[[], datetime] = lambda: START

    @asynccontextmanager
    async def opened(self, power: Callable[[], Sample | None], told: Callable[[bool], None]) -> AsyncGenerator[None]:
        self.power, self.told = power, told
        yield

    async def register(self) -> None:
        self._call("register")

    async def events(self) -> Sequence[GridEvent]:
        self._call("events")
        return list(self.waiting)

    async def poll(self) -> Sequence[GridEvent]:
        self._call("poll")
        return list(self.waiting)

    async def answer(self, event: GridEvent, *, takes_part: bool) -> None:
        if self.refuses:
            raise AnswerRefused("it answers 452")
        self.answers.append((event.id, takes_part))

    def _call(self, name: str) -> None:
        self.calls.append((name, self.now()))
        if self.fault is not None:
            raise self.fault
        if name != "register" and self.forgets:
            self.forgets -= 1
            raise NotRegistered("who is it?")


def _event(*levels: int, event_id: str = "e", each: timedelta = _HOUR, starts_at: datetime = START, **more: Any) -> GridEvent:
    steps = tuple(Step(level, starts_at + number * each, starts_at + (number + 1) * each) for number, level in enumerate(levels))
    return GridEvent(event_id, more.pop("modification", 0), steps, **more)


class Played:
    """The load manager, and who asks it."""

    def __init__(self, stage: Stage, operator: FakeOperator, context: Context) -> None:
        self.stage, self.operator, self.context = stage, operator, context

    @property
    def said(self) -> list[DemandEvent]:
        return [event for _, event in self.stage.said(DEMAND_EVENT) if event.source == "openadr"]

    def count(self, name: str) -> int:
        report = self.context.health.report(self.stage.clock.now(), 0)
        return report.work.get(name, 0) + report.errors.get(name, 0)


@asynccontextmanager
async def _played(folder: Path, operator: FakeOperator | None = None, **openadr: Any) -> AsyncGenerator[Played]:
    operator = operator or FakeOperator()
    contexts: list[Context] = []

    def build(context: Context) -> LoadManager:
        contexts.append(context)
        operator.now = context.clock.now
        settings = LoadManagerSettings.read({"sheddable": {"heater": {"power_w": 2_000}}, "stagger_s": 0, "openadr": openadr}, {})
        return LoadManager(settings, context, ZoneInfo("Europe/London"), lambda _event, _day: None, operator)

    async with on_stage("load_manager", build, folder) as stage:
        said = RelayState(state="ON", how="read_back", changed_at=stage.clock.now(), source="local")
        await stage.tell(RELAY, said, relay="heater", retain=True)
        yield Played(stage, operator, contexts[0])


async def test_each_level_is_a_demand_event_of_its_own(tmp_path: Path) -> None:
    """Neighbours that are alike are one, 0 asks for nothing; the ids are the same at each hearing, and nothing is said twice."""
    operator = FakeOperator()
    operator.waiting = [_event(1, 1, 0, 3, 2, reason="a cold evening")]
    async with _played(tmp_path, operator) as played:
        await played.stage.clock.advance(35)
        assert [(event.id, event.level, (event.ends_at - event.starts_at) / _HOUR) for event in played.said] == [
            ("openadr-e", "moderate", 2),
            ("openadr-e.1", "special", 1),
            ("openadr-e.2", "high", 1),
        ]
        assert {(event.source, event.reason) for event in played.said} == {("openadr", "a cold evening")}
        assert [name for name, _ in operator.calls] == ["register", "events", "poll", "poll", "poll"]
        assert operator.answers[0] == ("e", True)


async def test_what_is_taken_back_or_changed_is_said(tmp_path: Path) -> None:
    """Fewer steps take back the others, by their ids; cancelled, all; an event of somebody else stays in any case."""
    operator = FakeOperator()
    operator.waiting = [_event(1, 2)]
    async with _played(tmp_path, operator) as played:
        others = DemandEvent(id="local", level="high", starts_at=START, ends_at=START + 9 * _HOUR)
        await played.stage.tell(DEMAND_EVENT, others)
        operator.waiting = [_event(3, modification=1)]
        await played.stage.clock.advance(10)
        assert [(event.id, event.level) for event in played.said] == [
            ("openadr-e", "moderate"),
            ("openadr-e.1", "high"),
            ("openadr-e.1", "normal"),
            ("openadr-e", "special"),
        ]
        operator.waiting = [_event(3, modification=2, is_cancelled=True)]
        await played.stage.clock.advance(30)
        assert [(event.id, event.level) for event in played.said[4:]] == [("openadr-e", "normal")]
        await played.stage.clock.advance(2)
        assert [order.state for _, order in played.stage.said(RELAY_SET_BY)][-1:] == ["OFF"]
        assert {event.id for _, event in played.stage.said(DEMAND_EVENT) if event.level == "normal"} == {"openadr-e", "openadr-e.1"}


async def test_a_cancellation_that_follows_at_once_is_said_too(tmp_path: Path) -> None:
    """Before the event itself has come back over the broker."""
    operator = FakeOperator()
    operator.waiting = [_event(3), _event(3, modification=1, is_cancelled=True)]
    async with _played(tmp_path, operator) as played:
        await played.stage.clock.advance(1)
        assert [(event.id, event.level) for event in played.said] == [("openadr-e", "special"), ("openadr-e", "normal")]


async def test_what_a_person_took_back_is_not_taken_back_again(tmp_path: Path) -> None:
    """A `normal` for an event that does not stand any more would end everybody's."""
    operator = FakeOperator()
    operator.waiting = [_event(3)]
    async with _played(tmp_path, operator) as played:
        await played.stage.clock.advance(1)
        await played.stage.tell(DEMAND_EVENT, played.said[0].model_copy(update={"level": "normal", "source": "local"}))
        operator.waiting = [_event(3, modification=1, is_cancelled=True)]
        await played.stage.clock.advance(20)
        assert [event.level for event in played.said] == ["special"]


async def test_tests_and_what_nobody_understands_shed_nothing(tmp_path: Path) -> None:
    """A test is answered; an event without a level is opted out of; one that is over, or wants no answer, gets none."""
    operator = FakeOperator()
    operator.waiting = [
        _event(3, event_id="test", is_test=True),
        _event(event_id="price"),
        _event(3, event_id="over", starts_at=START - 2 * _HOUR),
        _event(0, event_id="quiet", wants_answer=False),
    ]
    async with _played(tmp_path, operator) as played:
        await played.stage.clock.advance(1)
        assert operator.answers == [("test", True), ("price", False)]
        assert played.said == []
        assert played.count("openadr_events_without_a_level") == 1


async def test_an_opt_out_is_told_once_also_where_it_is_of_one_step(tmp_path: Path) -> None:
    """And it holds for all steps, those of a later change too."""
    operator = FakeOperator()
    operator.waiting = [_event(1, 2)]
    async with _played(tmp_path, operator) as played:
        await played.stage.clock.advance(1)
        operator.waiting = []
        await played.stage.tell(DEMAND_OVERRIDE, DemandOverride(id="no", event="openadr-e.1"))
        await played.stage.clock.advance(30)
        assert operator.answers == [("e", True), ("e", False)]
        operator.waiting = [_event(1, 2, 3, modification=1)]
        await played.stage.clock.advance(10)
        operator.waiting = []
        orders = len(played.stage.said(RELAY_SET_BY))
        await played.stage.clock.advance(2 * 3_600)
        assert played.stage.said(RELAY_SET_BY)[orders:][1:] == []
        assert set(operator.answers[2:]) == {("e", False)}


async def test_an_operator_that_is_away_is_asked_less_and_less(tmp_path: Path) -> None:
    """From seconds to minutes, jittered; counted, in health, and all events are asked for once it is back."""
    operator = FakeOperator()
    operator.fault = OperatorAway("nobody listens")
    async with _played(tmp_path, operator) as played:
        await played.stage.clock.advance(3 * 3_600)
        waits = [(after[1] - before[1]).total_seconds() for before, after in zip(operator.calls, operator.calls[1:], strict=False)]
        assert all(0.8 * span <= wait <= 1.2 * span for wait, span in zip(waits, (2, 4, 8, 16, 32, 64, 128, 256, 300, 300), strict=False))
        assert len(set(waits[9:])) > 1
        assert played.count("openadr_failures") == len(operator.calls)
        report = played.context.health.report(played.stage.clock.now(), 0)
        assert report.gauges["openadr_away_s"] > 2 * 3_600
        assert report.blind is None
        operator.fault = None
        operator.waiting = [_event(3, starts_at=played.stage.clock.now())]
        await played.stage.clock.advance(400)
        assert [event.id for event in played.said] == ["openadr-e"]
        assert played.context.health.report(played.stage.clock.now(), 0).gauges["openadr_away_s"] == 0
        assert len(operator.calls) > 3


async def test_who_is_not_known_any_more_registers_at_once_and_hears_all(tmp_path: Path) -> None:
    """One that has forgotten us is there; only where it forgets us again at once, it is left in peace for a while."""
    operator = FakeOperator()
    async with _played(tmp_path, operator) as played:
        await played.stage.clock.advance(15)
        operator.forgets = 1
        await played.stage.clock.advance(10)
        assert [name for name, _ in operator.calls[2:]] == ["poll", "poll", "register", "events"]
        assert operator.calls[-1][1] == operator.calls[-3][1]
        assert played.count("openadr_failures") == 0
        operator.forgets = 100
        await played.stage.clock.advance(60)
        assert 4 <= played.count("openadr_failures") <= 6


async def test_one_that_did_not_answer_is_asked_for_all_events(tmp_path: Path) -> None:
    """What it had for us may have been lost on its way; there is no need to register anew."""
    operator = FakeOperator()
    async with _played(tmp_path, operator) as played:
        await played.stage.clock.advance(5)
        operator.fault = OperatorAway("nobody listens")
        await played.stage.clock.advance(10)
        operator.fault = None
        await played.stage.clock.advance(20)
        names = [name for name, _ in operator.calls]
        assert names.count("register") == 1
        assert names.count("events") >= 2


async def test_a_refused_answer_is_not_pressed(tmp_path: Path) -> None:
    """It is counted, and the home does what was asked."""
    operator = FakeOperator()
    operator.refuses = True
    operator.waiting = [_event(3)]
    async with _played(tmp_path, operator) as played:
        await played.stage.clock.advance(2)
        assert played.count("openadr_answers_refused") == 1
        assert played.count("openadr_failures") == 0
        assert [event.level for event in played.said] == ["special"]


async def test_what_a_full_disk_could_not_keep_is_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not answered before it is kept."""
    operator = FakeOperator()
    async with _played(tmp_path, operator) as played:
        await played.stage.clock.advance(1)

        def full(*_given: Any, **_more: Any) -> None:
            raise NotAccepted("the disk is full")

        operator.waiting = [_event(3)]
        with monkeypatch.context() as patched:
            patched.setattr(played.context, "accept", full)
            await played.stage.clock.advance(10)
            assert operator.answers == []
        await played.stage.clock.advance(10)
        assert operator.answers[0] == ("e", True)
        assert [name for name, _ in operator.calls].count("events") >= 2


async def test_only_fresh_power_is_reported(tmp_path: Path) -> None:
    """An old reading is no power of now; reports that arrived, and lost ones, are counted."""
    async with _played(tmp_path) as played:
        assert played.operator.power() is None
        await played.stage.tell(MAINS, Mains(measured_at=START, power_w=750, quality="measured"))
        assert played.operator.power() == Sample(START, 750)
        await played.stage.clock.advance(300)
        assert played.operator.power() is None
        played.operator.told(True)
        played.operator.told(False)
        assert (played.count("openadr_reports"), played.count("openadr_reports_lost")) == (1, 1)


async def test_who_takes_no_part_any_more_takes_back_what_was_asked(tmp_path: Path) -> None:
    """`opt_in: false` after a restart in the middle of an event."""
    operator = FakeOperator()
    operator.waiting = [_event(3)]
    async with _played(tmp_path, operator) as played:
        await played.stage.clock.advance(1)
    async with _played(tmp_path, operator, opt_in=False) as played:
        await played.stage.clock.advance(1)
        assert operator.answers[-1] == ("e", False)
        assert played.said[-1].level == "normal"


def test_an_operators_ids_never_meet_those_of_others() -> None:
    """Odd ones become a digest; a step's id leads to its event; a person's own id with a dot is left as it is."""
    assert _event(1, event_id="äöü / 1").family == _event(2, event_id="äöü / 1").family
    assert {len(_event(1, event_id=name).family) for name in ("a.1", "b" * 500)} == {len("openadr-") + 24}
    assert family_of("openadr-e.12") == "openadr-e"
    assert family_of("mine.1") == "mine.1"
    local = DemandEvent(id="mine.1", level="high", starts_at=START, ends_at=START + _HOUR)
    beside = local.model_copy(update={"id": "mine.2"})
    demands = Demands().with_event(local, START).with_event(beside, START).with_override(DemandOverride(id="no", event="mine.1"), START)
    assert demands.opted_out == {"mine.1"}


def test_nothing_is_taken_back_that_is_not_there() -> None:
    """A `normal` with an unknown id would end everybody's events."""
    cancelled = replace(_event(3), is_cancelled=True)
    assert news(cancelled, {}, START) == []
    known = {event.id: event for event in _event(3).demand_events()}
    assert [(event.id, event.level) for event in news(cancelled, known, START)] == [("openadr-e", "normal")]
    assert news(cancelled, known, START + 2 * _HOUR) == []


def _raw(**changes: Any) -> dict[str, Any]:
    intervals = [{"duration": _HOUR, "signal_payload": 1.0, "uid": 0}, {"duration": timedelta(), "signal_payload": 7.0, "uid": 1}]
    raw: dict[str, Any] = {
        "active_period": {"dtstart": START, "duration": 3 * _HOUR},
        "event_descriptor": {"event_id": 12, "modification_number": 4, "event_status": "far", "test_event": False},
        "event_signals": [{"signal_name": "ELECTRICITY_PRICE", "intervals": []}, {"signal_name": "simple", "intervals": intervals}],
        "response_required": "always",
    }
    return raw | changes


def test_intervals_without_a_time_follow_each_other() -> None:
    """As most servers write them; one without a duration lasts to the end, levels beyond 3 are 3; ids may look like numbers."""
    event = grid_event(_raw(), "hut")
    assert (event.id, event.modification, event.wants_answer) == ("12", 4, True)
    assert event.steps == (Step(1, START, START + _HOUR), Step(3, START + _HOUR, START + 3 * _HOUR))
    endless = grid_event(_raw(active_period={"dtstart": START, "duration": timedelta()}), "hut")
    assert endless.steps[-1].ends_at == START + timedelta(days=1)


def test_a_home_begins_somewhere_within_the_tolerance_and_always_there() -> None:
    """So that not all homes switch at once."""
    period = {"dtstart": START, "duration": 3 * _HOUR, "tolerance": {"tolerate": {"startafter": timedelta(minutes=10)}}}
    begins = {name: grid_event(_raw(active_period=period), name).steps[0].starts_at for name in ("hut", "house", "castle")}
    assert len(set(begins.values())) == 3
    assert all(START <= at <= START + timedelta(minutes=10) for at in begins.values())
    assert grid_event(_raw(active_period=period), "hut").steps[0].starts_at == begins["hut"]


@pytest.mark.parametrize(
    "changes",
    [
        {"event_descriptor": {}},
        {"active_period": {"dtstart": "yesterday", "duration": _HOUR}},
        {"active_period": {"dtstart": datetime.max.replace(tzinfo=UTC), "duration": _HOUR}},
        {"active_period": {"dtstart": START.replace(tzinfo=None), "duration": _HOUR}},
        {"event_signals": [{"signal_name": "SIMPLE", "intervals": [{"duration": _HOUR, "signal_payload": "much"}]}]},
        {"event_signals": [{"signal_name": "SIMPLE", "intervals": [{"duration": timedelta.max, "signal_payload": 1}]}]},
        {"event_signals": None},
    ],
)
def test_an_unreadable_event_is_told_from_a_bug(changes: dict[str, Any]) -> None:
    """Whatever a server sends, one sentence comes of it."""
    with pytest.raises(UnreadableEvent):
        grid_event(_raw(**changes), "hut")
