"""Processes of ours: their output a line at a time, their end with ours."""

import asyncio
import contextlib
import ctypes
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Mapping, Sequence

from services.supervisor.domain import RestartPolicy, why

Say = Callable[[str, str], None]
"""A name and a line."""

_GRACE_S = 3.0
_LONGEST_LINE_BYTES = 65_536
_PR_SET_PDEATHSIG = 1


async def keep_running(name: str, command: Sequence[str], environment: Mapping[str, str], say: Say) -> None:
    """Start a process, and again whenever it ends; stops it when cancelled."""
    policy = RestartPolicy()
    while True:
        began_s = time.monotonic()
        status = await _run_if_possible(name, command, environment, say)
        delay_s = policy.delay_s(status, time.monotonic() - began_s)
        say(name, f"{name} {why(status)}; it starts again in {delay_s:g} s")
        await asyncio.sleep(delay_s)


async def _run_if_possible(name: str, command: Sequence[str], environment: Mapping[str, str], say: Say) -> int:
    try:
        return await run_once(name, command, environment, say)
    except OSError as error:  # no memory for one more process, or too many files open: that may pass
        say(name, f"{name} can't be started: {error}")
        return 1


async def run_once(name: str, command: Sequence[str], environment: Mapping[str, str], say: Say) -> int:
    """Run a process to its end; its exit status. Stops it when cancelled."""
    # A group of its own: Ctrl-C at the terminal reaches us alone, and we stop the others in order.
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        env=dict(environment),
        start_new_session=True,
        preexec_fn=end_with_parent,
        limit=_LONGEST_LINE_BYTES,
    )
    try:
        await _say_lines(name, process, say)
        return await process.wait()
    finally:
        await _stop(process)


async def run_attached(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a process on our own terminal, to its end; stops it when cancelled."""
    process = await asyncio.create_subprocess_exec(*command, env=dict(environment), preexec_fn=end_with_parent)
    try:
        return await process.wait()
    finally:
        await _stop(process)


def end_with_parent() -> None:
    """In a child, between fork and exec: let the kernel send SIGTERM if the parent is killed, so that nothing is left running."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours."""
    return [sys.executable, "-m", module, *arguments]


async def _say_lines(name: str, process: Process, say: Say) -> None:
    assert process.stdout is not None  # noqa: S101  it was asked for
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:
            say(name, "(a line of more than 64 KiB was left out)")
            continue
        if not line:
            return
        say(name, line.decode(errors="replace").rstrip())


async def _stop(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    # wait_for, since asyncio.timeout of Python 3.11.2 (Debian 12) says no TimeoutError in a task that is being cancelled.
    try:
        await asyncio.wait_for(process.wait(), _GRACE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
