"""`python -m services.replay` as a process, and its ptys as a reader sees them."""

import os
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from services.replay.domain.recording import Recording
from services.replay.parquet_file import write_recording
from services.replay.ports import NetworkPort, PseudoTerminal, SerialOutput
from services.sensor.recorder import entry, header

PATIENCE_S = 15.0


@contextmanager
def replaying(recording: Path, directory: Path) -> Generator["subprocess.Popen[bytes]"]:
    """A replay whose ports are there; it has to end with status 0 when it is asked to."""
    environment = {
        **os.environ,
        "HEMS_CLOCK__EPOCH": "1970-01-01T00:00:00Z",
        "HEMS_CLOCK__ANCHOR_S": str(time.monotonic()),
        "HEMS_CLOCK__RATE": "50",
    }
    links = ["--meter-link", directory / "meter", "--voltage-link", directory / "voltage"]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "services.replay", recording, *links], env=environment, stderr=log)
    try:
        give_up_at = time.monotonic() + PATIENCE_S
        while not (directory / "meter").exists():
            assert process.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < give_up_at
            time.sleep(0.01)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0, (directory / "log").read_text()


def read_lines(path: Path, count: int) -> list[bytes]:
    """The next whole lines of a port."""
    port = os.open(path, os.O_RDONLY | os.O_NOCTTY)
    try:
        data = b""
        while data.count(b"\n") < count:
            assert select.select([port], [], [], PATIENCE_S)[0], data
            data += os.read(port, 1_024)
        return data.splitlines(keepends=True)[:count]
    finally:
        os.close(port)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Ten readings, a second apart, of 0 to 9 kW."""
    path = tmp_path / "home.parquet"
    write_recording(path, Recording(np.arange(10) * 1_000_000, np.arange(10, dtype=np.float32) * 1_000))
    return path


def test_a_reader_may_come_and_go(home: Path, tmp_path: Path) -> None:
    """The pty outlives its reader, as a serial port does, and the recording repeats."""
    with replaying(home, tmp_path):
        for _ in range(3):
            for line in read_lines(tmp_path / "meter", 3):
                node, power, *rest = line.split()
                assert (node, rest, line[-2:]) == (b"11", [b"0.0", b"-0.0", b"21.5"], b"\r\n")
                assert 0 <= float(power) <= 10_000
        assert read_lines(tmp_path / "voltage", 1)[0].startswith(b"Vrms: 2")
    assert not (tmp_path / "meter").is_symlink()


def test_a_recorded_port_is_played_raw(tmp_path: Path) -> None:
    """Every byte as it was, noise included."""
    recording = tmp_path / "port.jsonl"
    recording.write_text(header("/dev/x", 38_400, datetime.now(UTC)) + entry(0.1, b"\x00\xff\r\x03\n"))
    with replaying(recording, tmp_path):
        assert b"\x00\xff\r\x03\n" in b"".join(read_lines(tmp_path / "meter", 3))


def test_what_nobody_reads_is_dropped_the_oldest_first(tmp_path: Path) -> None:
    """The player never waits for a reader, and a late one gets what is new."""
    with PseudoTerminal(tmp_path / "meter") as port:
        for number in range(20_000):
            port.write(b"line %d\r\n" % number)
        lines = read_lines(tmp_path / "meter", 1)
        assert int(lines[0].split()[-1]) > 19_000


def test_a_name_that_is_taken_by_a_file_is_left_alone(tmp_path: Path) -> None:
    """Nothing of anybody's is overwritten."""
    (tmp_path / "meter").write_text("mine")
    with pytest.raises(FileExistsError, match="choose another name"), PseudoTerminal(tmp_path / "meter"):
        pass
    assert (tmp_path / "meter").read_text() == "mine"


def test_a_pty_passes_every_byte(tmp_path: Path) -> None:
    """Its line discipline changes nothing on the way."""
    with PseudoTerminal(tmp_path / "meter") as port:
        reader = os.open(tmp_path / "meter", os.O_RDONLY | os.O_NOCTTY)
        termios.tcflush(reader, termios.TCIFLUSH)
        port.write(bytes(range(256)))
        data = b""
        while len(data) < 256 and select.select([reader], [], [], PATIENCE_S)[0]:
            data += os.read(reader, 256)
        os.close(reader)
        assert data == bytes(range(256))


def test_a_real_port_is_printed_on_as_it_is() -> None:
    """Through a null modem: raw, at the meter's speed; what does not fit is dropped, and the player goes on."""
    other_end, port = os.openpty()
    try:
        with SerialOutput(Path(os.ttyname(port)), 38_400) as output:
            output.write(bytes(range(256)))
            assert os.read(other_end, 1_024) == bytes(range(256))
            assert termios.tcgetattr(port)[5] == termios.B38400
            for _ in range(10_000):
                output.write(b"11 1000.0 0.0 -0.0 21.5\r\n")
    finally:
        os.close(other_end)
        os.close(port)


def test_on_the_network_each_reader_gets_what_is_printed_while_it_listens() -> None:
    """As from an adapter: readers come and go, one that goes holds up no other, and one that does not read misses lines."""
    with (
        NetworkPort("127.0.0.1", 0) as port,
        socket.create_connection(("127.0.0.1", port.port)) as gone,
        socket.create_connection(("127.0.0.1", port.port)) as idle,
    ):
        port.write(b"1\r\n")
        assert gone.recv(10) == b"1\r\n"
        gone.close()
        for _ in range(2_000):
            port.write(b"." * 10_000)
        with socket.create_connection(("127.0.0.1", port.port)) as late:
            port.write(b"2\r\n")
            assert late.recv(10) == b"2\r\n"
        assert idle.recv(3) == b"1\r\n"
