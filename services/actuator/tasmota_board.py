"""Tasmota switches, by their own topics: `cmnd/<device>/POWER`, `stat/<device>/POWER` and `tele/<device>/LWT`.

The bus is the actor's: it hands over what a switch says, and takes what is to be said to it. A switch that has not
confirmed its state is told again every second; the answer to that is how its state is asked for, too.
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
    safe: Level
    wanted: Level
    heard: Level | None = None
    confirmed: bool = False
    offline: bool = False
    told_s: float = float("-inf")

    def doubt(self) -> None:
        """Where it stands is not known: it is to be told at once."""
        self.confirmed, self.told_s = False, float("-inf")

    def is_due(self, now_s: float) -> bool:
        """Nothing that leaves safety is said to a switch that is offline: what hears it later hears of another time."""
        waits = self.offline and self.wanted != self.safe
        return not self.confirmed and not waits and now_s >= self.told_s + TELL_AGAIN_S


class TasmotaBoard:
    """Keeps what each switch is to be, what it last said, and whether it is there."""

    def __init__(self, devices: Mapping[str, str], safe: Mapping[str, Level]) -> None:
        self._devices = devices
        self._switches = {device: _Switch(relay, safe[relay], safe[relay]) for relay, device in devices.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def switch(self, relay: str, level: Level) -> None:
        """Note what the switch is to be; `due` has it at once."""
        switch = self._switches[self._devices[relay]]
        switch.wanted = level
        switch.doubt()

    def level(self, relay: str) -> Level | None:
        """What the switch confirmed, or None until it has, and while it is offline."""
        switch = self._switches[self._devices[relay]]
        return switch.heard if switch.confirmed and not switch.offline else None

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

    def lost(self, device: str) -> dict[str, bool]:
        """A device is offline. Returns the relays that hang on it, and whether each had confirmed what it was to be."""
        switch = self._switches.get(device)
        if switch is None or switch.offline:
            return {}
        switch.offline = True
        return {switch.relay: switch.confirmed}

    def found(self, device: str) -> list[str]:
        """A device is online, perhaps anew: its switches are told what they are to be. Returns the relays that hang on it."""
        switch = self._switches.get(device)
        if switch is None:
            return []
        switch.offline = False
        switch.doubt()
        return [switch.relay]

    def offline(self) -> set[str]:
        """The devices that are offline."""
        return {device for device, switch in self._switches.items() if switch.offline}

    def due(self, now_s: float) -> list[tuple[str, Level]]:
        """What is to be said to which device now."""
        due = [(device, switch) for device, switch in self._switches.items() if switch.is_due(now_s)]
        for _, switch in due:
            switch.told_s = now_s
        return [(device, switch.wanted) for device, switch in due]
