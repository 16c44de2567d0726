"""Pins, boards, the audit file and the settings that name them."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, call

import pytest
import yaml
from gpiozero.pins.mock import MockFactory  # pyright: ignore[reportMissingTypeStubs]
from pydantic import ValidationError

from services.actuator.audit_file import AuditFile, entries
from services.actuator.domain.audit import Entry
from services.actuator.domain.pins import boot_warning, refused_pin
from services.actuator.gpio_board import GpioBoard, Wiring, is_raspberry_pi
from services.actuator.settings import ActuatorSettings
from services.actuator.simulated_board import SimulatedBoard


def _read(text: str) -> ActuatorSettings:
    return ActuatorSettings.read(yaml.safe_load(text), {})


def test_the_documented_section_is_taken() -> None:
    """YAML's truth values for on and off, and the keys of the example."""
    settings = _read(
        """
        board: gpio
        relays:
          bulb:   {pin: 22, active: high, safe: off, resting: off, max_on_s: 43200, allow: [local, dashboard, adafruit, webhook]}
          fridge: {pin: 23, active: low, safe: on, resting: on, min_off_s: 600, max_away_s: 5400, allow: [local, load_manager]}
          heater: {pin: 24, active: high, safe: off, resting: off, min_on_s: 60, max_switches_per_hour: 12, silent_after_s: 60}
        """
    )
    fridge = settings.relays["fridge"].rules()
    assert (fridge.safe, fridge.resting, fridge.max_away_s) == ("ON", "ON", 5_400)
    assert settings.relays["bulb"].rules().max_away_s == 43_200
    assert settings.relays["heater"].rules().allow == {"local"}
    assert settings.warnings() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("board: gpio\nrelays: {a: {pin: 4}}", "resets the RPICT"),
        ("board: gpio\nrelays: {a: {pin: 14}}", "serial line"),
        ("board: gpio\nrelays: {a: {pin: 15}}", "serial line"),
        ("board: gpio\nrelays: {a: {pin: 1}}", "identity"),
        ("board: gpio\nrelays: {a: {pin: 28}}", "not on the Pi's header"),
        ("board: gpio\nrelays: {a: {}}", "has no 'pin'"),
        ("board: gpio\nrelays: {a: {pin: 22}, b: {pin: 22}}", "the same 'pin'"),
        ("board: tasmota\nrelays: {a: {pin: 22}}", "has no 'device'"),
        ("board: tasmota\nrelays: {a: {device: plug}, b: {device: plug/2}}", "write plug/1 for its first"),
        ("board: tasmota\nrelays: {a: {device: plug/2}, b: {device: plug/2}}", "two relays have the same 'device'"),
        ("board: tasmota\nrelays: {a: {device: plug/9}}", "device"),
        ("relays: {a: {safe: on, max_on_s: 5}}", "use max_away_s"),
        ("relays: {a: {safe: on, min_off_s: 600, max_away_s: 600}}", "must be shorter than max_away_s"),
        ("relays: {a: {max_switches_per_hour: 1}}", "greater than or equal to 2"),
        ("relays: {a: {allow: [neighbour]}}", "allow"),
    ],
)
def test_a_dangerous_or_impossible_relay_is_refused_with_the_reason(text: str, words: str) -> None:
    """What can't work safely is a mistake in the configuration."""
    with pytest.raises(ValidationError, match=words):
        _read(text)


@pytest.mark.parametrize(
    ("pin", "active_high", "safe", "words"),
    [
        (22, True, "OFF", None),
        (22, False, "ON", None),
        (22, False, "OFF", "pulled down at power-on: this relay is ON until"),
        (5, True, "OFF", "pulled up at power-on: this relay is ON until"),
        (5, False, "OFF", "pulled up at power-on: this relay is OFF then"),
        (2, False, "ON", "OFF until the actuator starts, and ON is safe"),
    ],
)
def test_what_a_pin_does_at_boot_is_told(pin: int, active_high: bool, safe: Any, words: str | None) -> None:
    """A person learns of a relay that is not safe between power-on and the start."""
    warning = boot_warning(pin, active_high=active_high, safe=safe)
    assert warning is None if words is None else words in (warning or "")
    assert refused_pin(pin) is None


def test_gpio_pins_are_claimed_safe_driven_by_polarity_and_read_back() -> None:
    """An active-low relay is on when its pin is low; a pin that something else holds is read as it is."""
    factory: Any = MockFactory()
    wiring = {"bulb": Wiring(22, active_high=True, safe="OFF"), "fridge": Wiring(23, active_high=False, safe="ON")}
    bulb: Any = factory.pin(22)
    fridge: Any = factory.pin(23)
    with GpioBoard(wiring, factory) as board:
        assert (bulb.state, fridge.state) == (0, 0)
        assert (board.level("bulb"), board.level("fridge")) == ("OFF", "ON")
        board.switch("bulb", "ON")
        board.switch("fridge", "OFF")
        assert (bulb.state, fridge.state) == (1, 1)
        assert (board.level("bulb"), board.level("fridge")) == ("ON", "OFF")


def test_off_a_pi_mock_pins_stand_in(tmp_path: Path) -> None:
    """The same configuration can be tried on any computer."""
    assert not is_raspberry_pi(tmp_path / "model")
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert is_raspberry_pi(tmp_path / "model")
    with GpioBoard({"bulb": Wiring(22, active_high=True, safe="OFF")}) as board:
        board.switch("bulb", "ON")
        assert board.level("bulb") == "ON"


def test_a_pin_that_fails_is_an_os_error() -> None:
    """The actuator hears of it in one way, whatever the library raised."""
    board = GpioBoard({"bulb": Wiring(22, active_high=True, safe="OFF")}, MockFactory())
    with board:
        board._devices["bulb"].close()  # pyright: ignore[reportPrivateUsage]
        with pytest.raises(OSError, match="BCM 22"):
            board.switch("bulb", "ON")


def test_the_simulated_board_logs_each_change_with_its_time(tmp_path: Path) -> None:
    """One JSON line each, with a clock that never jumps."""
    with SimulatedBoard(tmp_path / "log", {"bulb": "OFF"}) as board:
        board.switch("bulb", "ON")
        assert board.level("bulb") == "ON"
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(line["event"], line["level"]) for line in lines] == [("claimed", "OFF"), ("switched", "ON"), ("released", "ON")]
    assert lines[0]["monotonic_s"] <= lines[1]["monotonic_s"]


def test_the_audit_trail_keeps_the_newest(tmp_path: Path) -> None:
    """It is bounded, and lists the newest, oldest of them first."""
    with AuditFile(tmp_path / "audit.db", 1_000) as trail:
        for number in range(2_000):
            trail.add(Entry(f"{number:04}", "bulb", "refused"))
    assert [entry.at for entry in entries(tmp_path / "audit.db", last=3)] == ["1997", "1998", "1999"]
    assert len(list(entries(tmp_path / "audit.db", last=9_999))) == 1_000
    assert not list(entries(tmp_path / "audit.db", relay="fridge"))


def test_a_damaged_audit_trail_is_a_clear_error(tmp_path: Path) -> None:
    """Not a stack trace."""
    (tmp_path / "audit.db").write_bytes(b"nonsense" * 1_000)
    with pytest.raises(OSError, match="not a database"):
        entries(tmp_path / "audit.db")


def test_a_damaged_audit_trail_is_set_aside_at_the_start(tmp_path: Path) -> None:
    """No relay is out of service because what was written of earlier switches can't be read; it is kept for a look."""
    (tmp_path / "audit.db").write_bytes(b"nonsense" * 1_000)
    with AuditFile(tmp_path / "audit.db", 1_000) as trail:
        trail.add(Entry("now", "bulb", "switched"))
    assert [entry.at for entry in entries(tmp_path / "audit.db")] == ["now"]
    (aside,) = tmp_path.glob("audit.db.damaged-*")
    assert aside.read_bytes().startswith(b"nonsense")


def test_a_pin_is_never_driven_at_another_level_than_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """An active-low relay that is safe OFF is claimed high at once, and left high when its pin is released."""
    lgpio = pytest.importorskip("lgpio", reason="it is for Linux")
    from services.actuator.steady_pin import SteadyPin

    library = Mock()
    for name in ("gpio_claim_output", "gpio_claim_input", "gpio_write"):
        monkeypatch.setattr(lgpio, name, getattr(library, name))
    pin: Any = SteadyPin.__new__(SteadyPin)
    pin._factory, pin._number = SimpleNamespace(_handle=7), 22
    pin.output_with_state(True)
    pin.close()
    assert library.mock_calls == [call.gpio_claim_output(7, 22, 1)]
