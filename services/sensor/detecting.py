"""Listens to a port at one speed after the other, until what it prints is known."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from services.sensor.domain.lines import RESET_BLOCK_BYTES, LineSplitter, ResetBlock
from services.sensor.domain.recognition import Heard, Recognised, recognise
from services.sensor.serial_port import SerialPort

LISTEN_S = 20.0
"""An RPICT prints each 5 s as it is sold, and the first line is lost: so long, two whole lines have come."""
_ENOUGH_LINES = 6
_NOISE_BYTES = 48
_TEXT = frozenset(b"\t\r\n" + bytes(range(32, 127)))
_TEXT_SHARE = 0.7
"""Of the bytes of noise at a wrong speed about a third are printable, of a noisy line at the right one most."""
_LONGEST_SHOWN = 100


class Show(Protocol):
    """Told each line as it comes."""

    def __call__(self, baud: int, line: bytes) -> None:
        """A line at a speed."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What listening to a port came to.

    Attributes:
        heard: at the speed that fits, or at the last one tried.
        baud: that speed.
        recognised: what it seems to be, if anything.
        silent: nothing came at all, whatever the speed.
    """

    heard: Heard
    baud: int
    recognised: Recognised | None
    silent: bool = False


async def detect_port(path: str, speeds: Sequence[int], nominal_voltage_v: float, show: Show, listen_s: float = LISTEN_S) -> Outcome:
    """Try the speeds in turn.

    Raises:
        OSError: the port can't be opened, or is gone.
    """

    def is_known(heard: Heard) -> bool:
        return len(heard.lines) >= _ENOUGH_LINES and recognise(heard, nominal_voltage_v) is not None

    outcome = Outcome(Heard(), speeds[0], None, silent=True)
    for baud in speeds:
        heard = await listen(path, baud, listen_s, lambda line, baud=baud: show(baud, line), is_known, leave_noise=len(speeds) > 1)
        outcome = Outcome(heard, baud, recognise(heard, nominal_voltage_v), silent=not heard.byte_count)
        if outcome.recognised or outcome.silent:
            return outcome
    return outcome


async def listen(
    path: str,
    baud: int,
    seconds: float,
    show: Callable[[bytes], None],
    is_enough: Callable[[Heard], bool],
    *,
    leave_noise: bool = False,
) -> Heard:
    """What a port says within so many seconds, or until that is enough; `leave_noise` gives a wrong speed up early.

    Raises:
        OSError: the port can't be opened, or is gone.
    """
    splitter, heard, printable = LineSplitter(), Heard(), 0
    give_up_at_s = time.monotonic() + seconds
    async with SerialPort(path, baud).opened() as incoming:
        while (left_s := give_up_at_s - time.monotonic()) > 0 and not is_enough(heard):
            data = await _within(incoming, left_s)
            pieces = splitter.feed(data)
            heard = _with(heard, len(data), pieces)
            for line in pieces:
                if isinstance(line, bytes):
                    show(line)
            printable += sum(byte in _TEXT for byte in data)
            expected = heard.byte_count - len(heard.resets) * RESET_BLOCK_BYTES
            if leave_noise and expected >= _NOISE_BYTES and printable < _TEXT_SHARE * expected:
                break
    return heard


async def _within(incoming: Any, seconds: float) -> bytes:
    # wait_for, since asyncio.timeout of Python 3.11.2 (Debian 12) may lose its TimeoutError in clean-up code.
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(incoming.read(), seconds)
    return b""


def _with(heard: Heard, byte_count: int, pieces: Sequence[bytes | ResetBlock]) -> Heard:
    lines = tuple(piece for piece in pieces if isinstance(piece, bytes))
    resets = tuple(piece for piece in pieces if isinstance(piece, ResetBlock))
    return Heard((*heard.lines, *lines), (*heard.resets, *resets), heard.byte_count + byte_count)


def shown(line: bytes) -> str:
    """A line as people read it; what is no text is shown as its bytes' numbers."""
    text = line.decode("ascii", errors="backslashreplace")
    return text.encode("unicode_escape").decode("ascii").replace("\\\\x", "\\x")[:_LONGEST_SHOWN]
