"""`kill -9` at every step of a send: no message is lost, and none arrives twice that the provider's list could tell of."""

import asyncio
import json
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.twilio_server import Fault, TwilioServer, running_twilio

PATIENCE_S = 120.0
AGAIN = "an attempt without an answer is made again"


@dataclass
class Runs:
    """The runs of one notifier, over its kills."""

    process: asyncio.subprocess.Process
    server: TwilioServer
    log_file: Path
    accepted: set[int] = field(default_factory=set[int])
    kills: int = 0
    said: int = 0

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self.log_file.read_text()

    async def run(self, *, alert: bool = True, kill_at: str | None = None, **order: Any) -> None:
        """One run, with one more alert and those that were not acknowledged before, as a broker would say them again."""
        self.said += alert
        owed = [number for number in range(1, self.said + 1) if number not in self.accepted]
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"alerts": owed, **order}).encode() + b"\n")
        while True:
            words = await self._line()
            if words[0] == "pid" and kill_at is not None:
                setattr(self.server, kill_at, partial(self._kill, int(words[1])))
            elif words[0] == "accepted":
                self.accepted.add(int(words[1]))
            elif words[0] == "ended":
                break
        self.server.arriving = self.server.taken = lambda: None
        assert int(words[1]) in (0, -signal.SIGKILL), self.log
        self.kills += int(words[1]) == -signal.SIGKILL

    def _kill(self, pid: int) -> None:
        self.server.arriving = self.server.taken = lambda: None
        os.kill(pid, signal.SIGKILL)

    async def _line(self) -> list[str]:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), PATIENCE_S)
        assert line, self.log
        return line.decode().split()


@asynccontextmanager
async def killed(folder: Path) -> AsyncGenerator[Runs]:
    """A notifier to be killed, and the server that it sends to."""
    async with running_twilio() as server:
        log_file = folder / "log"
        with log_file.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.support.notifier_process", str(folder), server.url,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=log,
                env={**os.environ, "HEMS_LOG_FORMAT": "json"},
            )  # fmt: skip
            runs = Runs(process, server, log_file)
            try:
                yield runs
            finally:
                assert process.stdin is not None
                process.stdin.close()
                await process.wait()
        assert server.violations == []


def texts_of(runs: Runs) -> dict[str, int]:
    """How often each alert's text was taken."""
    return dict(Counter(runs.server.bodies()))


def each_once(count: int) -> dict[str, int]:
    """Every alert, once."""
    return {f"Alert {number}: It burns.": 1 for number in range(1, count + 1)}


@pytest.mark.timeout(180)
async def test_killed_at_every_step_of_a_send(tmp_path: Path) -> None:
    """Before and after each commit, and while Twilio takes the message: each alert arrives once.

    Twice only where the list does not show yet what Twilio took before the kill; then the log says so.
    """
    async with killed(tmp_path) as runs:
        for commit in range(1, 6):
            await runs.run(before=commit)
            await runs.run(after=commit)
        await runs.run(kill_at="arriving")
        await runs.run(kill_at="taken")
        await runs.run(alert=False)
        assert runs.kills >= 10
        assert texts_of(runs) == each_once(runs.said)
        assert "the provider's list has it: not sent again" in runs.log
        assert "stopped while sending" in runs.log
        told = runs.log.count(AGAIN)
        runs.server.hidden_lists = 1
        await runs.run(kill_at="taken")
        await runs.run(alert=False)
        assert texts_of(runs) == {**each_once(runs.said), f"Alert {runs.said}: It burns.": 2}
        assert runs.log.count(AGAIN) == told + 1


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_killed_two_hundred_times(tmp_path: Path) -> None:
    """At any moment, with a Twilio that fails in every way: nothing is lost, and each duplicate is explained."""
    chance = random.Random(7)
    async with killed(tmp_path) as runs:
        while runs.kills < 200:
            if chance.random() < 0.5:
                runs.server.faults.append(chance.choice(FAULTS))
            runs.server.hidden_lists = chance.choice([0, 0, 0, 1])
            await runs.run(alert=runs.said < 90, cpu_s=chance.uniform(0.005, 0.15))
        runs.server.faults.clear()
        runs.server.hidden_lists = 0
        await runs.run(alert=False)
        texts = texts_of(runs)
        assert set(texts) == set(each_once(runs.said))
        assert sum(texts.values()) - len(texts) <= runs.log.count(AGAIN)


FAULTS = (
    Fault(429, 20429, retry_after_s=0),
    Fault(500),
    Fault(500, accepts=True),
    Fault(503, 20503),
    Fault(silent="drop"),
    Fault(silent="drop", accepts=True),
    Fault(silent="hang", accepts=True),
)
