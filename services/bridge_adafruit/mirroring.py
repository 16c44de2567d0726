"""Keeps the conversation with the cloud going: within its quota and its bans, over outages, and over restarts of this service."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from hems.actor.bus import Disconnected
from hems.actor.context import Context
from hems.actor.failures import ends_on, still_cancelled
from hems.actor.logs import FaultLog, Log
from services.bridge_adafruit.cloud import Api, ApiRefused, ApiSilent, Cloud, CloudConnection, KeyRefused
from services.bridge_adafruit.domain.instant import Instant
from services.bridge_adafruit.domain.mirror import Mirror, Ordered, Pressed
from services.bridge_adafruit.domain.notices import Banned, Notice, Throttled, Values
from services.bridge_adafruit.filling import Filling

_LOOK_EVERY_S = 1.0
_LOOK_EVERY_S_AWAY = 2.0
_STOOD_STILL_S = 5.0
_SAVE_EVERY_S = 60.0
_AFTER_A_REFUSAL_S = 60.0
_FEEDS_MISSING_S = 60.0
_LONGEST_WAIT_S = 300.0
_KEY_REFUSED_S = 600.0
_LONG_S = 60.0

Take = Callable[[Sequence[Pressed | Ordered]], Awaitable[None]]
Alarm = Callable[[str, str, str], None]


class _ShutOut(Exception):
    """The account is banned for so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the account is banned for {seconds:.0f} s")
        self.seconds = seconds


class _NothingToShow(Exception):
    """None of the feeds exist."""


class Mirroring:
    """The mirror's hands and ears in the cloud.

    Args:
        context: the service's surroundings.
        mirror: what decides.
        cloud: where values are said and heard.
        api: what feeds there are, and where gaps are filled.
        take: does what people press.
        alarm: raises an alert: rule, title, message.
        reconnect_s: the first wait before connecting again.
        jitter: 0 to 1.
    """

    def __init__(
        self,
        context: Context,
        mirror: Mirror,
        cloud: Cloud,
        api: Api,
        *,
        take: Take,
        alarm: Alarm,
        reconnect_s: float,
        jitter: Callable[[], float],
    ) -> None:
        self._context = context
        self._mirror = mirror
        self._cloud = cloud
        self._api = api
        self._take = take
        self._alarm = alarm
        self._reconnect_s = reconnect_s
        self._jitter = jitter
        self._log: Log = structlog.get_logger()
        self._faults = FaultLog(self._log, "no connection to Adafruit IO", every=20)
        self._complaints = FaultLog(self._log, "Adafruit IO complains", every=20, spell_s=600)
        self._changed = asyncio.Event()
        self._ticked = asyncio.Event()
        self._filling = Filling(context, mirror, api, now=self._now, wake=self.wake, retry_s=reconnect_s)
        self._looked: Instant | None = None
        self._looks_after_s = _LOOK_EVERY_S
        self._asleep_until_s = float("-inf")
        self._told = {"thinned": 0, "coalesced": 0, "unreadable": 0}

    def wake(self) -> None:
        """Something may have to be said."""
        self._changed.set()

    def load(self) -> None:
        """Read what the last run left to fill in."""
        self._filling.load()

    def save(self) -> None:
        """Keep what is left to fill in."""
        self._filling.save()

    async def run(self) -> None:
        """Until cancelled."""
        async with self._api.opened(), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_looking())
            tasks.create_task(self._keep_connected())
            tasks.create_task(self._filling.run(self._ticked))

    def _now(self) -> Instant:
        return Instant(self._context.clock.now(), self._context.clock.monotonic())

    async def _keep_looking(self) -> None:
        saved_s = self._now().s
        while True:
            now = self._now()
            self._note_sleep(now)
            for relay in self._mirror.tick(now):
                self._context.health.error("commands_without_answer")
                self._log.warning("a toggle's command got no answer in time; the toggle goes back", relay=relay)
            if now.s - saved_s >= _SAVE_EVERY_S:
                self._filling.save()
                saved_s = now.s
            self._report(now)
            self._changed.set()
            self._ticked.set()
            self._looks_after_s = _LOOK_EVERY_S if self._mirror.engaged else _LOOK_EVERY_S_AWAY
            await self._context.clock.sleep(self._looks_after_s)

    def _note_sleep(self, now: Instant) -> None:
        """A program that stood still finds old toggles in its socket; they must not act now."""
        if self._stood_still(now):
            self._asleep_until_s = now.s + _STOOD_STILL_S
        self._looked = now

    def _stood_still(self, now: Instant) -> bool:
        looked, rate = self._looked, max(self._context.clock.rate, 1)
        if looked is None:
            return False
        return max(now.s - looked.s, (now.at - looked.at).total_seconds()) > (self._looks_after_s + _STOOD_STILL_S) * rate

    def _report(self, now: Instant) -> None:
        health, mirror = self._context.health, self._mirror
        health.gauge("quota_points_used", mirror.quota.used(now.s))
        health.gauge("quota_points_per_minute", mirror.quota.limit(now.s))
        health.gauge("feeds_waiting", len(mirror.governor.waiting))
        health.gauge("gap_points_waiting", mirror.gap.waiting)
        counted = {"thinned": mirror.gap.thinned, "coalesced": mirror.governor.coalesced, "unreadable": mirror.unreadable}
        health.work("points_thinned", counted["thinned"] - self._told["thinned"])
        health.work("points_coalesced", counted["coalesced"] - self._told["coalesced"])
        health.error("unreadable_toggles", counted["unreadable"] - self._told["unreadable"])
        self._told = counted

    async def _keep_connected(self) -> None:
        wait_s = self._reconnect_s
        while True:
            began_s = self._now().s
            with ends_on(Disconnected, KeyRefused, _ShutOut, _NothingToShow, ApiRefused, ApiSilent) as failures:
                await self._look_around()
                async with self._cloud.connect() as connection:
                    await self._converse(connection)
            self._mirror.disconnected()
            still_cancelled()
            if self._now().s - began_s > _LONG_S:
                wait_s = self._reconnect_s
            pause_s = max(self._judge(failures[0]), wait_s * (1 + 0.2 * self._jitter()))
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
            await self._context.clock.sleep(pause_s)

    async def _look_around(self) -> None:
        """Which feeds there are, what they show, and how much of the quota is used."""
        try:
            shown = await self._shown()
            limit, active = await self._api.rate()
        except ApiSilent:
            if not self._mirror.present:
                raise
            return  # the API alone may be away; what it said last is good enough
        now = self._now()
        self._mirror.exist(shown)
        if not self._mirror.present:
            raise _NothingToShow("the account has none of the feeds; run `hems adafruit setup`")
        self._mirror.quota.learn(limit, active, now.s)
        self._mirror.adopt({key: value for key, value in shown.items() if value is not None}, now)

    async def _shown(self) -> Mapping[str, str | None]:
        try:
            return await self._api.last_values()
        except ApiRefused as refusal:
            if refusal.status != 404:
                raise
            return {}

    async def _converse(self, connection: CloudConnection) -> None:
        self._mirror.connected(self._now())
        await connection.begin()
        self._mirror.quota.foreign(self._now().s)  # asking for the last values may count
        self._context.health.blind = None
        self._faults.recovered()
        self._context.health.work("connections")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._speak(connection))
            async for heard in connection.heard():
                await self._hear(heard)
            raise Disconnected("Adafruit IO ended the connection")

    async def _speak(self, connection: CloudConnection) -> None:
        while True:
            self._changed.clear()
            values = self._mirror.due(self._now())
            if not values:
                await self._changed.wait()
                continue
            try:
                await connection.publish(values)
            except BaseException:
                self._mirror.unsure(values, self._now())
                raise
            self._mirror.acknowledged(values, self._now())
            self._context.health.work("points_sent", len(values))

    async def _hear(self, heard: Values | Notice) -> None:
        now = self._now()
        if isinstance(heard, Values):
            awake = not self._stood_still(now) and now.s >= self._asleep_until_s
            wanted = self._mirror.incoming(heard.values, now, awake=awake)
            self._changed.set()
            await self._take(wanted)
        elif isinstance(heard, Throttled):
            self._context.health.error("throttled")
            self._log.warning("Adafruit IO throttles the account; the bridge waits", seconds=heard.seconds)
            self._mirror.throttled(heard.seconds, now)
        elif isinstance(heard, Banned):
            raise _ShutOut(heard.seconds)
        else:
            self._context.health.error("complaints")
            self._complaints.failed(said=heard.text)
            self._mirror.complained(now)

    def _judge(self, failure: BaseException) -> float:
        """Say why there is no conversation; how long to wait at least, s."""
        health = self._context.health
        health.blind = f"{failure}"[:2_000]
        self._faults.failed(reason=str(failure))
        if isinstance(failure, _ShutOut):
            health.error("bans")
            self._alarm(
                "adafruit.banned", "Adafruit IO has banned the account for a while", f"{failure}; other programs of it may say too much."
            )
            return failure.seconds + 1
        if isinstance(failure, KeyRefused) or (isinstance(failure, ApiRefused) and failure.status in (401, 403)):
            health.blind = "Adafruit IO refuses the key; check bridge_adafruit.username and key_file"
            self._alarm("adafruit.key", "Adafruit IO refuses the key", health.blind)
            return _KEY_REFUSED_S
        if isinstance(failure, ApiRefused):
            return failure.retry_after_s or _AFTER_A_REFUSAL_S
        return _FEEDS_MISSING_S if isinstance(failure, _NothingToShow) else 0.0
