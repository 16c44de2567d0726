"""`hems calibrate` on a pty."""

import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from services.cli import main
from tests.support import fake_meters
from tests.support.fake_meters import RESET_BLOCK, FakeMeter


class Bench:
    """A folder with a `hems.yaml`, and commands run on it."""

    def __init__(self, folder: Path) -> None:
        self.meter, self.voltage = folder / "meter", folder / "voltage"
        self.file = folder / "hems.yaml"
        self.file.write_text(
            f"storage: {{directory: {folder / 'var'}}}\nsensor:\n  meter: {{port: {self.meter}}}  # the board\n"
            f"  voltage: {{port: {self.voltage}}}\n"
        )

    def run(self, *arguments: str, keys: str = "") -> Result:
        return CliRunner().invoke(main, ["calibrate", *arguments, "--config", str(self.file)], input=keys, catch_exceptions=False)

    def setting(self, part: str, key: str) -> float | None:
        return yaml.safe_load(self.file.read_text())["sensor"][part].get(key)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench without meters yet."""
    return Bench(tmp_path)


def test_a_voltage_sensor_is_made_true_and_back(bench: Bench) -> None:
    """The scale is written, comments stay, and undo takes it out again."""
    written = bench.file.read_text()
    with FakeMeter(bench.voltage, 115_200, fake_meters.zmpt101b(216.3), every_s=0.005, noise=0.1):
        done = bench.run("voltage", "231.4", "--yes")
    assert done.exit_code == 0, done.output
    assert bench.setting("voltage", "scale") == pytest.approx(231.4 / 216.3, rel=0.002)
    assert "Before: 216" in done.output
    assert "After: 231.4 V" in done.output
    assert "# the board" in bench.file.read_text()
    assert bench.run("undo").exit_code == 0
    assert bench.file.read_text() == written
    assert "no calibration to undo" in bench.run("undo").output


def test_a_meter_is_made_true_by_a_kettle(bench: Bench) -> None:
    """7 % off before, within half a percent after, by a plate's figure at another voltage; the board's own vest is taken too."""
    volts, home_w, kettle_w = 241.2, 180.0, 2_200.0  # 2 kW at 230 V

    def line(power_w: float) -> fake_meters.Line:
        return fake_meters.rpict3t1(0.93 * power_w * 240 / volts)  # the board multiplies by its vest of 240 V

    meter = FakeMeter(bench.meter, 38_400, line(home_w), every_s=0.005, noise=0.05, begins_with=RESET_BLOCK)
    with meter, FakeMeter(bench.voltage, 115_200, fake_meters.zmpt101b(volts), every_s=0.005):
        steps = iter([line(home_w), line(home_w + kettle_w), line(home_w)])

        def switch() -> str:
            meter.line = next(steps)
            return "\n"

        done = _at_a_keyboard(bench, switch, "--rated-at", "230")
    assert done.exit_code == 0, done.output
    scale, vest_v = bench.setting("meter", "scale"), bench.setting("meter", "vest_v")
    assert vest_v == 240
    assert scale is not None
    assert 0.93 * scale == pytest.approx(1, rel=0.005)
    assert re.search(r"for this load of 2(19|20)\d W", done.output)


def test_a_voltage_sensor_on_wi_fi_is_counted_with(bench: Bench) -> None:
    """The services multiply by its voltage, so that the scale must not hold it too; nonsense, and a sensor on a port, are refused."""
    volts, home_w, kettle_w = 243.0, 180.0, 2_000.0
    refused = bench.run("power", "--load", "2000", "--wifi-voltage", "243")
    assert "is read itself" in refused.output
    bench.file.write_text(bench.file.read_text().replace(f"  voltage: {{port: {bench.voltage}}}\n", ""))
    assert "120 V is no mains voltage" in bench.run("power", "--load", "2000", "--wifi-voltage", "120").output

    def line(power_w: float) -> fake_meters.Line:
        return fake_meters.rpict3t1(0.93 * power_w * 230 / volts)

    with FakeMeter(bench.meter, 38_400, line(home_w), every_s=0.005) as meter:
        steps = iter([line(home_w), line(home_w + kettle_w), line(home_w)])

        def switch() -> str:
            meter.line = next(steps)
            return "\n"

        done = _at_a_keyboard(bench, switch, "--wifi-voltage", "243")
    assert done.exit_code == 0, done.output
    assert 0.93 * (bench.setting("meter", "scale") or 0) == pytest.approx(1, rel=0.005)


def _at_a_keyboard(bench: Bench, switch: Callable[[], str], *more: str) -> Result:
    """Answer each of the three questions after switching."""

    class Keys(BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            return switch().encode()

        def read1(self, size: int | None = -1, /) -> bytes:
            return self.readline()

    runner = CliRunner()
    arguments = ["calibrate", "power", "--load", "2000", *more, "--yes", "--config", str(bench.file)]
    return runner.invoke(main, arguments, input=Keys(), catch_exceptions=False)


def test_nonsense_changes_nothing(bench: Bench) -> None:
    """A figure that is no mains voltage, a sensor that has none, a port that is not there."""
    written = bench.file.read_text()
    with FakeMeter(bench.voltage, 115_200, fake_meters.zmpt101b(4.0), every_s=0.005):
        assert "is no mains voltage" in bench.run("voltage", "23.1").output
        assert "without mains" in bench.run("voltage", "231").output
    unplugged = bench.run("voltage", "231")
    assert unplugged.exit_code == 1
    assert "can't be read" in unplugged.output
    assert bench.file.read_text() == written


def test_a_no_is_heard(bench: Bench) -> None:
    """Nothing is written where the person declines."""
    written = bench.file.read_text()
    with FakeMeter(bench.voltage, 115_200, fake_meters.zmpt101b(220.0), every_s=0.005):
        done = bench.run("voltage", "231", keys="n\n")
    assert "Nothing was changed." in done.output
    assert bench.file.read_text() == written


def test_what_was_changed_by_hand_is_not_undone(bench: Bench) -> None:
    """Undo puts back what calibration wrote, and nothing that a person wrote since."""
    with FakeMeter(bench.voltage, 115_200, fake_meters.zmpt101b(220.0), every_s=0.005):
        bench.run("voltage", "231", "--yes")
    bench.file.write_text(bench.file.read_text().replace("scale: ", "scale: 1"))
    undone = bench.run("undo")
    assert undone.exit_code == 1
    assert "changed since" in undone.output


def test_a_file_that_can_not_be_written_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is changed, nothing is there to be undone, and the person reads why."""
    written = bench.file.read_text()

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with FakeMeter(bench.voltage, 115_200, fake_meters.zmpt101b(220.0), every_s=0.005):
        with monkeypatch.context() as patched:
            patched.setattr("hems.setting_up.configuration_file.write_private", refuse)
            done = bench.run("voltage", "231", "--yes")
        assert done.exit_code == 1
        assert "can't be written" in done.output
        assert bench.file.read_text() == written
        assert "no calibration to undo" in bench.run("undo").output
        bench.run("voltage", "231", "--yes")
    with monkeypatch.context() as patched:
        patched.setattr("hems.setting_up.configuration_file.write_private", refuse)
        assert bench.run("undo").exit_code == 1
    assert bench.run("undo").exit_code == 0
    assert bench.file.read_text() == written
