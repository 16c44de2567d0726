"""`hems record` on a real pty."""

import os
import threading
import time
from pathlib import Path

from click.testing import CliRunner

from services.replay.domain.raw import read_chunks
from services.replay.ports import PseudoTerminal
from services.sensor.command import record

NOISE = b"\x00\xff\x1b\r\n11 1 0 0 21\r\n"


def test_every_byte_is_written_with_its_time(tmp_path: Path) -> None:
    """And the replay can read it."""
    target = tmp_path / "port.jsonl"
    stop = threading.Event()
    with PseudoTerminal(tmp_path / "meter") as port:

        def chatter() -> None:
            while not stop.is_set():
                port.write(NOISE)
                time.sleep(0.02)

        talking = threading.Thread(target=chatter)
        talking.start()
        outcome = CliRunner().invoke(record, [str(target), "--port", str(tmp_path / "meter"), "--for", "0.6"])
        stop.set()
        talking.join()
    assert outcome.exit_code == 0, outcome.output
    chunks = read_chunks(target.read_text())
    assert NOISE + NOISE in b"".join(chunk.data for chunk in chunks)
    times = [chunk.after_s for chunk in chunks]
    assert times == sorted(times)
    assert times[0] >= 0


def test_a_port_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With what to check."""
    outcome = CliRunner().invoke(record, [os.fspath(tmp_path / "port.jsonl"), "--port", "/dev/no-such-port"])
    assert outcome.exit_code == 1
    assert "check --port" in outcome.output
