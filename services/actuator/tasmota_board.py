"""Tasmota switches, by their own topics: `cmnd/<device>/POWER` and `stat/<device>/POWER`.

The bus is the actor's: it hands over what a switch says, and takes what is to be said to it. A switch that has not
confirmed its state is told again every second.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hems.contracts.relays import Level

TELL_AGAIN_S = 1.0


@dataclass
class _Switch:
    relay: str
    wanted: Level
    heard: Level | None = None
    confirmed: bool = False
    told_s: float = float("-inf")


class TasmotaBoard:
    """Keeps what each switch is to be, and what it last said."""

    def __init__(self, devices: Mapping[str, str], safe: Mapping[str, Level]) -> None:
        self._devices = devices
        self._switches = {device: _Switch(relay, safe[relay]) for relay, device in devices.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def switch(self, relay: str, level: Level) -> None:
        """Note what the switch is to be; `due` has it at once."""
        switch = self._switches[self._devices[relay]]
        switch.wanted, switch.confirmed, switch.told_s = level, False, float("-inf")

    def level(self, relay: str) -> Level | None:
        """What the switch confirmed, or None until it has."""
        switch = self._switches[self._devices[relay]]
        return switch.heard if switch.confirmed else None

    def hear(self, device: str, level: Level) -> str | None:
        """A switch says its state. Returns the relay where somebody switched it by hand."""
        switch = self._switches.get(device)
        if switch is None:
            return None
        by_hand = switch.confirmed and level != switch.wanted
        switch.heard = level
        switch.confirmed = switch.confirmed or level == switch.wanted
        if by_hand:
            switch.wanted = level
        return switch.relay if by_hand else None

    def due(self, now_s: float) -> list[tuple[str, Level]]:
        """What is to be said to which device now."""
        due = [
            (device, switch) for device, switch in self._switches.items() if not switch.confirmed and now_s >= switch.told_s + TELL_AGAIN_S
        ]
        for _, switch in due:
            switch.told_s = now_s
        return [(device, switch.wanted) for device, switch in due]
