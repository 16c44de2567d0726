"""Logs: one line an event, JSON where a machine reads them, and faults that don't flood."""

import logging
import os
import sys
import time
from typing import Any, Protocol

import structlog


class Log(Protocol):
    """The part of a structlog logger that is used here."""

    def info(self, event: str, **details: Any) -> Any:
        """Something happened."""
        ...

    def warning(self, event: str, **details: Any) -> Any:
        """Something went wrong and work goes on."""
        ...

    def error(self, event: str, **details: Any) -> Any:
        """Something went wrong that a person should see."""
        ...


def configure_logs(service: str) -> None:
    """Write to stderr: readable in a terminal, JSON elsewhere; `HEMS_LOG_FORMAT` (console, json) says otherwise."""
    form = os.environ.get("HEMS_LOG_FORMAT") or ("console" if sys.stderr.isatty() else "json")
    renderers: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    if form != "json":
        renderers = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *renderers,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


class FaultLog:
    """A fault that may repeat: the first is logged, then each `every`th, and the recovery with their count.

    Where good and bad alternate, give `spell_s`: it is over once so much time has passed since the last fault.
    """

    def __init__(self, log: Log, event: str, every: int = 100, spell_s: float = 0.0) -> None:
        self._log = log
        self._event = event
        self._every = every
        self._spell_s = spell_s
        self._count = 0
        self._last_s = 0.0

    @property
    def failing(self) -> bool:
        """Whether the fault has not been followed by a recovery."""
        return self._count > 0

    def failed(self, **details: Any) -> None:
        """Count the fault, and log it where it is due."""
        self._count += 1
        self._last_s = time.monotonic()
        if self._count == 1 or self._count % self._every == 0:
            self._log.warning(self._event, times=self._count, **details)

    def recovered(self, **details: Any) -> None:
        """Log that it is over, where it had begun."""
        if self._count and time.monotonic() - self._last_s >= self._spell_s:
            self._log.info(f"{self._event}: recovered", times=self._count, **details)
            self._count = 0
