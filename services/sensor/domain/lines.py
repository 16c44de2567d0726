"""Lines out of a serial port's bytes, in bounded memory, with the RPICT's binary reset blocks taken out."""

import math
import struct
from dataclasses import dataclass

LONGEST_LINE_BYTES = 1_024

_MAGIC = bytes.fromhex("432d7c19")
_BLOCK = struct.Struct("<4sBBBHfff")  # 21 bytes: magic, type, format, node, polling, ical, vcal, vest
RESET_BLOCK_BYTES = _BLOCK.size


@dataclass(frozen=True)
class ResetBlock:
    """What an RPICT says of itself when it starts: `vest_v` is the voltage that its powers assume."""

    board_type: int
    node_id: int
    polling_ms: int
    vest_v: float


class LineSplitter:
    """Feed it bytes as they come; it gives whole lines and reset blocks, and counts what it throws away.

    The first line is dropped, since a port is opened in the middle of one. Text that a reset cut off is dropped, and so
    is a line longer than `longest_bytes`.
    """

    def __init__(self, longest_bytes: int = LONGEST_LINE_BYTES) -> None:
        self._longest_bytes = longest_bytes
        self._buffer = bytearray()
        self._skipping = True
        self.noise_bytes = 0

    @property
    def held_bytes(self) -> int:
        """What waits for the rest of its line."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes | ResetBlock]:
        """The lines (without their end, never empty) and blocks that these bytes complete."""
        found: list[bytes | ResetBlock] = []
        self._buffer += data
        while (piece := self._next()) is not None:
            if piece:
                found.append(piece)
        self._bound()
        return found

    def _next(self) -> bytes | ResetBlock | None:
        end = self._buffer.find(b"\n")
        start = self._buffer.find(_MAGIC, 0, end if end >= 0 else len(self._buffer))
        if start >= 0:
            return self._block(start)
        return self._line(end) if end >= 0 else None

    def _line(self, end: int) -> bytes:
        line = bytes(self._buffer[:end]).strip(b"\r \t")
        dropped = self._skipping or end > self._longest_bytes
        self.noise_bytes += end + 1 if dropped else 0
        self._skipping = False
        del self._buffer[: end + 1]
        return b"" if dropped else line

    def _block(self, start: int) -> bytes | ResetBlock | None:
        if len(self._buffer) < start + _BLOCK.size:
            return None
        block = _read_block(bytes(self._buffer[start : start + _BLOCK.size]))
        # A block that was itself cut off has swallowed the start of a line: the rest of that line must not pass for one.
        self._skipping = block is None
        used = _BLOCK.size if block else len(_MAGIC)
        self.noise_bytes += start + (0 if block else used)
        del self._buffer[: start + used]
        return block or b""

    def _bound(self) -> None:
        if len(self._buffer) > self._longest_bytes:
            kept = len(_MAGIC) - 1  # a block may begin here
            self.noise_bytes += len(self._buffer) - kept
            del self._buffer[:-kept]
            self._skipping = True


def _read_block(raw: bytes) -> ResetBlock | None:
    _, board_type, _, node_id, polling_ms, _, _, vest_v = _BLOCK.unpack(raw)
    # The bytes of text, read as a float, never come near a mains voltage.
    return ResetBlock(board_type, node_id, polling_ms, vest_v) if math.isfinite(vest_v) and 50 <= vest_v <= 500 else None
