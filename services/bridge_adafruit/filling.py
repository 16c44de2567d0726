"""Fills in what the cloud missed during an outage, through the API and within the quota; a restart sends nothing twice."""

import asyncio
from collections.abc import Callable

import structlog
from pydantic import TypeAdapter, ValidationError

from hems.actor.context import Context
from hems.actor.logs import FaultLog, Log
from hems.actor.store import NotAccepted
from services.bridge_adafruit.cloud import Api, ApiRefused, ApiSilent
from services.bridge_adafruit.domain.gap import Batch, GapState
from services.bridge_adafruit.domain.instant import Instant
from services.bridge_adafruit.domain.mirror import Mirror

_AFTER_A_REFUSAL_S = 60.0
_GAP = TypeAdapter(GapState)


class Filling:
    """Sends the mirror's gap, batch by batch.

    Args:
        context: the service's surroundings.
        mirror: what decides.
        api: where gaps are filled.
        now: the time on both clocks.
        wake: something may have to be said.
        retry_s: the shortest wait after a failure.
    """

    def __init__(
        self, context: Context, mirror: Mirror, api: Api, *, now: Callable[[], Instant], wake: Callable[[], None], retry_s: float
    ) -> None:
        self._context = context
        self._mirror = mirror
        self._api = api
        self._now = now
        self._wake = wake
        self._retry_s = retry_s
        self._log: Log = structlog.get_logger()
        self._faults = FaultLog(self._log, "a gap could not be filled in", every=20)
        self._saved = b""

    def load(self) -> None:
        """Read what the last run left to fill in."""
        raw = self._context.store.get("gap")
        if raw is None:
            return
        try:
            self._mirror.gap.state = _GAP.validate_json(raw)
        except ValidationError as error:
            self._log.error("what was left to fill in can't be read; it is left out", error=str(error))

    def save(self) -> bool:
        """Keep what is left to fill in; False where the disk does not take it."""
        state = _GAP.dump_json(self._mirror.gap.state)
        if state == self._saved:
            return True
        try:
            with self._context.store.transaction(durable=False) as transaction:
                transaction.put("gap", state)
        except NotAccepted:
            return False
        self._saved = state
        return True

    async def run(self, ticked: asyncio.Event) -> None:
        """Try at each tick, until cancelled."""
        while True:
            ticked.clear()
            await ticked.wait()
            try:
                await self._fill()
            except (ApiRefused, ApiSilent) as failure:
                self._faults.failed(reason=str(failure))
                wait_s = failure.retry_after_s if isinstance(failure, ApiRefused) else None
                await self._context.clock.sleep(max(wait_s or 0, self._retry_s))

    async def _fill(self) -> None:
        gap = self._mirror.gap
        if not self._mirror.online:
            return
        if gap.state.sending is not None:
            await self._find_out(gap.state.sending)
        batch = self._mirror.fill(self._now())
        if batch is None:
            return
        if not self.save():  # written before it is sent: a restart asks what is there, and sends nothing twice
            gap.refused(self._now().s)
            return
        await self._send(batch)
        self.save()
        self._context.health.work("points_filled_in", len(batch.points))
        self._faults.recovered()
        if batch.key not in gap.state.points:
            await self._look_again(batch.key)

    async def _send(self, batch: Batch) -> None:
        gap = self._mirror.gap
        try:
            await self._api.fill(batch)
        except ApiRefused as refusal:
            if refusal.status in (404, 422):
                self._context.health.error("points_refused", len(batch.points))
                gap.sent(self._now().s)
                self.save()
            else:
                gap.refused(self._now().s)
                self._mirror.quota.pause(refusal.retry_after_s or _AFTER_A_REFUSAL_S, self._now().s)
            raise
        except BaseException:
            gap.unsure(self._now().s)
            raise
        gap.sent(self._now().s)

    async def _find_out(self, batch: Batch) -> None:
        there = await self._api.times(batch.key, batch.points[0].at, batch.points[-1].at)
        self._mirror.gap.found(there)
        self.save()

    async def _look_again(self, key: str) -> None:
        """A text that was filled in may stand where the newest should: see, and let it be said again."""
        if not self._mirror.is_state(key):
            return
        shown = (await self._api.last_values()).get(key)
        if shown is not None:
            self._mirror.adopt({key: shown}, self._now())
            self._wake()
