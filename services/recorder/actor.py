"""One task writes what comes, another says the sums; questions, prices and thinning run beside them."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import structlog

from hems.actor.bus import Input, Received
from hems.actor.context import Context
from hems.actor.logs import FaultLog, Log
from hems.actor.store import NotAccepted
from hems.contracts.alerts import Alert
from hems.contracts.catalog import (
    ALERT,
    CARBON,
    ENERGY,
    ENERGY_OF,
    HISTORY_QUERY,
    HISTORY_RESULT,
    PRICE,
)  # fmt: skip
from hems.contracts.energy import HistoryResult
from services.recorder.batches import Batches
from services.recorder.domain.calendar import Calendar
from services.recorder.domain.counters import EXPORTED, Counter
from services.recorder.domain.failures import Unread
from services.recorder.domain.records import Row, microseconds, moment
from services.recorder.domain.series import SeriesRow, UnreadableSeries
from services.recorder.domain.statements import budget_alert, energy_message, money, prices_ahead, series_message, used_in_tier_period_mj
from services.recorder.domain.tariff import PriceSeries, Pricing
from services.recorder.kept import Kept, kept_besides, kept_mains
from services.recorder.patience import RETRY_S, Patience, Patiently
from services.recorder.replies import Answering, Replies
from services.recorder.settings import RecorderSettings

_COUNTERS = "counters"
_BUDGET = "budget told"
_SAY_EVERY_S = 1.0
_PRICE_EVERY_S = 300
_THIN_EVERY_S = 3_600
_SERIES_RETRY_S = 120.0


class Keeping(Protocol):
    """The history of one home."""

    @property
    def newest_us(self) -> int:
        """The time of the newest reading that is in the sums."""
        ...

    @property
    def raw_since_us(self) -> int:
        """Single readings before this are gone."""
        ...

    @property
    def pricing(self) -> Pricing:
        """What energy cost and costs."""
        ...

    async def start(self, tariff: str | None, now_s: int, noted_mj: Mapping[str, int] | None = None) -> None:
        """Begin, with a tariff and with what the counters had shown."""
        ...

    async def record(self, rows: Sequence[Row]) -> bool:
        """Commit rows; whether the sums changed."""
        ...

    async def counters(self, now_s: int) -> list[Counter]:
        """All sums, the home's first."""
        ...

    async def thin(self, before_us: int) -> int:
        """Delete single readings older than that."""
        ...

    async def add_series(self, name: str, rows: Sequence[SeriesRow], now_s: int) -> bool:
        """Add prices or intensities; whether something was new."""
        ...


@dataclass(frozen=True)
class Opened:
    """An open history, and where a damaged one was put."""

    history: Keeping
    answers: Answering
    set_aside: str | None = None


class Source(Protocol):
    """A file or an address with a series."""

    async def read(self) -> list[SeriesRow]:
        """All values.

        Raises:
            Unread: it gave nothing.
            UnreadableSeries: it is not in its form.
        """
        ...


@dataclass(frozen=True)
class Sources:
    """Where prices and carbon intensities come from, if from anywhere."""

    price: Source | None = None
    carbon: Source | None = None


class Recorder:
    """Keeps the history, and counts energy and money."""

    outputs = (ENERGY, ENERGY_OF, PRICE, CARBON, HISTORY_RESULT, ALERT)

    def __init__(
        self,
        settings: RecorderSettings,
        context: Context,
        opened: Callable[[], AbstractAsyncContextManager[Opened]],
        sources: Sources,
        currency: str,
    ) -> None:
        self._settings = settings
        self._context = context
        self._opened = opened
        self._sources = sources
        self._currency = currency
        self._batches = Batches[Row](settings.commit_every_s)
        self._replies = Replies(self._reply, context.health, settings.query_timeout_s)
        self._changed = asyncio.Event()
        self._prices_changed = asyncio.Event()
        self._log: Log = structlog.get_logger()
        self._patience = Patience(context.health, self._log, "the history")
        self._unnoted = FaultLog(self._log, "the disk takes no note of sums and alerts; they are said when it does", every=20)

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """Everything worth keeping, acknowledged once it is committed; and questions."""
        return (
            *map(self._input, (kept_mains(channels=self._settings.keep_channels), *kept_besides())),
            Input(HISTORY_QUERY, self._replies.ask, unread=self._replies.refuse_unread),
        )

    async def run(self) -> None:
        """Open the history, waiting for the database where need be, and keep it."""
        async with Patiently(self._opened, self._patience) as opened:
            history = opened.history
            now_s = self._now_s()
            await self._patience.persistently(lambda: history.start(self._tariff(), now_s, self._noted()))
            if opened.set_aside:
                await self._tell_damage(opened.set_aside)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._batches.write_all(lambda rows: self._write(history, rows)))
                tasks.create_task(self._replies.answer_all(lambda _: _found(opened)))
                tasks.create_task(self._say_sums(history))
                tasks.create_task(self._thin(history))
                if self._settings.tariff is not None:
                    tasks.create_task(self._say_prices(history))
                if self._sources.price is not None:
                    tasks.create_task(self._read_prices(history, self._sources.price))
                if self._sources.carbon is not None:
                    tasks.create_task(self._read_carbon(history, self._sources.carbon))

    def _input(self, kept: Kept) -> Input[Any]:
        topic, row = kept

        async def keep(received: Received[Any]) -> None:
            await self._batches.written(row(received))

        return Input(topic, keep, durable=True, together=True)

    async def _reply(self, _home: str, client: str, piece: HistoryResult) -> None:
        await self._context.say(HISTORY_RESULT, piece, client=client)

    async def _write(self, history: Keeping, rows: Sequence[Row]) -> None:
        if await self._patience.persistently(lambda: history.record(rows)):
            self._changed.set()
        self._context.health.work("rows", len(rows))
        self._context.health.work("commits")

    async def _say_sums(self, history: Keeping) -> None:
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            found = await self._patience.persistently(lambda: history.counters(self._now_s()))
            if history.newest_us and not await self._said(history, found):
                self._changed.set()
            await asyncio.sleep(_SAY_EVERY_S)

    async def _said(self, history: Keeping, found: Sequence[Counter]) -> bool:
        """Say the sums; not those that a full disk can't note, which would fall if the history were lost then."""
        try:
            self._note(found)
            for counter in found:
                await self._say_counter(history, counter)
            self._watch_budget(found[0], history.pricing.calendar)
        except NotAccepted as error:
            self._context.health.error("sums_not_noted")
            self._unnoted.failed(error=str(error))
            return False
        self._unnoted.recovered()
        return True

    async def _say_counter(self, history: Keeping, counter: Counter) -> None:
        energy = energy_message(counter, history.pricing, self._currency, moment(history.newest_us), self._now_s())
        if counter.subject is None:
            await self._context.say(ENERGY, energy)
        else:
            await self._context.say(ENERGY_OF, energy, appliance=counter.subject)

    def _used_mj(self, pricing: Pricing, counter: Counter) -> int:
        return used_in_tier_period_mj(pricing, counter, self._now_s())

    def _note(self, found: Sequence[Counter]) -> None:
        """Before they are said, beside the history: where that is damaged, or older than this, counters go on from here."""
        totals = {counter.subject or "": counter.total_mj for counter in found} | {EXPORTED: found[0].exported_mj}
        with self._context.store.transaction(durable=False) as transaction:
            transaction.put(_COUNTERS, json.dumps(totals).encode())

    def _noted(self) -> dict[str, int]:
        return json.loads(self._context.store.get(_COUNTERS) or b"{}")

    def _watch_budget(self, counter: Counter, calendar: Calendar) -> None:
        budget, spent = self._settings.budget.month_cost, money(counter.month_nano)
        if budget is None or spent is None:
            return
        now = self._context.clock.now()
        month, told = f"{calendar.local(now.timestamp()):%Y-%m}", json.loads(self._context.store.get(_BUDGET) or b'["", 0]')
        due = budget_alert(spent, budget, self._currency, month, now, told[1] if told[0] == month else 0)
        if due is not None:
            with self._context.store.transaction() as transaction:
                transaction.accept(ALERT, due[1], message_id=due[1].id)
                transaction.put(_BUDGET, json.dumps([month, due[0]]).encode())

    async def _tell_damage(self, set_aside: str) -> None:
        now = self._context.clock.now()
        message = f"It could not be read; it is kept as {set_aside}, and a new history has begun. `hems restore` brings a backup back."
        alert = Alert(
            id=f"recorder-damaged-{microseconds(now)}", rule="recorder.damaged", severity="critical",
            title="The history is damaged", message=message, at=now,
        )  # fmt: skip
        while True:
            try:
                self._context.accept(ALERT, alert, message_id=alert.id, durable=True)
            except NotAccepted as error:
                self._unnoted.failed(error=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _thin(self, history: Keeping) -> None:
        while True:
            self._context.health.work("thinned_rows", await self._patience.persistently(lambda: history.thin(self._oldest_us())))
            await self._context.clock.sleep(_THIN_EVERY_S)

    def _oldest_us(self) -> int:
        return microseconds(self._context.clock.now() - self._settings.keep_raw)

    async def _say_prices(self, history: Keeping) -> None:
        said: list[SeriesRow] = []
        while True:
            now_s = self._now_s()
            counters = await self._patience.persistently(lambda: history.counters(self._now_s()))
            ahead = prices_ahead(history.pricing, now_s, self._used_mj(history.pricing, counters[0]))
            if ahead and ahead != said:
                await self._context.say(PRICE, series_message(ahead, f"{self._currency}/kWh", self._context.clock.now()))
                said = ahead
            await self._context.clock.sleep(_PRICE_EVERY_S)

    async def _read_prices(self, history: Keeping, source: Source) -> None:
        assert self._settings.tariff is not None  # noqa: S101 - a source comes from a tariff

        async def take(rows: Sequence[SeriesRow]) -> None:
            now_s = self._now_s()
            if await self._patience.persistently(lambda: history.add_series("price", rows, now_s)):
                ahead = prices_ahead(history.pricing, now_s)
                await self._context.say(PRICE, series_message(ahead, f"{self._currency}/kWh", self._context.clock.now()))
                self._changed.set()

        settings = getattr(self._settings.tariff, "source", None)
        await self._keep_reading("price", source, settings.every if settings else timedelta(minutes=30), take)

    async def _read_carbon(self, history: Keeping, source: Source) -> None:
        async def take(rows: Sequence[SeriesRow]) -> None:
            now_s = self._now_s()
            await self._patience.persistently(lambda: history.add_series("carbon", rows, now_s))
            ahead = PriceSeries(rows).from_now_on(now_s)
            await self._context.say(CARBON, series_message(ahead, "gCO2/kWh", self._context.clock.now()))

        assert self._settings.carbon is not None  # noqa: S101 - a source comes from it
        await self._keep_reading("carbon", source, self._settings.carbon.every, take)

    async def _keep_reading(
        self, name: str, source: Source, every: timedelta, take: Callable[[Sequence[SeriesRow]], Awaitable[None]]
    ) -> None:
        faults = FaultLog(self._log, f"the {name} series can't be read; the last one counts", every=20)
        while True:
            wait_s = every.total_seconds()
            try:
                await take(await source.read())
                faults.recovered()
            except (Unread, UnreadableSeries) as error:
                self._context.health.error(f"{name}_failures")
                faults.failed(error=str(error))
                wait_s = min(wait_s, _SERIES_RETRY_S)
            await self._context.clock.sleep(wait_s)

    def _tariff(self) -> str | None:
        return None if self._settings.tariff is None else self._settings.tariff.model_dump_json(by_alias=True)

    def _now_s(self) -> int:
        return int(self._context.clock.now().timestamp())


async def _found(opened: Opened) -> tuple[Answering, int]:
    return opened.answers, opened.history.raw_since_us
