"""`hems record` on a real pty."""

import os
import termios
import threading
import time
from pathlib import Path

import pytest
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
    """With what to check; the recording of yesterday is not emptied for it."""
    target = tmp_path / "port.jsonl"
    target.write_text("yesterday")
    outcome = CliRunner().invoke(record, [os.fspath(target), "--port", "/dev/no-such-port"])
    assert outcome.exit_code == 1
    assert "check --port" in outcome.output
    assert target.read_text() == "yesterday"


def test_a_file_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    """It is not the port's fault."""
    with PseudoTerminal(tmp_path / "meter"):
        outcome = CliRunner().invoke(record, [os.fspath(tmp_path / "no/port.jsonl"), "--port", str(tmp_path / "meter")])
    assert outcome.exit_code == 1
    assert "port.jsonl can't be written (No such file or directory)" in outcome.output


@pytest.mark.parametrize("error", [ValueError("Failed to set custom baud rate"), termios.error(5, "Input/output error")])
def test_a_port_that_refuses_its_speed_is_a_port_that_fails(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter without that speed, or one that is pulled out while it is opened: the sensor tries again, and a command says so."""

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("serial.Serial", refuse)
    outcome = CliRunner().invoke(record, [os.fspath(tmp_path / "port.jsonl"), "--port", "/dev/ttyUSB9"])
    assert outcome.exit_code == 1
    assert "it can't be set to 38400 baud" in outcome.output
