"""Children: their lines, their restarts, their end."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from services.supervisor import processes
from services.supervisor.processes import keep_running, run_once


async def test_lines_are_passed_on_with_the_name() -> None:
    """What a child prints on either stream arrives line by line."""
    said: list[tuple[str, str]] = []
    program = "import sys; print('out'); sys.stdout.flush(); print('err', file=sys.stderr)"
    status = await run_once("child", [sys.executable, "-c", program], os.environ, lambda name, line: said.append((name, line)))
    assert status == 0
    assert said == [("child", "out"), ("child", "err")]


async def test_a_line_without_end_does_not_block() -> None:
    """More than 64 KiB with no newline are left out, and the rest is read."""
    said: list[str] = []
    program = "import sys; sys.stdout.write('x' * 300_000 + '\\nafter\\n')"
    await run_once("child", [sys.executable, "-c", program], os.environ, lambda _, line: said.append(line))
    assert said[-1] == "after"
    assert all(len(line) < 70_000 for line in said)


async def test_what_dies_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that ends comes back."""
    monkeypatch.setattr("services.supervisor.domain._FIRST_DELAY_S", 0.01)
    monkeypatch.setattr("services.supervisor.domain._LONGEST_DELAY_S", 0.01)
    marks = tmp_path / "marks"
    program = f"open({str(marks)!r}, 'a').write('x')"
    running = asyncio.create_task(keep_running("child", [sys.executable, "-c", program], os.environ, _hear_nothing))
    await asyncio.to_thread(_until_written, marks, 3)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_can_not_be_started_now_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A computer that has no memory for one more process may have some later."""
    monkeypatch.setattr("services.supervisor.domain._FIRST_DELAY_S", 0.01)
    start, failures = asyncio.create_subprocess_exec, iter([OSError(12, "Cannot allocate memory"), OSError(24, "Too many open files")])

    async def sometimes(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        if failure := next(failures, None):
            raise failure
        return await start(*arguments, **options)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", sometimes)
    said: list[str] = []
    here = asyncio.Event()

    def say(_: str, line: str) -> None:
        said.append(line)
        if line == "here":
            here.set()

    program = "import time; print('here', flush=True); time.sleep(60)"
    running = asyncio.create_task(keep_running("child", [sys.executable, "-c", program], os.environ, say))
    await here.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert "child can't be started: [Errno 12] Cannot allocate memory" in said


async def test_a_child_that_ignores_sigterm_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping takes no longer than the grace."""
    monkeypatch.setattr(processes, "_GRACE_S", 0.2)
    ready = asyncio.Event()
    pids: list[int] = []

    def say(_: str, line: str) -> None:
        pids.append(int(line))
        ready.set()

    program = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(60)"
    running = asyncio.create_task(run_once("child", [sys.executable, "-c", program], os.environ, say))
    await ready.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not _runs(pids[0])


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    """A supervisor ended by SIGKILL leaves no child behind."""
    marks = tmp_path / "pid"
    child = f"import os, time; open({str(marks)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    parent = (
        "import asyncio, os, sys\n"
        "from services.supervisor.processes import run_once\n"
        f"asyncio.run(run_once('child', [sys.executable, '-c', {child!r}], os.environ, lambda *_: None))"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", parent])
    _until_written(marks, 1)
    supervisor.kill()
    supervisor.wait()
    give_up_at = time.monotonic() + 5
    while _runs(int(marks.read_text())) and time.monotonic() < give_up_at:
        time.sleep(0.02)
    assert not _runs(int(marks.read_text()))


def _hear_nothing(name: str, line: str) -> None:
    """Nobody listens."""


def _until_written(path: Path, length: int) -> None:
    while not path.exists() or len(path.read_text()) < length:
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
