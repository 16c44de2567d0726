"""Lines out of bytes."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from services.sensor.domain.lines import LONGEST_LINE_BYTES, LineSplitter, ResetBlock

GOOD = b"11 123.4 0.0 -0.0 21.5"


def reset_block(vest_v: float = 230.0, node_id: int = 11) -> bytes:
    """What the board sends when it starts: 21 bytes."""
    return bytes.fromhex("432d7c19a0") + struct.pack("<BBHfff", 3, node_id, 5000, 30.0, 0.0, vest_v)


def started(splitter: LineSplitter | None = None) -> LineSplitter:
    """A splitter past its first line."""
    splitter = splitter or LineSplitter()
    splitter.feed(b"\n")
    return splitter


def test_the_first_line_is_dropped() -> None:
    """A port is opened in the middle of a line, and half a line may look like a whole one."""
    splitter = LineSplitter()
    assert splitter.feed(b"3.4 0.0 -0.0 21.5\r\n" + GOOD + b"\r\n") == [GOOD]
    assert splitter.noise_bytes == len(b"3.4 0.0 -0.0 21.5\r\n")


def test_a_line_comes_with_its_last_byte() -> None:
    """Nothing is held back once the line's end has come."""
    splitter = started()
    assert splitter.feed(GOOD) == []
    assert splitter.feed(b"\r") == []
    assert splitter.feed(b"\n") == [GOOD]


def test_empty_lines_say_nothing() -> None:
    """Blank lines are neither lines nor noise."""
    splitter = started()
    noise_bytes = splitter.noise_bytes
    assert splitter.feed(b"\r\n\n \t\r\n" + GOOD + b"\n") == [GOOD]
    assert splitter.noise_bytes == noise_bytes


def test_a_reset_block_is_taken_out_and_read() -> None:
    """The line that the reset cut off is dropped; the one after the block is whole."""
    splitter = started()
    found = splitter.feed(GOOD + b"\r\n11 12" + reset_block(vest_v=240.0) + GOOD + b"\r\n")
    assert found == [GOOD, ResetBlock(0xA0, 11, 5000, 240.0), GOOD]


def test_a_reset_block_may_hold_a_line_end() -> None:
    """A byte 0x0A in the block is a number, not an end of line."""
    block = reset_block(node_id=0x0A)
    splitter = started()
    found = [piece for byte in block + GOOD + b"\r\n" for piece in splitter.feed(bytes([byte]))]
    assert found == [ResetBlock(0xA0, 0x0A, 5000, 230.0), GOOD]


def test_a_reset_block_that_was_cut_off_does_not_make_a_reading_of_half_a_line() -> None:
    """A second reset in the middle of the block: the text that follows is dropped up to the next line."""
    splitter = started()
    found = splitter.feed(reset_block()[:9] + GOOD + b"\r\n" + GOOD + b"\r\n")
    assert found == [GOOD]


def test_noise_without_an_end_of_line_is_thrown_away() -> None:
    """A baud rate that doesn't match must not fill the memory."""
    splitter = started()
    for _ in range(1_000):
        splitter.feed(b"\xff\x00x" * 500)
        assert splitter.held_bytes <= LONGEST_LINE_BYTES
    assert splitter.feed(b"end of the noise\n" + GOOD + b"\n") == [GOOD]


def test_an_overlong_line_is_dropped_whole() -> None:
    """Its last part would be taken for a line of its own."""
    splitter = started()
    assert splitter.feed(b"1 " * LONGEST_LINE_BYTES + GOOD + b"\n" + GOOD + b"\n") == [GOOD]


@given(st.lists(st.binary(max_size=80) | st.sampled_from([b"\n", b"\r\n", GOOD + b"\r\n", reset_block(), reset_block()[:4]]), max_size=40))
def test_how_the_bytes_are_cut_makes_no_difference(pieces: list[bytes]) -> None:
    """The same bytes give the same lines, whether they come one by one or at once; and none is lost uncounted."""
    data = b"".join(pieces)
    at_once, one_by_one = LineSplitter(), LineSplitter()
    whole = at_once.feed(data)
    single = [piece for byte in data for piece in one_by_one.feed(bytes([byte]))]
    assert whole == single
    assert at_once.noise_bytes == one_by_one.noise_bytes <= len(data)
    assert at_once.held_bytes <= LONGEST_LINE_BYTES
