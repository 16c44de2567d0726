"""Meters on ptys, each with a format and a speed of its own: whoever reads at another speed reads noise."""

import contextlib
import os
import random
import struct
import termios
import threading
import tty
from collections.abc import Callable, Generator
from pathlib import Path

RESET_BLOCK = bytes.fromhex("432d7c19a0") + struct.pack("<BBHfff", 3, 11, 5000, 30.0, 0.0, 240.0)

_SPEEDS = {
    termios.B9600: 9_600, termios.B19200: 19_200, termios.B38400: 38_400, termios.B57600: 57_600, termios.B115200: 115_200,
    termios.B230400: 230_400,
}  # fmt: skip

Line = Callable[[int, random.Random], bytes]
"""The next line, by its number."""


class FakeMeter:
    """Prints while it is plugged in (a context).

    `line` may be put anew at any time; `noise` is the share of lines that are broken; `begins_with` is the block that an RPICT
    says at its start, which comes again and again here.
    """

    def __init__(self, link: Path, baud: int, line: Line, *, every_s: float = 0.02, noise: float = 0.0, begins_with: bytes = b"") -> None:
        self.link = link
        self.baud = baud
        self.line: Line = line
        self.noise = noise
        self._every_s = every_s
        self._begins_with = begins_with
        self._random = random.Random(7)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._print, daemon=True)

    def __enter__(self) -> "FakeMeter":
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.link.parent.mkdir(parents=True, exist_ok=True)
        self.link.symlink_to(os.ttyname(self._theirs))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.link.unlink()
        os.close(self._theirs)
        os.close(self._ours)

    def _print(self) -> None:
        number = 0
        while not self._stop.wait(self._every_s):
            number += 1
            line = self.line(number, self._random)
            if int(number * self.noise) > int((number - 1) * self.noise):  # evenly, so that a few lines show it
                line = self._broken(line)
            block = self._begins_with if number % 4 == 3 else b""
            self._write((block + line + b"\r\n") if self._is_read_at_its_speed() else self._scrambled(line))

    def _is_read_at_its_speed(self) -> bool:
        return _SPEEDS.get(termios.tcgetattr(self._theirs)[4]) == self.baud

    def _scrambled(self, line: bytes) -> bytes:
        return bytes(self._random.randrange(128, 256) for _ in line)

    def _broken(self, line: bytes) -> bytes:
        place = self._random.randrange(max(len(line), 1))
        return line[:place] + b"\x8f\xfe" + line[place + 1 :]

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # nobody reads
            os.write(self._ours, data)


def _about(value: float, noise: random.Random, share: float = 0.004) -> float:
    return value * (1 + noise.gauss(0, share))


def always(line: bytes) -> Line:
    """The same line again and again."""
    return lambda _number, _noise: line


def rpict3t1(power_va: float = 800.0) -> Line:
    """Apparent powers, no voltage."""
    return lambda _, noise: f"11 {_about(power_va, noise):.1f} 0.0 -0.0 21.5".encode()


def rpict3v1(power_w: float = 800.0, voltage_v: float = 231.0) -> Line:
    """Real powers, currents, the voltage last."""
    return lambda _, noise: f"11 {_about(power_w, noise):.1f} 12.0 0.0 3.5 0.1 0.0 {voltage_v:.2f}".encode()


def rpict3v1_older(power_w: float = 800.0, voltage_v: float = 231.0) -> Line:
    """Five columns an input."""

    def line(_: int, noise: random.Random) -> bytes:
        inputs = " ".join(
            f"{_about(power, noise):.1f} {power * 1.1:.1f} {power / 210:.2f} {voltage_v:.1f} 0.91" for power in (power_w, 90, 0)
        )
        return f"11 {inputs}".encode()

    return line


def rpict7v1(power_w: float = 800.0, voltage_v: float = 231.0) -> Line:
    """Seven inputs."""
    return lambda _, noise: (f"11 {_about(power_w, noise):.1f} 5 6 7 8 9 10 3500 20 30 40 50 60 70 {voltage_v:.2f}").encode()


def open_energy_monitor(power_w: float = 800.0, voltage_v: float = 231.0) -> Line:
    """Pairs, as an emonPi prints them."""
    return lambda number, noise: f"MSG:{number},Vrms:{voltage_v:.2f},P1:{_about(power_w, noise):.0f},E1:16346,pulse:15".encode()


def open_energy_monitor_json(power_w: float = 800.0, voltage_v: float = 231.0) -> Line:
    """The same as JSON."""
    return lambda number, noise: f'{{"MSG":{number},"Vrms":{voltage_v},"P1":{_about(power_w, noise):.0f}}}'.encode()


def zmpt101b(voltage_v: float = 231.0, form: str = "Vrms: {:.1f}") -> Line:
    """A voltage alone, in a form of choice."""
    return lambda _, noise: form.format(_about(voltage_v, noise, 0.001)).encode()


@contextlib.contextmanager
def silent_port(link: Path) -> Generator[Path]:
    """A port on which nothing ever comes."""
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.ttyname(theirs))
    try:
        yield link
    finally:
        link.unlink()
        os.close(theirs)
        os.close(ours)
