"""Commands in, pins out. Switching comes first; what is said about it never holds it up."""

import asyncio
import contextlib
import math
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, get_args

from hems.actor.bus import Input, Received
from hems.actor.clock import WallClock
from hems.actor.context import Context
from hems.contracts.catalog import (
    ALERT,
    RELAY,
    RELAY_RESULT,
    RELAY_SET,
    RELAY_SET_BY,
    SERVICE_HEALTH,
    TASMOTA_COMMANDS,
)
from hems.contracts.health import ServiceHealth
from hems.contracts.relays import NOTHING, RelayCommand, Source
from services.actuator.devices import Devices, MessageBoard
from services.actuator.domain.admission import Request
from services.actuator.domain.inbox import Inbox
from services.actuator.domain.rules import CONTROLLERS
from services.actuator.reception import Reception
from services.actuator.settings import ActuatorSettings
from services.actuator.switchboard import AuditTrail, Board, Clocks, Switchboard
from services.actuator.voice import Voice

_LOOK_EVERY_S = 1.0
_SHORTEST_LOOK_S = 0.005
_TIME_KEPT_EVERY_S = 600.0
_TIME_LOOKED_FOR_EVERY_S = 10.0
_GOODBYE_S = 0.5
_HELD_UP_S = 10.0
_CATCHING_UP_S = 2.0


class Sleep(Protocol):
    """Waits in the time of `Clocks.monotonic`."""

    async def __call__(self, seconds: float) -> None:
        """Wait."""
        ...


class Actuator:
    """Switches the relays, and refuses what would not be safe."""

    outputs = (RELAY, RELAY_RESULT, ALERT, *TASMOTA_COMMANDS)

    def __init__(
        self,
        settings: ActuatorSettings,
        context: Context,
        board: Board,
        audit: AuditTrail,
        clocks: Clocks,
        sleep: Sleep | None = None,
    ) -> None:
        self._context = context
        self._clocks = clocks
        self._sleep: Sleep = sleep or WallClock().sleep
        self._voice = Voice(context)
        rules = {name: relay.rules() for name, relay in settings.relays.items()}
        self._switchboard = Switchboard(rules, board, audit, self._voice, context, clocks)
        self._reception = Reception(self._switchboard, Inbox())
        self._waiting = asyncio.Event()
        self._timers = asyncio.Event()
        self._devices = Devices(board, self._switchboard, context, self._timers.set) if isinstance(board, MessageBoard) else None
        self._looked_s = clocks.monotonic()
        self._held_up_s, self._caught_up_s = 0.0, -math.inf

    async def __aenter__(self) -> Self:
        """Every relay is in its safe state before anything is heard."""
        self._switchboard.__enter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Every relay is in its safe state before the pins are released."""
        self._switchboard.__exit__(kind, error, trace)

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """Commands by the topic that proves their source, signs of life, and what Tasmota switches say. No meter readings."""
        heard = (
            Input(RELAY_SET, self._on_command, malformed=self._on_malformed, as_published=True),
            Input(RELAY_SET_BY, self._on_command, malformed=self._on_malformed, as_published=True),
            Input(SERVICE_HEALTH, self._on_health),
        )
        return (*heard, *self._devices.inputs) if self._devices else heard

    async def run(self) -> None:
        """Work off what waits, watch the timers, and speak."""
        working = asyncio.ensure_future(self._work())
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            # At once, while the connection stands: switches that hang on the bus have to hear it.
            self._switchboard.make_safe()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await self._tell_devices()
            raise
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _work(self) -> None:
        for name in self._switchboard.relays:
            self._switchboard.show(name)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._work_off())
            tasks.create_task(self._watch_timers())
            tasks.create_task(self._keep_time())
            tasks.create_task(self._voice.speak())

    async def _on_command(self, received: Received[RelayCommand]) -> None:
        source = _known(received.parameters)
        if source is None:
            self._turn_away(received.parameters)
        else:
            request = Request(received.payload, source, received.retained, self._may_have_waited_s())
            self._reception.take(received.parameters["relay"], request)
            (self._waiting if self._reception.busy else self._timers).set()

    async def _on_malformed(self, parameters: Mapping[str, str], reason: str, retained: bool) -> None:
        if retained and reason == NOTHING:
            return  # somebody clears a retained command, as its refusal asks for
        source = _known(parameters)
        if source is None:
            self._turn_away(parameters)
        else:
            self._switchboard.refuse(parameters["relay"], source, None, f"malformed: {reason}")

    def _turn_away(self, parameters: Mapping[str, str]) -> None:
        self._context.health.error("unknown_sources")
        self._switchboard.note(parameters["relay"], "refused", source=parameters["source"][:32], reason="there is no such source")

    async def _on_health(self, received: Received[ServiceHealth]) -> None:
        # Our own comes back from the broker too, every ten seconds: so long as it does, the broker lives.
        self._switchboard.heard(() if received.retained else CONTROLLERS.get(received.parameters["service"], ()))

    async def _work_off(self) -> None:
        while True:
            await self._waiting.wait()
            self._waiting.clear()
            while self._reception.busy:
                self._reception.work_off()
                self._timers.set()
                await asyncio.sleep(0)

    def _may_have_waited_s(self) -> float:
        """How long a message of now may have lain in our own socket: this process was frozen, or the disk held it up."""
        now_s = self._clocks.monotonic()
        held_up_s = now_s - self._looked_s
        if held_up_s > _HELD_UP_S:
            self._held_up_s, self._caught_up_s = held_up_s, now_s + _CATCHING_UP_S
        return self._held_up_s if now_s < self._caught_up_s else 0.0

    async def _watch_timers(self) -> None:
        while True:
            self._may_have_waited_s()
            self._looked_s = self._clocks.monotonic()
            self._switchboard.step()
            await self._tell_devices()
            due_s = min((relay.next_due_s for relay in self._switchboard.relays.values()), default=math.inf)
            wait_s = min(due_s - self._clocks.monotonic(), _LOOK_EVERY_S)
            await self._until_woken(max(wait_s, _SHORTEST_LOOK_S))

    async def _until_woken(self, seconds: float) -> None:
        self._timers.clear()
        sleeping = asyncio.ensure_future(self._sleep(seconds))
        waking = asyncio.ensure_future(self._timers.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()

    async def _keep_time(self) -> None:
        while True:
            known = self._switchboard.keep_time()
            await self._sleep(_TIME_KEPT_EVERY_S if known else _TIME_LOOKED_FOR_EVERY_S)

    async def _tell_devices(self) -> None:
        if self._devices is not None:
            await self._devices.tell(self._clocks.monotonic())


def _known(parameters: Mapping[str, str]) -> Source | None:
    said = parameters.get("source", "local")
    return next((known for known in get_args(Source) if known == said), None)
