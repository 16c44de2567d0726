"""Which serial ports this computer has, and whose they seem to be, without opening any."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_UART = re.compile(r"tty(AMA\d+|S\d+)")
_USB = re.compile(r"tty(USB|ACM)\d+")
_DEBUG_UARTS = ("ttyAMA10",)
"""The Pi 5's own socket between its HDMI ports, where no meter board reaches."""
_METERS = re.compile(r"rpict|lechacal|emon(pi|tx|th)?|openenergy|esp8266|nodemcu|hems", re.IGNORECASE)
_OTHERS = re.compile(
    r"zigbee|z-?wave|conbee|skyconnect|sonoff|itead|nabu_casa|hubzb?|hus_?bzb|rfxtrx|rflink|modem|gps|gnss|u-blox|huawei|quectel|printer"
    r"|zwa-|slzb|slaesh|tubeszb|bridge_controller",
    re.IGNORECASE,
)
_USB_SPEEDS = (115_200, 38_400, 9_600, 57_600, 19_200, 230_400, 74_880)
_UART_SPEEDS = (38_400, 115_200, 9_600, 57_600, 19_200, 230_400)


@dataclass(frozen=True)
class SerialPortFound:
    """A port, by the name that is best kept in `hems.yaml`.

    Attributes:
        guess: `meter` where it is obviously one (the Pi's own UART, a telling name), `other` where it is obviously something
            else's, `unknown` otherwise.
        about: what it seems to be, for people.
    """

    path: str
    device: str
    guess: Literal["meter", "other", "unknown"]
    about: str

    @property
    def speeds(self) -> tuple[int, ...]:
        """The speeds to try, the likeliest first."""
        return _UART_SPEEDS if _UART.fullmatch(self.device) else _USB_SPEEDS


def serial_ports(dev: Path = Path("/dev"), command_line: Path = Path("/proc/cmdline")) -> list[SerialPortFound]:
    """What there is below `dev`; nothing is opened."""
    names = {link.resolve().name: link for link in sorted((dev / "serial/by-id").glob("*"))}
    console = console_ports(dev, command_line)
    return [_found(dev / device, names.get(device), console) for device in _devices(dev)]


def console_ports(dev: Path = Path("/dev"), command_line: Path = Path("/proc/cmdline")) -> frozenset[str]:
    """The serial ports that the kernel's console talks on: no meter can be read there."""
    try:
        words = command_line.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        return frozenset()
    said = [word.removeprefix("console=").split(",")[0] for word in words if word.startswith("console=")]
    return frozenset((dev / name).resolve().name for name in said)


def port_named(path: str) -> SerialPortFound:
    """A port that a person names, which may be an adapter on the network, `socket://host:port`."""
    return SerialPortFound(path, Path(path).resolve().name, "meter", "named")


def _devices(dev: Path) -> Iterator[str]:
    primary = (dev / "serial0").resolve().name
    for entry in sorted(dev.glob("tty*")):
        # A computer lists thirty ttyS that lead nowhere; a Pi's is real where serial0 leads to it.
        if _USB.fullmatch(entry.name) or entry.name.startswith("ttyAMA") or (_UART.fullmatch(entry.name) and entry.name == primary):
            yield entry.name


def _found(place: Path, by_id: Path | None, console: frozenset[str]) -> SerialPortFound:
    path, device = str(place), place.name
    if device in console:
        return SerialPortFound(path, device, "other", "the serial console: switch it off (docs/hardware.md) to use this port for a meter")
    if device in _DEBUG_UARTS:
        return SerialPortFound(path, device, "other", "the Pi's debug port, not the pins that a meter board sits on")
    if _UART.fullmatch(device):
        return SerialPortFound(path, device, "meter", "the Pi's own UART, where a meter board sits")
    if by_id is None:
        return SerialPortFound(path, device, "unknown", "a USB port without a name")
    if _OTHERS.search(by_id.name):
        return SerialPortFound(str(by_id), device, "other", "by its name no meter")
    if _METERS.search(by_id.name):
        return SerialPortFound(str(by_id), device, "meter", "by its name a meter")
    return SerialPortFound(str(by_id), device, "unknown", "a USB adapter, which may be anything")
