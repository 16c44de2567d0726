"""Logs: their two forms, and faults that don't flood."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from hems.actor.logs import FaultLog


class _Lines:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **details: Any) -> None:
        self.lines.append(("info", event, details))

    def warning(self, event: str, **details: Any) -> None:
        self.lines.append(("warning", event, details))

    def error(self, event: str, **details: Any) -> None:
        self.lines.append(("error", event, details))


def test_the_first_and_each_nth_fault_are_logged() -> None:
    """Of 250 faults, four lines: the 1st, the 100th, the 200th, and that it is over; each with its count and details."""
    log = _Lines()
    faults = FaultLog(log, "no answer", every=100)
    for number in range(1, 251):
        faults.failed(number=number)
    assert faults.failing
    faults.recovered(by="itself")
    assert not faults.failing
    assert log.lines == [
        ("warning", "no answer", {"times": 1, "number": 1}),
        ("warning", "no answer", {"times": 100, "number": 100}),
        ("warning", "no answer", {"times": 200, "number": 200}),
        ("info", "no answer: recovered", {"times": 250, "by": "itself"}),
    ]


def test_without_a_fault_nothing_recovers() -> None:
    """Success is not worth a line, and after a recovery the next fault is a first one."""
    log = _Lines()
    faults = FaultLog(log, "no answer", every=100)
    faults.recovered()
    faults.failed()
    faults.recovered()
    faults.recovered()
    faults.failed()
    assert [event for _, event, _ in log.lines] == ["no answer", "no answer: recovered", "no answer"]


def test_good_and_bad_in_turn_are_one_spell(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a spell, a good one between two bad ones is no recovery: only quiet for long enough is."""
    now_s, log = [0.0], _Lines()
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    faults = FaultLog(log, "malformed", every=100, spell_s=60)
    for _ in range(50):
        faults.failed()
        now_s[0] += 59
        faults.recovered()
    assert len(log.lines) == 1
    now_s[0] += 1
    faults.recovered()
    assert log.lines[1:] == [("info", "malformed: recovered", {"times": 50})]


_PROGRAM = """
import structlog
from hems.actor.logs import configure_logs
configure_logs("sensor")
log = structlog.get_logger()
log.info("started", home="home")
try:
    1 / 0
except ZeroDivisionError as error:
    log.error("a bug", exc_info=error)
"""


def _said(form: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", _PROGRAM], env={"HEMS_LOG_FORMAT": form}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    return done.stderr


def test_json_is_one_object_a_line() -> None:
    """Each line is an object with its level, its time in UTC and the service; a bug's trace is inside its line."""
    first, second = map(json.loads, _said("json").splitlines())
    assert (first["event"], first["level"], first["service"], first["home"]) == ("started", "info", "sensor", "home")
    assert first["timestamp"].endswith("Z")
    assert "ZeroDivisionError" in second["exception"]


def test_the_console_form_is_for_people() -> None:
    """Plain words, no JSON; a bug's trace is shown too."""
    said = _said("console")
    assert "started" in said
    assert "service=sensor" in said.replace("\x1b", "")
    assert "ZeroDivisionError" in said
    assert not said.startswith("{")
