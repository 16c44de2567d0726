"""A recorded home's meter on a pty, that can be pulled, plugged in, and made to print anything."""

import asyncio
import contextlib
import os
import tty
from datetime import UTC, datetime
from pathlib import Path

from services.replay.command import DEMO
from services.replay.domain.lines import Assumptions, made_up_voltage_v, rpict3t1_line
from services.replay.domain.recording import Schedule, to_us
from services.replay.domain.start import demo_start
from services.replay.parquet_file import read_recording
from services.replay.player import shift_for

LINES_PER_S = 5


class Meter:
    """An RPICT3T1 that prints five lines a second: what the recorded home drew at that moment, at the recording's own pace."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._ours: int | None = None
        self._theirs = -1

    def plug(self) -> None:
        """There is a port again, under the same name and another number."""
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        port = os.ttyname(self._theirs)
        Path(port).chmod(0o666)
        self._link.unlink(missing_ok=True)
        self._link.symlink_to(port)

    def pull(self) -> None:
        """As when the cable is pulled: neither the port nor its name is there."""
        self._link.unlink(missing_ok=True)
        if self._ours is not None:
            os.close(self._theirs)
            os.close(self._ours)
            self._ours = None

    def say(self, data: bytes) -> None:
        """Print."""
        if self._ours is not None:
            with contextlib.suppress(BlockingIOError, OSError):
                os.write(self._ours, data)

    async def tick(self) -> None:
        """Play the recorded home until cancelled, from two minutes before an appliance starts."""
        home, now = read_recording(DEMO), datetime.now(UTC)
        schedule = Schedule(home, shift_for(home, None, now, None, demo_start(home)))
        while True:
            at_us = to_us(datetime.now(UTC))
            self.say(rpict3t1_line(schedule.until(at_us).power_w, made_up_voltage_v(at_us), Assumptions()))
            await asyncio.sleep(1 / LINES_PER_S)
