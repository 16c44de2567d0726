"""Whether a Raspberry Pi's UART is free for a meter board."""

import re
from collections.abc import Iterator
from pathlib import Path

from hems.setting_up.findings import Finding, look, well
from services.sensor.serial_ports import console_ports

_CONFIG = ("boot/firmware/config.txt", "boot/config.txt")
_UART_ON = re.compile(r"^\s*(enable_uart=1|dtparam=uart0(=on)?)\s*(#.*)?$", re.MULTILINE)
_BLUETOOTH_AWAY = re.compile(r"^\s*dtoverlay=(disable-bt|miniuart-bt)\b", re.MULTILINE)
_BLUETOOTH_ON_UART = re.compile(r"Raspberry Pi (3|4|400|Zero 2?\s?W|Compute Module (3|4))")
_SHOWN = "see docs/hardware.md"


def uart_findings(port: str, root: Path = Path("/")) -> Iterator[Finding]:
    """What stands in a meter's way on the Pi's UART; nothing where this is no Pi, or the meter is elsewhere."""
    model = _text(root / "proc/device-tree/model")
    if "Raspberry Pi" not in model or not re.fullmatch(r"/dev/(ttyAMA\d+|ttyS0|serial0)", port):
        return
    problems = [*_problems(port, model, root)]
    yield from problems or [well("UART", f"{port} is free for a meter")]


def _problems(port: str, model: str, root: Path) -> Iterator[Finding]:
    config = next((text for name in _CONFIG if (text := _text(root / name))), "")
    device = root / port.lstrip("/")
    if device.resolve().name in console_ports(root / "dev", root / "proc/cmdline"):
        step = f"take `console=serial0,115200` out of cmdline.txt (`raspi-config`, serial port: no login shell), and restart; {_SHOWN}"
        yield look("UART", f"the system's console talks on {port}", step)
    if "Raspberry Pi 5" in model and port == "/dev/ttyAMA10":
        yield look("UART", "/dev/ttyAMA10 is the Pi 5's debug port, not the pins", "set sensor.meter.port to /dev/ttyAMA0")
    if config and not _UART_ON.search(config):
        line = "dtparam=uart0=on" if "Raspberry Pi 5" in model else "enable_uart=1"
        yield look("UART", "the UART is switched off in config.txt", f"add `{line}`, and restart; {_SHOWN}")
    if config and port == "/dev/ttyAMA0" and _BLUETOOTH_ON_UART.search(model) and not _BLUETOOTH_AWAY.search(config):
        yield look("UART", "Bluetooth has the good UART", f"add `dtoverlay=disable-bt` to config.txt, and restart; {_SHOWN}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
