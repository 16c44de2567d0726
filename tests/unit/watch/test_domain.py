"""What the watch shows."""

import io
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console

from hems.actor.logs import FaultLog
from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.contracts.health import ServiceHealth
from hems.contracts.mains import Mains
from services.watch.domain import View, age, duration, sentence, sparkline
from services.watch.screen import picture
from services.watch.trouble import TroubleLog

NOW = datetime(2025, 1, 6, 7, 30, tzinfo=UTC)


def _mains(power_w: float, after_s: float = 0) -> Mains:
    return Mains(measured_at=NOW + timedelta(seconds=after_s), power_w=power_w, quality="estimated", voltage_v=231.0)


def test_readings_said_again_are_not_news() -> None:
    """An old reading neither moves the figure nor the line."""
    view = View()
    assert view.see_mains(_mains(100))
    assert view.see_mains(_mains(200, after_s=8))
    assert not view.see_mains(_mains(100))
    assert list(view.powers_w) == [100, 200]


def test_an_event_is_told_once() -> None:
    """The same id is one event."""
    event = ApplianceEvent(id="a", kind="started", at=NOW, announced_at=NOW, confidence=0.9)
    view = View()
    assert view.see_event("kettle", event)
    assert not view.see_event("kettle", event)


def test_the_line_is_scaled_to_its_top() -> None:
    """Zero and negative powers are the lowest bar, the largest the highest; only the newest fit."""
    assert sparkline([-50, 0, 500, 1000], 10) == "▁▁▅█"
    assert sparkline([1, 2, 3], 2) == "▆█"
    assert sparkline([0, 0], 5) == "▁▁"
    assert sparkline([], 5) == ""


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (59.6, "1 min 00 s"), (75, "1 min 15 s"), (6720, "1 h 52 min")])
def test_durations_are_readable(seconds: float, words: str) -> None:
    """Hours and minutes, minutes and seconds, or seconds."""
    assert duration(seconds) == words


def test_an_unknown_start_has_no_age() -> None:
    """What has no known beginning shows none, and clocks that disagree show no negative age."""
    assert age(None, NOW) == ""
    assert age(NOW + timedelta(seconds=5), NOW) == "0 s"


def test_events_are_sentences() -> None:
    """A finished event tells how long and how much."""
    event = ApplianceEvent(id="a", kind="finished", at=NOW, announced_at=NOW, confidence=0.9, duration_s=6720, energy_kwh=0.904)
    assert sentence("washing_machine", event) == "washing machine finished after 1 h 52 min, 0.90 kWh"


def test_the_picture_shows_all_of_it() -> None:
    """Power, appliances with confidence and since when, events, services and their troubles are on the screen, at any width."""
    view = View(online={"sensor": True, "recorder": False})
    view.see_mains(_mains(2345))
    view.appliances["washing_machine"] = ApplianceState(
        observed_at=NOW, running=True, power_w=1900, confidence=0.87, since=NOW - timedelta(minutes=3)
    )
    view.see_event("kettle", ApplianceEvent(id="a", kind="started", at=NOW, announced_at=NOW, confidence=0.93))
    view.health["sensor"] = ServiceHealth(at=NOW, version="1", started_at=NOW, blind="the meter is silent")
    for width in (60, 100, 200):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(picture(view, width=width, zone=ZoneInfo("Europe/London")))
        text = console.export_text()
        for wanted in ("2,345 W", "231.0 V", "washing machine", "87%", "3 min 00 s", "kettle started (93% sure)", "meter is silent"):
            assert wanted in text.replace("\n", " "), (width, wanted)


def test_a_broker_that_does_not_answer_is_shown() -> None:
    """Until it is back: a person who sees nothing learns why, and what to do."""
    view = View()
    faults = FaultLog(TroubleLog(view), "no connection to the broker", every=20)
    faults.failed(error="127.0.0.1:18883: Connection refused")
    shown = " ".join(_shown(view).replace("│", "").split())
    assert "no connection to the broker: 127.0.0.1:18883: Connection refused; it is tried again. Does `hems up` run?" in shown
    FaultLog(TroubleLog(view), "malformed messages").failed(reason="no JSON")
    assert "malformed" not in _shown(view)
    faults.recovered()
    assert "no connection" not in _shown(view)


def _shown(view: View) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(picture(view, width=100, zone=ZoneInfo("Europe/London")))
    return console.export_text()
