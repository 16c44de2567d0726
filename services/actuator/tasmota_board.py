"""Tasmota switches, by their own topics: `cmnd/<device>/POWER`, `stat/<device>/POWER` and `tele/<device>/LWT`.

The second of a device's several relays has `POWER2` for `POWER`, and is written `<device>/2`; its channel is 2.
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
        places = {relay: place_of(device) for relay, device in devices.items()}
        self._switches = {relay: _Switch(relay, safe[relay], safe[relay]) for relay in devices}
        self._at = {place: self._switches[relay] for relay, place in places.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def switch(self, relay: str, level: Level) -> None:
        """Note what the switch is to be; `due` has it at once."""
        switch = self._switches[relay]
        switch.wanted = level
        switch.doubt()

    def level(self, relay: str) -> Level | None:
        """What the switch confirmed, or None until it has, and while it is offline."""
        switch = self._switches[relay]
        return switch.heard if switch.confirmed and not switch.offline else None

    def channels(self) -> set[int]:
        """The channels that are in use; 0 is that of a device with one relay."""
        return {channel for _, channel in self._at}

    def hear(self, device: str, channel: int, level: Level) -> str | None:
        """A switch says its state. Returns the relay where somebody switched it by hand."""
        switch = self._at.get((device, channel))
        if switch is None:
            return None
        by_hand = switch.confirmed and level != switch.wanted
        switch.heard = level
        switch.confirmed = switch.confirmed or level == switch.wanted
        if by_hand:
            switch.wanted = level
        return switch.relay if by_hand else None

    def lost(self, device: str) -> dict[str, bool]:
        """A device is offline. Returns its relays, and whether each had confirmed what it was to be; nothing where that is no news."""
        lost = [switch for switch in self._of(device) if not switch.offline]
        for switch in lost:
            switch.offline = True
        return {switch.relay: switch.confirmed for switch in lost}

    def found(self, device: str) -> list[str]:
        """A device is online, perhaps anew: its switches are told what they are to be. Returns the relays that hang on it."""
        for switch in self._of(device):
            switch.offline = False
            switch.doubt()
        return [switch.relay for switch in self._of(device)]

    def offline(self) -> set[str]:
        """The devices that are offline."""
        return {device for (device, _), switch in self._at.items() if switch.offline}

    def due(self, now_s: float) -> list[tuple[str, int, Level]]:
        """What is to be said now: to which device, to which of its channels."""
        due = [(place, switch) for place, switch in self._at.items() if switch.is_due(now_s)]
        for _, switch in due:
            switch.told_s = now_s
        return [(*place, switch.wanted) for place, switch in due]

    def _of(self, device: str) -> list[_Switch]:
        return [switch for (name, _), switch in self._at.items() if name == device]


def place_of(device: str) -> tuple[str, int]:
    """The device and the channel of a `device` in the settings: `plug` or `plug/2`."""
    name, _, channel = device.partition("/")
    return name, int(channel or 0)
