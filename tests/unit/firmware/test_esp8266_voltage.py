"""The ESP8266's arithmetic, in CPython, on waveforms as a ten-bit converter sees them."""

import builtins
import importlib.util
import json
import math
import operator
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from services.sensor.domain.readings import VoltageLine
from services.sensor.domain.zmpt101b import parse_voltage

FOLDER = Path(__file__).parents[3] / "firmware/esp8266_voltage"
OFFSET = 512.0


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("rms", FOLDER / "rms.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


measure: Callable[[Sequence[int], Sequence[int]], tuple[float, float | None]] = _module().measure


def sampled(
    waveform: Callable[[float], float], *, every_us: float = 500, count: int = 400, jitter_us: float = 0, noise: float = 0, seed: int = 1
) -> tuple[list[int], list[int]]:
    """What the converter gives of a waveform in counts about its offset, and when."""
    chance = random.Random(seed)
    times = [round(place * every_us + chance.uniform(0, jitter_us)) for place in range(count)]
    return [min(1023, max(0, round(OFFSET + waveform(at / 1e6) + chance.gauss(0, noise)))) for at in times], times


def sine(rms: float, hertz: float, phase: float = 0.0) -> Callable[[float], float]:
    """A clean mains."""
    return lambda at_s: rms * math.sqrt(2) * math.sin(2 * math.pi * hertz * at_s + phase)


@given(
    hertz=st.sampled_from([50.0, 60.0]) | st.floats(47, 63),
    phase=st.floats(0, 2 * math.pi),
    rms=st.floats(120, 340),
    every_us=st.floats(300, 700),
)
def test_any_phase_and_frequency_gives_the_same_voltage(hertz: float, phase: float, rms: float, every_us: float) -> None:
    """Within 0.3 %, at 50 Hz, at 60 Hz and between, however the samples fall."""
    counts, found = measure(*sampled(sine(rms, hertz, phase), every_us=every_us))
    assert counts == pytest.approx(rms, rel=0.003)
    assert found == pytest.approx(hertz, rel=0.005)


@given(seed=st.integers(0, 1_000), hertz=st.sampled_from([50.0, 60.0]))
def test_noise_and_late_samples_change_little(seed: int, hertz: float) -> None:
    """8 counts of noise and samples up to 0.2 ms late, as Wi-Fi makes them: within 1 %."""
    counts, found = measure(*sampled(sine(200, hertz), noise=8, jitter_us=200, seed=seed))
    assert counts == pytest.approx(200, rel=0.01)
    assert found == pytest.approx(hertz, rel=0.01)


def test_a_distorted_mains_gives_its_true_rms() -> None:
    """Flat peaks, as many rectifiers make them: true RMS, not a peak divided by the square root of two."""

    def flat(at_s: float) -> float:
        return max(-230.0, min(230.0, sine(200, 50)(at_s)))

    true = math.sqrt(sum(flat(place / 1e6) ** 2 for place in range(0, 20_000, 10)) / 2_000)
    counts, _ = measure(*sampled(flat))
    assert counts == pytest.approx(true, rel=0.005)
    assert abs(max(map(flat, (place / 1e6 for place in range(20_000)))) / math.sqrt(2) - true) > 10


def test_a_sag_counts_for_as_long_as_it_lasts() -> None:
    """40 % for half of the time is the root of the mean of the squares."""
    counts, found = measure(*sampled(lambda at_s: sine(200 if at_s < 0.1 else 80, 50)(at_s)))
    assert counts == pytest.approx(math.sqrt((200**2 + 80**2) / 2), rel=0.02)
    assert found == pytest.approx(50, rel=0.01)


def test_a_window_of_no_whole_number_of_cycles_is_no_matter() -> None:
    """A window of 2.3 cycles gives what two give: a plain RMS over all samples would not."""
    values, times = sampled(sine(200, 52, phase=1.0), count=90)
    plain = math.sqrt(sum((value - sum(values) / len(values)) ** 2 for value in values) / len(values))
    assert abs(plain - 200) > 1.0
    assert measure(values, times)[0] == pytest.approx(200, rel=0.003)


@pytest.mark.parametrize("noise", [0.0, 1.0, 2.0, 6.0])
def test_unpowered_it_tells_the_noise_and_no_frequency(noise: float) -> None:
    """A low figure, which the sensor service refuses, and no mains is said over Wi-Fi."""
    counts, found = measure(*sampled(lambda _: 0.0, noise=noise))
    assert counts <= noise + 0.6
    assert found is None


@pytest.mark.parametrize("hertz", [16.7, 400.0])
def test_what_is_no_mains_frequency_is_told(hertz: float) -> None:
    """A railway's or an inverter's fault."""
    assert measure(*sampled(sine(200, hertz), every_us=200))[1] is None


def test_the_line_that_it_prints_is_one_that_the_sensor_reads() -> None:
    """`Vrms: 230.1`, by the format string of main.py itself."""
    form = next(line for line in (FOLDER / "main.py").read_text().splitlines() if "print(" in line)
    assert "Vrms: {voltage_v:.1f}" in form
    assert parse_voltage(f"Vrms: {230.123:.1f}".encode()) == VoltageLine(230.1)


def test_the_settings_and_the_esphome_configuration_can_be_read() -> None:
    """Both say the topic's payload, under the name of the device's broker user."""
    assert {"volts_per_count", "wifi", "broker"} == json.loads((FOLDER / "settings.example.json").read_text()).keys()

    class Loader(yaml.SafeLoader):
        """Knows ESPHome's `!secret`."""

    Loader.add_constructor("!secret", lambda loader, node: str(node.value))
    values = yaml.load((FOLDER / "esphome.yaml").read_text(), Loader)  # noqa: S506 - a safe loader with one tag more
    clamp = next(one for one in values["sensor"] if one["platform"] == "ct_clamp")
    assert 'root["voltage_v"]' in clamp["on_value"][0]["mqtt.publish_json"]["payload"]
    assert values["mqtt"]["username"] == "device"


class Enough(Exception):
    """The program has gone round often enough."""


class Esp8266:
    """A board with a mains on its converter, a clock that each look moves on by 0.1 ms, and a Wi-Fi that is up."""

    def __init__(self, folder: Path, connect: Callable[..., None], rounds: int = 25) -> None:
        self.printed: list[str] = []
        self.published: list[tuple[str, str]] = []
        self._folder, self._connect, self._rounds, self._us = folder, connect, rounds, 0

    def run(self) -> None:
        """From power-on until it has gone round often enough."""
        inside = {**vars(builtins), "__import__": self._import, "print": self.printed.append, "open": self._open}
        with pytest.raises(Enough):
            exec(compile((FOLDER / "main.py").read_text(), "main.py", "exec"), {"__builtins__": inside, "__name__": "__main__"})  # noqa: S102

    def _import(self, name: str, *rest: Any) -> Any:
        connect, published = self._connect, self.published

        class Client:
            def __init__(self, *_: object, **__: object) -> None:
                self.connect = connect

            def publish(self, topic: str, text: str) -> None:
                published.append((topic, text))

        known: dict[str, Any] = {
            "machine": SimpleNamespace(ADC=self._converter),
            "time": SimpleNamespace(
                ticks_us=self._look,
                ticks_ms=lambda: self._us // 1_000,
                ticks_diff=operator.sub,
                ticks_add=operator.add,
                sleep_ms=self._sleep,
            ),
            "network": SimpleNamespace(STA_IF=0, WLAN=self._station),
            "umqtt.simple": SimpleNamespace(MQTTClient=Client),
            "rms": SimpleNamespace(measure=measure),
        }
        return known[name] if name in known else __import__(name, *rest)

    def _open(self, name: str) -> Any:
        return (self._folder / name).open()

    def _converter(self, pin: int) -> Any:
        return SimpleNamespace(read=self._sampled)

    def _station(self, interface: int) -> Any:
        return SimpleNamespace(isconnected=lambda: True)

    def _look(self) -> int:
        self._us += 100
        return self._us

    def _sampled(self) -> int:
        return round(OFFSET + sine(230, 50)(self._us / 1e6))

    def _sleep(self, milliseconds: int) -> None:
        self._us += 1_000 * milliseconds
        self._rounds -= 1
        if not self._rounds:
            raise Enough


def _settings(folder: Path) -> None:
    settings = {"wifi": {"name": "n", "password": "p"}, "broker": {"host": "h", "password": "d", "home": "cottage"}}
    (folder / "settings.json").write_text(json.dumps(settings))


def test_the_voltage_is_printed_and_said(tmp_path: Path) -> None:
    """Once a second, on the serial port and on the home's topic; an older umqtt, which takes no time-out, does as well."""

    def newer(timeout: float) -> None:
        assert timeout <= 5

    def older() -> None:
        pass

    _settings(tmp_path)
    for connect in (newer, older):
        board = Esp8266(tmp_path, connect)
        board.run()
        assert board.printed[-1].startswith("Vrms: 2")
        assert len(board.printed) == 25
        topic, text = board.published[-1]
        assert topic == "hems/cottage/voltage"
        assert json.loads(text)["voltage_v"] == pytest.approx(230, rel=0.01)


@pytest.mark.parametrize("error", [OSError(113), AssertionError(), IndexError("bytes index"), RuntimeError("MQTTException: 5")])
def test_no_broker_ever_stops_the_measuring(tmp_path: Path, error: Exception) -> None:
    """One that is away, is no broker, hangs up, or refuses the password: the serial port goes on, and tells of it once."""

    def refuse(timeout: float) -> None:
        raise error

    _settings(tmp_path)
    board = Esp8266(tmp_path, refuse)
    board.run()
    assert sum(line.startswith("Vrms: ") for line in board.printed) == 25
    assert [line for line in board.printed if not line.startswith("Vrms: ")] == [f"not said by Wi-Fi: {error!r}"]


@pytest.mark.parametrize("text", ["{", '{"wifi": {"name": "n"}}', "{}"])
def test_settings_that_can_not_be_used_leave_the_serial_port(tmp_path: Path, text: str) -> None:
    """What is no JSON, or lacks the broker: the voltage is printed all the same."""
    (tmp_path / "settings.json").write_text(text)
    board = Esp8266(tmp_path, lambda: None)
    board.run()
    assert board.printed[-1].startswith("Vrms: ")
    assert not board.published
