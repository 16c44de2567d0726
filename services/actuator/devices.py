"""Switches that hang on the bus: what they say, whether they are there, and what is said to them."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, runtime_checkable

import structlog

from hems.actor.bus import Input, Received
from hems.actor.context import Context
from hems.actor.logs import FaultLog, Log
from hems.contracts.catalog import TASMOTA_COMMANDS, TASMOTA_LWT, TASMOTA_STATES
from hems.contracts.health import TasmotaPower, TasmotaPresence
from hems.contracts.relays import Level
from services.actuator.switchboard import Switchboard


@runtime_checkable
class MessageBoard(Protocol):
    """A board whose switches are reached through the bus. A channel is a relay's number in its device; 0 where it is alone."""

    def channels(self) -> set[int]:
        """The channels that are in use."""
        ...

    def hear(self, device: str, channel: int, level: Level) -> str | None:
        """A device says its state; returns the relay that was switched by hand."""
        ...

    def lost(self, device: str) -> dict[str, bool]:
        """A device is offline; returns its relays, and whether each had confirmed what it was to be. Empty where that is no news."""
        ...

    def found(self, device: str) -> list[str]:
        """A device is online; returns its relays. Each is told what it is to be."""
        ...

    def offline(self) -> set[str]:
        """The devices that are offline."""
        ...

    def due(self, now_s: float) -> list[tuple[str, int, Level]]:
        """What is to be said now: to which device, to which of its channels."""
        ...


class Devices:
    """Between the bus and a board of switches; `wake` has the timers looked at, and the switches told, at once."""

    def __init__(self, board: MessageBoard, switchboard: Switchboard, context: Context, wake: Callable[[], None]) -> None:
        self._board = board
        self._switchboard = switchboard
        self._context = context
        self._wake = wake
        log: Log = structlog.get_logger()
        self._faults = defaultdict[str, FaultLog](lambda: FaultLog(log, "a switch is offline; where it stands is not known", every=20))
        self._count_offline()

    @property
    def inputs(self) -> tuple[Input[Any], ...]:
        """What switches say."""
        states = (Input(TASMOTA_STATES[channel], partial(self._on_state, channel)) for channel in sorted(self._board.channels()))
        return (*states, Input(TASMOTA_LWT, self._on_presence))

    async def tell(self, now_s: float) -> None:
        """Say what is due on the monotonic clock, in s."""
        for device, channel, level in self._board.due(now_s):
            await self._context.say(TASMOTA_COMMANDS[channel], TasmotaPower(on=level == "ON"), device=device)

    async def _on_state(self, channel: int, received: Received[TasmotaPower]) -> None:
        if received.retained:
            return
        device, level = received.parameters["device"], _level(received.payload)
        if device in self._board.offline():
            self._found(device)  # what speaks is there, whatever its last will said
        name = self._board.hear(device, channel, level)
        if name is not None:
            self._switchboard.switched_by_hand(name, level)
        for shown in self._switchboard.relays:
            self._switchboard.show(shown)

    async def _on_presence(self, received: Received[TasmotaPresence]) -> None:
        # The retained word counts: it is how a switch that was unplugged before the start is known.
        (self._found if received.payload.online else self._lost)(received.parameters["device"])

    def _lost(self, device: str) -> None:
        relays = self._board.lost(device)
        if not relays:
            return
        self._context.health.error("switches_lost")
        self._count_offline()
        self._faults[device].failed(device=device, relays=list(relays))
        for name, confirmed in relays.items():
            self._switchboard.lost(name, confirmed=confirmed)

    def _found(self, device: str) -> None:
        relays = self._board.found(device)
        for name in relays:
            self._switchboard.found(name)
        if relays:
            self._count_offline()
            self._faults[device].recovered(device=device, relays=relays)
            self._wake()

    def _count_offline(self) -> None:
        self._context.health.gauge("switches_offline", len(self._board.offline()))


def _level(power: TasmotaPower) -> Level:
    return "ON" if power.on else "OFF"
