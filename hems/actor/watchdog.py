"""Ends a process whose event loop hangs, so that whoever started it starts it again: systemd, `hems up`, a container engine.

It can't help a process that is frozen as a whole (SIGSTOP), nor one whose native code holds Python's lock: a container's health check
ends those.
"""

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Self

from hems.actor.logs import Log

EXIT_HANGS = 70
"""`EX_SOFTWARE` of sysexits."""

_PATIENCE_S = 60.0
_LOOKS = 60
_ALIVE_EVERY_S = 1.0
_LOG_WITHIN_S = 2.0


class Watchdog:
    """Counts time while the event loop does not come round, and ends the process after a minute of that.

    It counts its own waits rather than reading a clock: a process that was frozen, or a computer that slept, gets the
    whole minute afterwards.

    Args:
        log: hears where the loop hangs.
        patience_s: how long it may.
        end: ends the process at once; tests give another.
    """

    def __init__(self, log: Log, patience_s: float = _PATIENCE_S, end: Callable[[int], object] = os._exit) -> None:
        self._log = log
        self._patience_s = patience_s
        self._end = end
        self._silent_looks = 0
        self._over = threading.Event()
        self._watched = threading.get_ident()

    def __enter__(self) -> Self:
        """Watch the thread that enters."""
        self._watched = threading.get_ident()
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()

    async def be_alive(self) -> None:
        """Show that the loop comes round, until cancelled."""
        with self:
            while True:
                self._silent_looks = 0
                await asyncio.sleep(min(_ALIVE_EVERY_S, self._patience_s / 2))

    def _watch(self) -> None:
        while not self._over.wait(self._patience_s / _LOOKS):
            self._silent_looks += 1
            if self._silent_looks >= _LOOKS:
                self._give_up()
                return

    def _give_up(self) -> None:
        # In a thread of its own: a log that nobody reads any more blocks whoever writes to it.
        telling = threading.Thread(target=self._tell, daemon=True)
        telling.start()
        telling.join(_LOG_WITHIN_S)
        self._end(EXIT_HANGS)

    def _tell(self) -> None:
        frame = sys._current_frames().get(self._watched)  # pyright: ignore[reportPrivateUsage]  documented in spite of its name
        where = traceback.format_stack(frame) if frame else []
        self._log.error(
            "the service hangs; it ends, so that it is started again", silent_s=self._patience_s, hangs_at="".join(where[-3:]).strip()
        )
