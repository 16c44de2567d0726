"""The disaggregator as an actor: what it commits, what it says, and what it does after a crash."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from hems.actor.context import Context
from hems.actor.store import NotAccepted
from hems.contracts.appliances import ApplianceEvent, ApplianceLabel, ApplianceState, ApplianceTaught
from hems.contracts.catalog import APPLIANCE, APPLIANCE_EVENT, APPLIANCE_LABEL, APPLIANCE_TAUGHT, MAINS
from hems.contracts.health import ServiceHealth
from hems.contracts.mains import Mains
from hems.testing.clocks import START, ManualClock
from hems.testing.harness import Stage, on_stage
from hems.testing.memory_bus import MemoryBroker
from services.disaggregator.actor import Disaggregator
from services.disaggregator.domain.home import Home
from services.disaggregator.domain.network import LoadModels, Network
from services.disaggregator.settings import DisaggregatorSettings
from tests.support.networks import kettle


def kettles(names: Sequence[str], /) -> tuple[Sequence[Network], Sequence[Exception]]:
    """Opens the same model whatever the name."""
    return [kettle()], []


def none_usable(names: Sequence[str], /) -> tuple[Sequence[Network], Sequence[Exception]]:
    """Opens nothing."""
    return [], [ValueError(f"{name} is broken") for name in names]


class Rig:
    """Runs the actor as often as a test needs, on one broker, one clock and one store."""

    def __init__(self, folder: Path, load: LoadModels = kettles) -> None:
        self.folder, self.load = folder, load
        self.broker, self.clock = MemoryBroker(), ManualClock()
        self.contexts: list[Context] = []

    def stage(self) -> AbstractAsyncContextManager[Stage]:
        return on_stage("disaggregator", self._build, self.folder, broker=self.broker, clock=self.clock)

    def _build(self, context: Context) -> Disaggregator:
        self.contexts.append(context)
        return Disaggregator(DisaggregatorSettings(), context, self.load)

    @property
    def health(self) -> ServiceHealth:
        return self.contexts[-1].health.report(self.clock.now(), 0)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """An actor whose model calls everything above 2 kW a kettle."""
    return Rig(tmp_path)


def reading(power_w: float, measured_at: datetime) -> Mains:
    """One reading."""
    return Mains(measured_at=measured_at, power_w=power_w, quality="measured")


async def read(stage: Stage, *powers_w: float) -> None:
    """One reading each half minute of the clock."""
    for power_w in powers_w:
        await stage.clock.advance(30)
        await stage.tell(MAINS, reading(power_w, stage.clock.now()))


def events(stage: Stage) -> list[ApplianceEvent]:
    """All events said so far."""
    return [payload for _, payload in stage.said(APPLIANCE_EVENT)]


def states(stage: Stage, appliance: str = "kettle") -> list[ApplianceState]:
    """All states of one appliance said so far."""
    return [payload for parameters, payload in stage.said(APPLIANCE) if parameters["appliance"] == appliance]


async def test_a_kettle_is_announced_with_its_reading(rig: Rig) -> None:
    """Start and end are told as they are read, with times, duration and energy; the state follows."""
    async with rig.stage() as stage:
        await read(stage, 150, 150, 2900, 2900, 150)
        started, finished = events(stage)
    assert (started.kind, started.at, started.announced_at) == ("started", START + timedelta(seconds=90), START + timedelta(seconds=90))
    assert (finished.kind, finished.at, finished.duration_s) == ("finished", START + timedelta(seconds=150), 60)
    assert finished.energy_kwh == pytest.approx(2900 * 60 / 3.6e6)
    assert [state.running for state in states(stage)] == [False, True, False]
    assert states(stage)[1].since == started.at


async def test_states_are_said_each_minute(rig: Rig) -> None:
    """Where nothing changes, every appliance is said again each minute of the readings' time."""
    async with rig.stage() as stage:
        await read(stage, *[150] * 9)
        said = [state.observed_at for state in states(stage)]
        assert [(later - earlier).total_seconds() for earlier, later in pairwise(said)] == [60, 60, 60]
        assert len(states(stage, "unknown_heater")) == len(said)


async def test_a_restart_neither_invents_nor_repeats_an_event(rig: Rig) -> None:
    """Stopped while a kettle boils, it goes on: no second start, and the end as if nothing had been."""
    for powers_w in ((150, 150, 2900), (2900,), (2900, 150, 150)):
        async with rig.stage() as stage:
            await read(stage, *powers_w)
    kinds = {event.id: event for event in events(stage)}
    assert [event.kind for event in kinds.values()] == ["started", "finished"]
    assert list(kinds.values())[1].duration_s == 90


async def test_a_reading_is_taken_again_after_a_full_disk(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be committed is not remembered either: the broker brings the reading again, and it makes the event."""
    async with rig.stage() as stage:
        await read(stage, 150, 150)
        whole = Context.store.fget
        assert whole is not None
        failures = [NotAccepted("the disk is full")]

        def full_once(context: Context) -> object:
            if failures:
                raise failures.pop()
            return whole(context)

        monkeypatch.setattr(Context, "store", property(full_once))
        await read(stage, 2900)
        assert events(stage) == []
        async with asyncio.timeout(10):
            while not events(stage):  # noqa: ASYNC110 - the runner waits a real second before it connects again
                await asyncio.sleep(0.02)
        assert [event.kind for event in events(stage)] == ["started"]


async def test_the_brokers_copy_is_no_news(rig: Rig) -> None:
    """A retained reading is not taken: what is queued comes before it."""
    rig.broker.say("hems/home/mains", reading(2900, START).to_wire(), qos=1, retain=True)
    async with rig.stage() as stage:
        await read(stage, 150, 150)
        assert rig.health.work["readings"] == 2
        assert "dropped_readings" not in rig.health.errors


async def test_late_readings_make_events_and_no_state(rig: Rig) -> None:
    """Readings of an hour ago tell of a kettle with its own time; nothing is said to hold now."""
    async with rig.stage() as stage:
        await stage.clock.advance(3600)
        for number, power_w in enumerate((150, 150, 2900, 150)):
            await stage.tell(MAINS, reading(power_w, START + timedelta(seconds=30 * number)))
        started, _ = events(stage)
        assert (started.at, started.announced_at) == (START + timedelta(seconds=60), stage.clock.now())
        assert states(stage) == []


async def test_on_a_fast_clock_a_moment_of_work_is_not_history(rig: Rig) -> None:
    """At sixty times the speed, five minutes of the recording are five seconds of a busy computer: still now."""
    rig.clock.rate = 60.0
    async with rig.stage() as stage:
        await stage.clock.advance(300)
        for number in range(2):
            await stage.tell(MAINS, reading(150, START + timedelta(seconds=30 * number)))
        assert len(states(stage)) == 1


async def test_a_reading_from_the_future_is_dropped(rig: Rig) -> None:
    """A meter with a wrong clock can't make all that follows late."""
    async with rig.stage() as stage:
        await read(stage, 150, 150)
        await stage.tell(MAINS, reading(150, stage.clock.now() + timedelta(days=3)))
        await read(stage, 2900)
        assert [event.kind for event in events(stage)] == ["started"]
        assert rig.health.errors["future_readings"] == 1


async def test_a_state_left_in_the_future_begins_anew(rig: Rig) -> None:
    """After the wall clock was set back, readings count again at once."""
    async with rig.stage() as stage:
        await read(stage, 150, 150)
    rig.clock.jump(-86_400)
    async with rig.stage() as stage:
        await read(stage, 150, 150, 2900)
    assert [event.kind for event in events(stage)] == ["started"]


async def test_a_kept_state_that_cant_be_read_begins_anew(rig: Rig) -> None:
    """A state of another version is set aside, and work goes on."""
    async with rig.stage() as stage:
        with rig.contexts[-1].store.transaction() as transaction:
            transaction.put("home/readings", b"{}")
        await read(stage, 150, 150, 2900)
        assert [event.kind for event in events(stage)] == ["started"]


async def test_a_refused_model_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    """The reason stands in the health message; the other model works."""
    rig = Rig(tmp_path, lambda _: ([kettle()], [ValueError("mine: there is no card.json")]))
    async with rig.stage() as stage:
        await read(stage, 150, 150, 2900)
        assert rig.health.configuration_error == "mine: there is no card.json"
        assert rig.health.blind is None
        assert len(events(stage)) == 1


async def test_without_a_model_it_says_that_it_is_blind(tmp_path: Path) -> None:
    """With no model left it takes readings, says nothing of appliances, and says why."""
    rig = Rig(tmp_path, lambda _: ([], [ValueError("mine: there is no card.json")]))
    async with rig.stage() as stage:
        await read(stage, 150, 2900)
        assert rig.health.blind == "no model can be used"
        assert states(stage) == events(stage) == []


async def test_it_says_when_no_readings_come(rig: Rig) -> None:
    """Silent for more than two minutes, it says since when; the next reading ends that."""
    async with rig.stage() as stage:
        await read(stage, 150, 150)
        last = stage.clock.now()
        await stage.clock.advance(200)
        assert rig.health.blind == f"no reading since {last.isoformat(timespec='seconds')}"
        await read(stage, 150)
        assert rig.health.blind is None


async def test_labels_are_kept_once(rig: Rig) -> None:
    """A person's word is kept with its appliance, over restarts, and once however often it comes."""
    label = ApplianceLabel(id="a-1", at=START, verdict="wrong", source="dashboard")
    kept = b""
    for _ in range(2):
        async with rig.stage() as stage:
            await stage.tell(APPLIANCE_LABEL, label, appliance="kettle")
            kept = rig.contexts[-1].store.get("labels") or b""
    assert kept.count(b'"id": "a-1"') == 1
    assert b'"appliance": "kettle"' in kept


async def test_a_persons_word_is_answered(rig: Rig) -> None:
    """What was learnt is said and kept for whoever asks: an example of a run that was wrong; too old a word is kept, not heeded."""
    async with rig.stage() as stage:
        await read(stage, 150, 2900, 150)
        now = stage.clock.now()
        for name, at in (("new", now), ("old", now - timedelta(minutes=10)), ("again", now)):
            label = ApplianceLabel(id=name, at=at, verdict="wrong", source="dashboard")
            await stage.tell(APPLIANCE_LABEL, label, appliance="kettle")
        answers: list[ApplianceTaught] = [payload for _, payload in stage.said(APPLIANCE_TAUGHT)]
    assert [(answer.label, answer.heeded, answer.words) for answer in answers] == [("new", True, 1), ("old", False, 0), ("again", False, 0)]


async def test_a_word_is_not_learnt_before_it_is_kept(rig: Rig) -> None:
    """A restart after each word goes on with it: five of them move what is said, one does not."""
    answers = list[ApplianceTaught]()
    for number in range(5):
        async with rig.stage() as stage:
            await read(stage, 150, 2900, 150)
            label = ApplianceLabel(id=f"w{number}", at=stage.clock.now(), verdict="wrong", source="dashboard")
            await stage.tell(APPLIANCE_LABEL, label, appliance="kettle")
            answers.append(stage.said(APPLIANCE_TAUGHT)[-1][1])  # the broker has the one before, too
    assert [answer.words for answer in answers] == [1, 2, 3, 4, 5]
    assert [answers[0].log_odds < 0, answers[-1].log_odds < 0] == [False, True]


async def test_a_word_without_a_model_costs_no_state(rig: Rig) -> None:
    """While no model can be used a word is kept and not heeded, and what was remembered of the home stays as it was."""
    async with rig.stage() as stage:
        await read(stage, 150, 2900)
        before = {key: rig.contexts[-1].store.get(key) for key in Home.KEYS}
    rig.load = none_usable
    async with rig.stage() as stage:
        label = ApplianceLabel(id="w", at=stage.clock.now(), verdict="on", source="dashboard")
        await stage.tell(APPLIANCE_LABEL, label, appliance="kettle")
        assert not stage.said(APPLIANCE_TAUGHT)[-1][1].heeded
        assert {key: rig.contexts[-1].store.get(key) for key in Home.KEYS} == before


async def test_repeated_readings_are_counted(rig: Rig) -> None:
    """What a broker says again after a crash is dropped and counted."""
    async with rig.stage() as stage:
        await read(stage, 150, 2900)
        await stage.tell(MAINS, reading(2900, stage.clock.now()))
        assert rig.health.errors["dropped_readings"] == 1
        assert (rig.health.work["readings"], rig.health.work["ticks"]) == (2, 2)
        assert rig.health.gauges["step_us"] > 0
