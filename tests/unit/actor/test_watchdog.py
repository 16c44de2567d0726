"""A process that hangs is ended, with a word on where it hangs; one that works, waits or was frozen is not."""

import asyncio
import subprocess
import sys
import threading
from typing import Any

from hems.actor.watchdog import EXIT_HANGS, Watchdog
from tests.support.waiting import until

PATIENCE_S = 0.5


class Log:
    """Keeps what it is told; `stuck`, it never comes back from being told."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.said: list[dict[str, Any]] = []
        self._stuck = stuck

    def error(self, event: str, **details: Any) -> None:
        """Keep it."""
        self.said.append({"event": event, **details})
        if self._stuck:
            threading.Event().wait(60)


def watching(log: Any, ended: threading.Event) -> "asyncio.Task[None]":
    """A watchdog that tells its end rather than ending the tests."""
    return asyncio.create_task(Watchdog(log, PATIENCE_S, lambda _status: ended.set()).be_alive())


async def test_a_loop_that_hangs_is_ended_and_the_log_says_where() -> None:
    """The line names the code that does not come back."""
    log, ended = Log(), threading.Event()
    task = watching(log, ended)
    await asyncio.sleep(0)
    hanging_for_ever(ended)
    task.cancel()
    (line,) = log.said
    assert line["event"].startswith("the service hangs")
    assert "hanging_for_ever" in line["hangs_at"]


def hanging_for_ever(ended: threading.Event) -> None:
    """Block the loop until the watchdog acts."""
    assert ended.wait(30)


async def test_a_log_that_blocks_does_not_keep_it_alive() -> None:
    """Nobody reads the pipe any more, and the process ends all the same."""
    ended = threading.Event()
    task = watching(Log(stuck=True), ended)
    await asyncio.sleep(0)
    hanging_for_ever(ended)
    task.cancel()


async def test_a_loop_that_comes_round_or_has_ended_is_left_alone() -> None:
    """Neither a busy loop nor one that has stopped in order is ended."""
    log, ended = Log(), threading.Event()
    task = watching(log, ended)
    for _ in range(round(2 * PATIENCE_S / 0.01)):
        await asyncio.sleep(0.01)
    task.cancel()
    await until(lambda: not [thread for thread in threading.enumerate() if thread.name == "watchdog"])
    assert not ended.is_set()
    assert not log.said


def test_a_real_service_that_hangs_exits_with_a_status_of_its_own() -> None:
    """Its supervisor sees the end, and its log the reason."""
    program = (
        "import asyncio, time\n"
        "import structlog\n"
        "from hems.actor.watchdog import Watchdog\n"
        "async def main():\n"
        f"    watching = asyncio.create_task(Watchdog(structlog.get_logger(), {PATIENCE_S}).be_alive())\n"
        "    await asyncio.sleep(0)\n"
        "    time.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == EXIT_HANGS
    assert "the service hangs" in done.stdout
