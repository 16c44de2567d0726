"""The recorder of many homes: all that they say into one PostgreSQL, each home's sums made and said."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import structlog

from hems.actor.bus import Broker, Input
from hems.actor.context import Context
from hems.actor.failures import ends_on, still_cancelled
from hems.actor.logs import Log
from hems.contracts.catalog import ENERGY, ENERGY_OF, HISTORY_RESULT, SERVICE_MISSED
from hems.contracts.energy import HistoryResult
from hems.contracts.health import Missed
from hems.contracts.topic import Root, Topic
from services.recorder.batches import Batches
from services.recorder.domain.counters import Counter
from services.recorder.domain.failures import Unavailable
from services.recorder.domain.holes import Holes
from services.recorder.domain.records import MainsRow, Row, microseconds, moment
from services.recorder.domain.statements import energy_message
from services.recorder.many import ManyHistories
from services.recorder.patience import RETRY_S, Patience
from services.recorder.replies import Find, Replies
from services.recorder.sessions import Around, Reading, Voice, question_input
from services.recorder.settings import FleetSettings, RecorderSettings

HomeRow = tuple[str, Row]

_AT_A_TIME = 25
"""Homes whose sums are made in one transaction, while rows go in by another connection."""
_LOOK_EVERY_S = 0.5
_THIN_EVERY_S = 3_600
_REPORT_EVERY_S = 5.0
_ASK_EVERY_S = 5.0


class FleetRecorder:
    """Keeps the histories, and counts energy and money, of many homes."""

    def __init__(
        self,
        settings: RecorderSettings,
        fleet: FleetSettings,
        context: Context,
        broker: Broker,
        opened: Callable[[], AbstractAsyncContextManager[tuple[ManyHistories, Find]]],
        currency: str,
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._context = context
        self._opened = opened
        self._currency = currency
        self._log: Log = structlog.get_logger()
        self._around = Around(broker, context.clock, context.health, self._log, fleet.window, context.root.prefix)
        self._voice = Voice(context.health, context.root.prefix)
        self._batches = Batches[HomeRow](settings.commit_every_s, fleet.most_rows)
        self._replies = Replies(self._reply, context.health, settings.query_timeout_s)
        self._patience = Patience(context.health, self._log, "the histories")
        self._holes = Holes()
        self._said_s: dict[str, float] = {}
        self._unsaid: dict[str, None] = {}

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """None on the service's own connection: there is one for each partition, and one for all else."""
        return ()

    @property
    def outputs(self) -> Sequence[Topic[Any]]:
        """Of every home."""
        return (ENERGY, ENERGY_OF, HISTORY_RESULT, SERVICE_MISSED)

    async def run(self) -> None:
        """Open the histories, waiting for the database where need be, and keep them."""
        while True:
            with ends_on(Unavailable) as broken:
                async with self._opened() as (histories, find):
                    await histories.start(self._tariff(), self._now_s())
                    self._patience.recovered()
                    await self._keep(histories, find)
            still_cancelled()
            self._patience.failed(broken[0])
            await asyncio.sleep(RETRY_S)

    async def _keep(self, histories: ManyHistories, find: Find) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._batches.write_all(lambda rows: self._write(histories, rows)))
            tasks.create_task(self._replies.answer_all(find))
            tasks.create_task(self._thin(histories))
            tasks.create_task(self._report(histories))
            tasks.create_task(self._ask_again())
            self._read(tasks)
            await self._fold(histories)  # a body without an end, as `still_cancelled` needs it

    def _read(self, tasks: asyncio.TaskGroup) -> None:
        reading = Reading(self._around, self._take, channels=self._settings.keep_channels)
        everything = Root("+", self._around.prefix)
        others = reading.others() if self._fleet.partitions else (*reading.mains(), *reading.others())
        name = f"{self._around.prefix}-recorder"
        tasks.create_task(self._around.connection(name, everything, others, durable=True).keep())
        asked = (question_input(self._replies),)
        tasks.create_task(self._around.connection(f"{name}-live", everything, asked, durable=False, lend=self._voice).keep())
        for number in range(self._fleet.partitions or 0):
            root = Root("+", f"{self._fleet.prefix}/{number}")
            session = f"{self._fleet.prefix}-{number}-recorder"
            tasks.create_task(self._around.connection(session, root, reading.mains(), durable=True).keep())

    async def _take(self, home: str, row: Row) -> None:
        await self._batches.written((home, row))

    async def _write(self, histories: ManyHistories, rows: Sequence[HomeRow]) -> None:
        kept_since_us = microseconds(self._context.clock.now() - self._settings.keep_raw)
        await self._patience.persistently(lambda: histories.record(rows, kept_since_us))
        for home, row in rows:
            if isinstance(row, MainsRow):
                self._holes.note(home, row.at_us, _monotonic_us())
        self._context.health.work("rows", len(rows))
        self._context.health.work("commits")

    async def _fold(self, histories: ManyHistories) -> None:
        """Make the sums of homes whose minute is over, a few homes at a time, and say them."""
        while True:
            done = await self._patience.persistently(lambda: histories.fold_due(_AT_A_TIME))
            self._context.health.work("sums", len(done))
            self._unsaid.update(dict.fromkeys(done))
            due = [name for name in self._unsaid if self._is_due(name)][:_AT_A_TIME]
            if due:
                found = await self._patience.persistently(lambda due=due: histories.counters(due, self._now_s()))
                await asyncio.gather(*(self._say_sums(histories, name, sums) for name, sums in found.items()))
            if len(done) < _AT_A_TIME and len(due) < _AT_A_TIME:
                await asyncio.sleep(_LOOK_EVERY_S)

    def _is_due(self, name: str) -> bool:
        lately = time.monotonic() - self._said_s.get(name, float("-inf")) < self._fleet.say_every_s
        return self._voice.connected.is_set() and not lately

    async def _say_sums(self, histories: ManyHistories, name: str, sums: Sequence[Counter]) -> None:
        home = histories.homes[name]
        pricing, as_of = home.pricing(histories.calendar), moment(home.folded_us)
        said = True
        for counter in sums:
            energy = energy_message(counter, pricing, self._currency, as_of, self._now_s())
            if counter.subject is None:
                said &= await self._voice.say(name, ENERGY, energy)
            else:
                said &= await self._voice.say(name, ENERGY_OF, energy, appliance=counter.subject)
        if said:
            self._said_s[name] = time.monotonic()
            self._unsaid.pop(name, None)

    async def _ask_again(self) -> None:
        """Ask homes for readings that must have been lost on their way: their services say again what they still keep."""
        while True:
            await asyncio.sleep(_ASK_EVERY_S)
            if self._voice.connected.is_set():
                for name in self._holes.missing(_monotonic_us()):
                    self._context.health.work("asked_again")
                    await self._voice.say(name, SERVICE_MISSED, Missed(at=self._context.clock.now()), service="recorder")

    async def _reply(self, home: str, client: str, piece: HistoryResult) -> None:
        await self._voice.say(home, HISTORY_RESULT, piece, client=client)

    async def _thin(self, histories: ManyHistories) -> None:
        while True:
            oldest_us = microseconds(self._context.clock.now() - self._settings.keep_raw)
            self._context.health.work(
                "dropped_days", await self._patience.persistently(lambda oldest_us=oldest_us: histories.thin(oldest_us))
            )
            await self._context.clock.sleep(_THIN_EVERY_S)

    async def _report(self, histories: ManyHistories) -> None:
        while True:
            homes = histories.homes.values()
            self._context.health.gauge("homes", len(homes))
            self._context.health.gauge("homes_due", sum(home.is_due for home in homes))
            self._context.health.gauge("rows_waiting", self._batches.size)
            await asyncio.sleep(_REPORT_EVERY_S)

    def _tariff(self) -> str | None:
        return None if self._settings.tariff is None else self._settings.tariff.model_dump_json(by_alias=True)

    def _now_s(self) -> int:
        return int(self._context.clock.now().timestamp())


def _monotonic_us() -> int:
    return time.monotonic_ns() // 1_000
