"""Where the lines of a home's processes go."""

import os
from pathlib import Path

from services.supervisor.command import line_writer
from services.supervisor.log_file import LogFile


def test_the_log_keeps_the_newest_lines_in_bounds(tmp_path: Path) -> None:
    """Two pieces, none longer than it may be by more than a line; the newest line is there, and a later start goes on after it."""
    path = tmp_path / "var" / "hems.log"
    log = LogFile(path, most_bytes=1_000)
    for number in range(500):
        log.write(f"line {number}")
    log.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["hems.log", "hems.log.1"]
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in path.parent.iterdir())
    assert all(file.stat().st_size <= 1_010 for file in path.parent.iterdir())
    log.write("line 500")
    log.close()
    kept = (path.with_name("hems.log.1").read_text() + path.read_text()).split("\n")
    assert kept[-4:] == ["line 498", "line 499", "line 500", ""]
    assert kept[0] == f"line {502 - len(kept)}"


def test_a_log_that_can_not_be_written_ends_nothing(tmp_path: Path) -> None:
    """Its folder is a file, or the disk is full: the line is lost."""
    (tmp_path / "var").write_text("")
    LogFile(tmp_path / "var" / "hems.log").write("lost")
    full = LogFile(Path("/dev/full"))
    full.write("lost")
    full.write("lost too")
    full.close()


def test_a_reader_that_has_gone_ends_nothing() -> None:
    """`hems up | head`, or a terminal that was closed: the services go on."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as file:
        say = line_writer(file, colour=False)
        os.close(reading)
        for _ in range(3):
            say("sensor", "a line")
    with Path("/dev/full").open("w") as file:
        say = line_writer(file, colour=False)
        say("sensor", "a line")
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
