"""The disaggregator of many homes as an actor: whose words are whose, what is kept, and what happens when something breaks."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import structlog

from hems.actor.context import Context, DurableState
from hems.actor.store import Store
from hems.contracts.appliances import ApplianceEvent, ApplianceState, event_id
from hems.contracts.catalog import APPLIANCE, APPLIANCE_EVENT
from hems.contracts.health import ServiceHealth
from hems.contracts.mains import Mains
from hems.contracts.topic import Root
from hems.testing.clocks import START, ManualClock
from hems.testing.harness import Stage, on_stage
from hems.testing.memory_bus import MemoryBroker
from services.disaggregator.domain.home import Home
from services.disaggregator.domain.network import Network
from services.disaggregator.domain.telling import moment
from services.disaggregator.fleet import FleetDisaggregator
from services.disaggregator.settings import DisaggregatorSettings, FleetSettings
from services.disaggregator.states import OwnStates, Part, Unreachable
from tests.support.networks import kettle
from tests.support.waiting import until

PERIOD_S = 30
POWERS_W = [100, 100, 2900, 2900, 100, 100, 2900, 100, 100, 100]
HOMES = ("north", "south", "west")


def kettles(names: Sequence[str], /) -> tuple[Sequence[Network], Sequence[Exception]]:
    """Opens the same model whatever the name."""
    return [kettle()], []


class KeptStates:
    """States in memory, that outlive the actor and can be out of reach; partitions that others hold."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, bytes]] = {}
        self.others: set[int] = set()
        self.mine: set[int] = set()
        self.waiting: set[int] = set()
        self.wants: set[int] = set()
        self.failures = 0
        self.closed = 0
        self.opened = 0

    @asynccontextmanager
    async def open(self) -> AsyncGenerator["KeptStates"]:
        self.opened += 1
        if self.closed:
            self.closed -= 1
            raise Unreachable("out of reach")
        self.mine.clear()
        yield self

    async def load(self, homes: Collection[str]) -> Mapping[str, Mapping[str, bytes]]:
        return {home: dict(self.kept[home]) for home in homes if home in self.kept}

    async def save(self, parts: Sequence[Part]) -> None:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise Unreachable("out of reach")
        for part in parts:
            self.kept.setdefault(part.home, {})[part.key] = part.value

    async def claim(self, partition: int) -> bool:
        if partition in self.others:
            return False
        self.mine.add(partition)
        return True

    async def claimed(self) -> Collection[int]:
        return self.mine | self.others

    async def want(self, partition: int) -> None:
        self.wants.add(partition)

    async def wanted(self) -> Collection[int]:
        return self.waiting

    async def release(self, partition: int) -> None:
        self.mine.remove(partition)
        self.others.add(partition)
        self.waiting.discard(partition)


class Rig:
    """Runs the actor as often as a test needs, on one broker, one clock and the same states."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker, self.clock, self.states = MemoryBroker(), ManualClock(), KeptStates()
        self.turn = 0
        self.contexts: list[Context] = []
        self.told: dict[str, list[Mains]] = {home: [] for home in HOMES}

    def stage(self, **fleet: Any) -> AbstractAsyncContextManager[Stage]:
        settings = FleetSettings(gather_s=0.001, **fleet)

        def build(context: Context) -> FleetDisaggregator:
            self.contexts.append(context)
            return FleetDisaggregator(DisaggregatorSettings(), settings, context, kettles, self.broker, self.states.open)

        return on_stage("disaggregator", build, self.folder, broker=self.broker, clock=self.clock, root=Root("replica-1"))

    async def turns(self, count: int, prefix: str | None = "hems", powers_w: Sequence[float] = POWERS_W) -> None:
        """A reading of each home, so many times; the homes' kettles are a turn apart."""
        for _ in range(count):
            await self.clock.advance(PERIOD_S)
            for place, home in enumerate(HOMES):
                power_w = powers_w[(self.turn + place) % len(powers_w)]
                mains = Mains(measured_at=self.clock.now(), power_w=power_w, quality="measured")
                self.told[home].append(mains)
                if prefix is not None:
                    self.broker.say(f"{prefix}/{home}/mains", mains.to_wire())
            self.turn += 1

    async def have_read(self, readings: int) -> None:
        """Wait until each home's first readings, so many, are read and acknowledged."""
        await until(lambda: self.health.work.get("readings", 0) >= readings * len(HOMES))

    def events(self, home: str) -> list[ApplianceEvent]:
        return [event for _, event in said(self.broker, home, APPLIANCE_EVENT)]

    def states_said(self, home: str) -> list[ApplianceState]:
        return [state for _, state in said(self.broker, home, APPLIANCE)]

    @property
    def health(self) -> ServiceHealth:
        return self.contexts[-1].health.report(self.clock.now(), 0)

    def expected(self, home: str) -> list[str]:
        """The ids of the events of a home that is alone."""
        alone = Home([kettle()])
        steps = [step for mains in self.told[home] for step in alone.read(mains.measured_at.timestamp(), mains.power_w)]
        return [event_id(home, event.appliance, event.kind, moment(event.at_s)) for step in steps for event in step.events]

    def is_complete(self) -> bool:
        """Whether all that had to be said was said, in order; what was said twice counts once."""
        return all(list(dict.fromkeys(event.id for event in self.events(home))) == self.expected(home) for home in HOMES)


def said(broker: MemoryBroker, home: str, topic: Any) -> list[tuple[dict[str, str], Any]]:
    """What was said on a topic of a home."""
    found = ((topic.match(Root(home), name), payload) for name, payload in broker.published)
    return [(parameters, topic.payload.from_wire(payload)) for parameters, payload in found if parameters is not None]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """An actor whose model calls everything above 2 kW a kettle."""
    return Rig(tmp_path)


async def test_unknown_homes_appear_and_each_is_told_of_its_own(rig: Rig) -> None:
    """Each home's events and states stand under its own name, as if it were alone."""
    async with rig.stage():
        for number in range(1, 15):
            await rig.turns(1)
            await rig.have_read(number)
        await until(rig.is_complete)
        assert all(len(rig.expected(home)) >= 4 for home in HOMES)
        for home in HOMES:
            assert {state.running for state in rig.states_said(home)} == {True, False}
        await until(lambda: rig.health.gauges.get("homes") == len(HOMES))


async def test_one_homes_nonsense_touches_no_other(rig: Rig) -> None:
    """A malformed payload, a reading from the future and a name that can't be: counted, acknowledged, nothing else."""
    async with rig.stage():
        for _ in range(14):
            await rig.turns(1)
            rig.broker.say("hems/north/mains", b'{"power_w": "NaN"}')
            rig.broker.say("hems/east/mains", b"\xff")
            rig.broker.say("hems/Not a home/mains", rig.told["south"][-1].to_wire())
            late = rig.told["south"][-1].model_copy(update={"measured_at": START.replace(year=2090)})
            rig.broker.say("hems/south/mains", late.to_wire())
        await until(rig.is_complete)
        assert rig.health.errors["malformed_messages"] == 28
        assert rig.health.errors["malformed_homes"] == 14
        assert rig.health.errors["future_readings"] == 14
        assert set(rig.states.kept) == set(HOMES)


@pytest.mark.parametrize("cut", [1, 4, 7, 9])
async def test_a_restart_costs_nothing(rig: Rig, cut: int) -> None:
    """Ended at any point, another replica goes on with every home where it was; what was said meanwhile had queued."""
    async with rig.stage():
        await rig.turns(cut)
    await rig.turns(2)
    async with rig.stage():
        await rig.turns(12)
        await until(rig.is_complete)
        assert rig.health.errors.get("dropped_readings", 0) <= len(HOMES)


async def test_a_broker_that_dies_costs_nothing(rig: Rig) -> None:
    """Readings that were not answered for come again, and are read in order."""
    async with rig.stage():
        for _ in range(4):
            await rig.turns(3)
            rig.broker.kill()
            rig.broker.start()
        await rig.turns(3)
        await until(rig.is_complete)


async def test_a_replica_that_was_started_before_its_database_is_well_before_a_home_speaks(rig: Rig) -> None:
    """What stood in its way at the start is said, and no longer once it is gone."""
    rig.states.closed = 1
    async with rig.stage():
        await until(lambda: rig.contexts and rig.health.blind == "the homes' states can't be reached: out of reach")
        await until(lambda: rig.states.opened == 2)
        await until(lambda: rig.health.blind is None)


async def test_states_out_of_reach_stop_the_reading_and_cost_nothing(rig: Rig) -> None:
    """Nothing is acknowledged that was not kept: the homes begin again from what was."""
    async with rig.stage():
        await rig.turns(4)
        await until(lambda: len(rig.states.kept) == len(HOMES))
        rig.states.failures = 1
        await rig.turns(1)
        await until(lambda: rig.states.opened == 2)
        await rig.turns(10)
        await until(rig.is_complete)
        await until(lambda: rig.health.blind is None)


async def test_a_silent_home_is_let_go_and_comes_back_as_it_was(rig: Rig) -> None:
    """Two of three homes are held in memory at most: each goes on from what was kept of it, however often it is let go."""
    async with rig.stage(most_homes=2):
        await rig.turns(14)
        await until(rig.is_complete)
        await until(lambda: rig.health.gauges.get("homes") == 2)
        assert rig.health.work["homes_let_go"] > 3


async def test_readings_in_another_order_are_put_right(rig: Rig) -> None:
    """A broker that hands over what is new before what was not acknowledged changes nothing that is said."""
    async with rig.stage(redelivery_s=60):
        await rig.turns(3)
        await until(lambda: rig.health.work.get("readings") == 9)
        await rig.turns(4, prefix=None)
        for home in HOMES:
            for mains in (*rig.told[home][5:], *rig.told[home][3:5]):
                rig.broker.say(f"hems/{home}/mains", mains.to_wire())
        await rig.turns(7)
        await until(rig.is_complete)
        assert rig.health.gauges["held_readings"] == 0


async def test_a_replica_reads_its_partitions_and_takes_over_what_nobody_reads(rig: Rig) -> None:
    """Its own at once, another's not while it is held, and some time after it is free."""
    rig.states.others = {1}
    async with rig.stage(partitions=(0,), all=2, states="postgresql://elsewhere", take_over_after_s=0.2):
        await until(lambda: rig.states.mine == {0})
        await rig.turns(7, prefix="hems-p/0")
        await until(rig.is_complete)
        assert rig.states.mine == {0}
        rig.states.others.clear()
        await until(lambda: rig.states.mine == {0, 1})
        await until(lambda: rig.health.gauges.get("partitions") == 2)
        await rig.turns(7, prefix="hems-p/1")
        await until(rig.is_complete)


async def test_a_partition_goes_back_to_the_replica_whose_own_it_is(rig: Rig) -> None:
    """Its homes go on there from what was kept; a replica whose own partition is held elsewhere says that it is there."""
    rig.states.others = {0}
    async with rig.stage(partitions=(0,), all=2, states="postgresql://elsewhere", take_over_after_s=0):
        await until(lambda: rig.states.mine == {1})
        await until(lambda: rig.states.wants == {0})
        await rig.turns(6, prefix="hems-p/1")
        await rig.have_read(6)
        rig.states.waiting = {1}
        await until(lambda: rig.states.others == {0, 1})
        await until(lambda: rig.health.gauges.get("partitions") == 0)
        await rig.turns(3, prefix="hems-p/1")
        assert rig.health.work["readings"] == 6 * len(HOMES)
        rig.states.others = {0}
        await until(lambda: rig.states.mine == {1})
        await rig.turns(5, prefix="hems-p/1")
        await until(rig.is_complete)


async def test_an_unchanged_state_is_said_again_within_a_while(rig: Rig) -> None:
    """What others see is never older than a minute and the time over which the repetitions are spread."""
    async with rig.stage():
        for minute in range(1, 4):
            await rig.turns(2, powers_w=[100])
            await until(lambda: all(len(rig.states_said(home)) >= minute for home in HOMES))  # noqa: B023
        assert {state.running for home in HOMES for state in rig.states_said(home)} == {False}


@pytest.mark.parametrize(
    "mistake",
    [{"states": "mysql://a"}, {"all": 3}, {"partitions": (3,), "all": 3, "states": "postgresql://a"}, {"partitions": ()}],
)
def test_settings_that_can_not_be_are_refused(mistake: dict[str, Any]) -> None:
    """Another database, partitions without names or beyond their number."""
    with pytest.raises(ValueError, match=r"states|all|partitions"):
        FleetSettings.model_validate(mistake)


async def test_a_full_disk_makes_own_states_unreachable(tmp_path: Path) -> None:
    """It is tried again, as with any other place of states: nothing is acknowledged meanwhile."""
    with Store(tmp_path / "own.db", structlog.get_logger()) as store:
        states = OwnStates(cast("DurableState", store))
        await states.save([Part("a", Home.KEYS[0], b"1")])
        assert await states.load(["a", "b"]) == {"a": {Home.KEYS[0]: b"1"}, "b": {}}
        store._connection.execute("PRAGMA query_only = ON")  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(Unreachable):
            await states.save([Part("a", Home.KEYS[0], b"2")])
        store._connection.execute("PRAGMA query_only = OFF")  # pyright: ignore[reportPrivateUsage]
        assert (await states.load(["a"]))["a"] == {Home.KEYS[0]: b"1"}
