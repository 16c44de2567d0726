"""The disaggregator of many homes: their mains power in, each home's appliance states and events out.

A reading is acknowledged once the events that follow from it are at the broker and its home's state is kept. After a crash in
between, the home goes on from what was kept when the reading comes again, and the same event has the same id.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import structlog

from hems.actor.bus import Broker, Input, Session
from hems.actor.connection import Connection
from hems.actor.context import Context
from hems.actor.failures import ends_on, still_cancelled
from hems.actor.logs import FaultLog, Log
from hems.contracts.catalog import APPLIANCE, APPLIANCE_EVENT
from hems.contracts.topic import Root, Topic
from services.disaggregator.domain.holding import HoldBack
from services.disaggregator.domain.home import Step
from services.disaggregator.domain.many import ManyHomes
from services.disaggregator.domain.network import LoadModels
from services.disaggregator.domain.timeliness import CLOCKS_DIFFER_BY, history_after
from services.disaggregator.partition import Arrival, Partition, Surroundings
from services.disaggregator.saying_to_many import Said, Speech
from services.disaggregator.settings import DisaggregatorSettings, FleetSettings
from services.disaggregator.states import Part, States, Unreachable

OpenStates = Callable[[], AbstractAsyncContextManager[States]]

_LOOK_EVERY_S = 0.5
_LET_GO_EVERY_S = 30.0
_WAKE_EVERY_S = 0.5


class FleetDisaggregator:
    """Tells which appliances run, in each of many homes."""

    def __init__(
        self, settings: DisaggregatorSettings, fleet: FleetSettings, context: Context, load: LoadModels, broker: Broker, states: OpenStates
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._context = context
        self._load = load
        self._open_states = states
        self._log: Log = structlog.get_logger()
        self._around = Surroundings(broker, context.clock, context.health, self._log, fleet.window)
        self._history_after = history_after(context.clock.rate)
        self._unreachable = FaultLog(self._log, "the homes' states can't be reached", every=20)
        self._unusable = FaultLog(self._log, "a home's kept state is of no use; it begins anew", every=100)
        self._heard_at = context.clock.now()

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """None on the replica's own connection: each partition has one of its own."""
        return ()

    @property
    def outputs(self) -> Sequence[Topic[Any]]:
        """States and events, of every home."""
        return (APPLIANCE, APPLIANCE_EVENT)

    async def __aenter__(self) -> Self:
        self._networks, refused = self._load(self._settings.models)
        health = self._context.health
        health.configuration_error = "; ".join(map(str, refused))[:2_000] or None
        health.blind = None if self._networks else "no model can be used"
        for reason in refused:
            self._log.error("a model can't be used; the others go on", reason=str(reason))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    async def run(self) -> None:
        """Work with the states for as long as they can be reached, and again when they are back."""
        if not self._networks:
            await asyncio.Event().wait()  # the readings queue until a model is there
        while True:
            with ends_on(Unreachable) as broken:
                async with self._open_states() as states:
                    self._unreachable.recovered()
                    self._context.health.blind = None  # also where no home has spoken yet
                    await self._work(states)
            still_cancelled()
            self._unreachable.failed(error=str(broken[0]))
            self._context.health.blind = f"the homes' states can't be reached: {broken[0]}"
            await asyncio.sleep(random.uniform(0.5, 2.0))  # noqa: S311

    async def _work(self, states: States) -> None:
        # All anew: what is in memory counts only for as long as no other replica can have gone on with it.
        self._homes = ManyHomes(self._networks)
        self._speech = Speech(self._context.root.prefix, self._context.health)
        self._inbox: list[Arrival] = []
        self._reading: dict[int | None, asyncio.Task[None]] = {}
        self._to_release: set[int] = set()
        self._arrived = asyncio.Event()
        self._held: HoldBack[Arrival] = HoldBack(self._fleet.redelivery_s)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_batches(states))
            tasks.create_task(self._speech.repeat())
            tasks.create_task(self._voice().keep())
            if self._fleet.partitions is None:
                self._begin(None, tasks)
            else:
                tasks.create_task(self._take_partitions(states, self._fleet.partitions, tasks))
            await self._look(states)  # a body without an end, as `still_cancelled` needs it

    def _voice(self) -> Connection:
        around, root = self._around, self._context.root
        session = Session(f"{root.prefix}-{root.home}-disaggregator-voice", window=self._fleet.window)
        return Connection(
            around.broker, session, (), (self._speech.lend,), root=root, clock=around.clock, health=around.health, log=around.log
        )

    def _begin(self, number: int | None, tasks: asyncio.TaskGroup) -> None:
        root = Root("+", self._context.root.prefix if number is None else f"{self._fleet.prefix}/{number}")
        self._reading[number] = tasks.create_task(Partition(root, self._around, self._take).keep())

    async def _take_partitions(self, states: States, own: Collection[int], tasks: asyncio.TaskGroup) -> None:
        """One's own partitions as soon as they are free, others once nobody has read them for a while, until they are wanted back."""
        free_since_s = dict[int, float]()
        while True:
            claimed, wanted, now_s = await states.claimed(), await states.wanted(), time.monotonic()
            for number in sorted({*own, *range(self._fleet.all or 0)} - self._reading.keys()):
                since_s = free_since_s.setdefault(number, now_s)
                if number in claimed:
                    del free_since_s[number]
                elif (number in own or self._is_abandoned(now_s - since_s, number in wanted)) and await states.claim(number):
                    del free_since_s[number]
                    self._log.info("reads a partition", partition=number, of_another=number not in own)
                    self._begin(number, tasks)
                if number in own and number in claimed:
                    await states.want(number)
            self._to_release.update(number for number in wanted if number in self._reading and number not in own)
            if self._to_release:
                self._arrived.set()
            await asyncio.sleep(_LOOK_EVERY_S)

    def _is_abandoned(self, free_for_s: float, wanted: bool) -> bool:
        return free_for_s >= self._fleet.take_over_after_s and not wanted

    async def _release(self, states: States) -> None:
        """Between two batches, so that nothing of these partitions' homes is on its way to the states."""
        for number in sorted(self._to_release):
            reading = self._reading[number]
            reading.cancel()
            await asyncio.wait((reading,))
            await states.release(number)
            del self._reading[number]
            self._log.info("gave a partition back", partition=number)
        self._to_release.clear()
        # Nothing of the homes that went is remembered, to be said or gone on with; those that stay are admitted again with what was kept.
        self._homes.let_go(self._homes.names)
        self._speech.forget()
        self._inbox[:0] = self._held.take_all()

    def _take(self, arrival: Arrival) -> None:
        self._inbox.append(arrival)
        self._arrived.set()

    async def _read_batches(self, states: States) -> None:
        let_go_at_s = time.monotonic() + _LET_GO_EVERY_S
        while True:
            await self._wait_for_arrivals()
            await asyncio.sleep(self._fleet.gather_s)
            self._arrived.clear()
            if self._to_release:
                await self._release(states)
            arrivals, self._inbox = self._inbox, []
            ready = await self._in_order(states, [arrival for arrival in arrivals if not arrival.done.done()])
            if ready:
                await self._read(states, ready)
            if time.monotonic() >= let_go_at_s or len(self._homes) > self._fleet.most_homes:
                let_go_at_s = time.monotonic() + _LET_GO_EVERY_S
                self._let_go()

    async def _wait_for_arrivals(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WAKE_EVERY_S if len(self._held) else None):
                await self._arrived.wait()

    async def _in_order(self, states: States, arrivals: list[Arrival]) -> list[Arrival]:
        names = {arrival.reading.home for arrival in arrivals} | self._held.homes
        await self._admit(states, {name for name in names if name not in self._homes})
        if not self._fleet.redelivery_s:
            return arrivals
        now_s = time.monotonic()
        for arrival in arrivals:
            self._held.put(arrival.reading.home, arrival.reading.time_s, arrival, now_s)
        ready = [arrival for arrival in self._held.ready(now_s, self._homes.follows) if not arrival.done.done()]
        self._context.health.gauge("held_readings", len(self._held))
        return ready

    async def _admit(self, states: States, names: Collection[str]) -> None:
        if not names:
            return
        saved, now_s = await states.load(names), self._context.clock.now().timestamp()
        for name in names:
            problem = self._homes.admit(name, saved.get(name, {}), now_s, CLOCKS_DIFFER_BY.total_seconds())
            if problem:
                self._context.health.error("unusable_states")
                self._unusable.failed(home=name, problem=problem)
        self._context.health.work("homes_taken", len(names))

    async def _read(self, states: States, arrivals: list[Arrival]) -> None:
        steps = self._step(arrivals)
        said: dict[str, Said] = {}
        for arrival, told in zip(arrivals, steps, strict=True):
            self._put_into_words(said.setdefault(arrival.reading.home, Said()), arrival, told)
        await self._speech.say(said)
        await states.save([Part(home, key, value) for home in said for key, value in self._homes[home].home.save().items()])
        self._heard_at = self._context.clock.now()
        self._context.health.blind = None
        for arrival in arrivals:
            if not arrival.done.done():
                arrival.done.set_result(None)

    def _step(self, arrivals: list[Arrival]) -> list[list[Step]]:
        began_s = time.perf_counter()
        steps = self._homes.read([arrival.reading for arrival in arrivals])
        health, ticks = self._context.health, sum(map(len, steps))
        if ticks:
            health.gauge("step_us", round((time.perf_counter() - began_s) / ticks * 1e6, 1))
        health.gauge("batch", len(arrivals))
        counted = Counter[str]()
        for name in {arrival.reading.home for arrival in arrivals}:
            counted.update(self._homes[name].home.take_counts())
        for name, count in counted.items():
            (health.error if name in ("dropped_readings", "broken_answers") else health.work)(name, count)
        return steps

    def _put_into_words(self, said: Said, arrival: Arrival, steps: list[Step]) -> None:
        home, sayer = self._homes[arrival.reading.home]
        said.add_events(arrival.reading.home, steps, arrival.arrived_at)
        if steps and arrival.arrived_at.timestamp() - arrival.reading.time_s <= self._history_after.total_seconds():
            said.add_states(home.appliances, sayer, steps[-1].time_s)

    def _let_go(self) -> None:
        before_s = (self._context.clock.now() - timedelta(seconds=self._fleet.silent_after_s)).timestamp()
        silent = [name for name in self._homes.silent(before_s, self._fleet.most_homes) if name not in self._held.homes]
        self._homes.let_go(silent)
        self._context.health.work("homes_let_go", len(silent))

    async def _look(self, states: States) -> None:
        """Say when no readings come, and how many homes there are; and hear early of states that can't be reached."""
        while True:
            await states.claimed()
            health = self._context.health
            health.gauge("homes", len(self._homes))
            health.gauge("partitions", len(self._reading))
            if self._reading and self._context.clock.now() - self._heard_at > self._history_after:
                health.blind = f"no reading since {self._heard_at.isoformat(timespec='seconds')}"
            await asyncio.sleep(_LOOK_EVERY_S)
