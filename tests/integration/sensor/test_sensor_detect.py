"""`hems detect` on ptys: every format, several speeds, and meters that are dead, noisy or reversed."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from services.cli import main
from services.sensor.serial_ports import serial_ports
from services.sensor.settings import SensorSettings
from tests.support import fake_meters
from tests.support.fake_meters import RESET_BLOCK, FakeMeter, Line, silent_port

KNOWN: dict[str, tuple[Line, int, str, str]] = {
    "rpict3t1": (fake_meters.rpict3t1(), 38_400, "meter", "rpict3t1"),
    "rpict3v1": (fake_meters.rpict3v1(), 38_400, "meter", "rpict3v1"),
    "rpict3v1, older": (fake_meters.rpict3v1_older(), 9_600, "meter", "rpict3v1"),
    "rpict7v1": (fake_meters.rpict7v1(), 57_600, "meter", "rpict7v1"),
    "emonPi": (fake_meters.open_energy_monitor(), 38_400, "meter", "open_energy_monitor"),
    "emonTx, JSON": (fake_meters.open_energy_monitor_json(), 115_200, "meter", "open_energy_monitor"),
    "emonTx, pairs": (fake_meters.always(b"ct1:800,ct2:0,ct3:0,ct4:0,vrms:23100,pulse:0"), 115_200, "meter", "open_energy_monitor"),
    "emonPi, radio": (fake_meters.always(b"OK 5 32 3 0 0 32 3 60 90 (-40)"), 38_400, "meter", "open_energy_monitor"),
    "rpict3t1, commas": (fake_meters.always(b"802.1,0.0,0.0,21.5"), 38_400, "meter", "rpict3t1"),
    "volts and more": (fake_meters.always(b"231.2 Volts RMS---1.20 Amps RMS --- 277 W"), 9_600, "voltage", "zmpt101b"),
    "ours": (fake_meters.zmpt101b(), 115_200, "voltage", "zmpt101b"),
    "bare": (fake_meters.zmpt101b(form="{:.2f}"), 9_600, "voltage", "zmpt101b"),
    "JSON": (fake_meters.zmpt101b(form='{{"vrms":{:.1f}}}'), 115_200, "voltage", "zmpt101b"),
}


def detect(*arguments: str, listen: float = 1.0) -> tuple[int, str]:
    """Run it: the exit status, and what it said."""
    result = CliRunner().invoke(main, ["detect", *arguments, "--listen", str(listen)], env={"HEMS_CONFIG": ""}, catch_exceptions=False)
    return result.exit_code, result.output


def section(said: str) -> dict[str, dict[str, object]]:
    """The `sensor:` section that it printed, which the sensor would take."""
    values = yaml.safe_load(said[said.index("\nsensor:") :])["sensor"]
    SensorSettings.read(values, {})
    return values


@pytest.mark.parametrize("name", KNOWN)
def test_every_format_is_found_at_its_speed(name: str, tmp_path: Path) -> None:
    """The format and the speed are found, the lines are shown, and the section that is printed is one that works."""
    line, baud, part, profile = KNOWN[name]
    with FakeMeter(tmp_path / "port", baud, line):
        status, said = detect(str(tmp_path / "port"))
    assert status == 0, said
    found = section(said)
    assert found.keys() == {part}
    assert (found[part]["profile"], found[part]["baud"]) == (profile, baud)
    assert f"{baud:>6}  " in said
    assert "Look here" not in said


def test_one_speed_alone_can_be_asked_for(tmp_path: Path) -> None:
    """One that hems.yaml would take: what is printed must be usable."""
    with FakeMeter(tmp_path / "port", 9_600, fake_meters.rpict3t1()):
        status, said = detect(str(tmp_path / "port"), "--speed", "9600")
        assert section(said)["meter"]["baud"] == 9_600
        assert detect(str(tmp_path / "port"), "--speed", "12345")[0] == 2
    assert status == 0


def test_two_ports_make_one_section(tmp_path: Path) -> None:
    """A meter and a voltage sensor, named in any order."""
    with FakeMeter(tmp_path / "a", 115_200, fake_meters.zmpt101b()), FakeMeter(tmp_path / "b", 38_400, fake_meters.rpict3t1()):
        _, said = detect(str(tmp_path / "a"), str(tmp_path / "b"))
    assert section(said).keys() == {"meter", "voltage"}


def test_the_boards_own_voltage_is_taken_from_its_start(tmp_path: Path) -> None:
    """An RPICT that starts anew says its `vest`."""
    with FakeMeter(tmp_path / "port", 38_400, fake_meters.rpict3t1(), begins_with=RESET_BLOCK):
        _, said = detect(str(tmp_path / "port"))
    assert section(said)["meter"]["vest_v"] == 240.0


def test_a_port_in_hems_yaml_counts_as_asked_for(tmp_path: Path) -> None:
    """With no port named, what the configuration names is listened to; what it only leaves to its default is not."""
    file = tmp_path / "hems.yaml"
    with FakeMeter(tmp_path / "port", 38_400, fake_meters.rpict3t1()):
        for text, words in ((f"sensor: {{meter: {{port: {tmp_path / 'port'}}}}}\n", "rpict3t1"), ("home: {}\n", "No meter was found")):
            file.write_text(text)
            result = CliRunner().invoke(main, ["detect", "--listen", "1"], env={"HEMS_CONFIG": str(file)}, catch_exceptions=False)
            assert words in result.output


def test_a_dead_meter_is_told_at_once(tmp_path: Path) -> None:
    """Where nothing comes at one speed, no other is tried."""
    with silent_port(tmp_path / "port") as port:
        status, said = detect(str(port), listen=0.3)
    assert status == 1
    assert "Nothing comes, at no speed" in said


def test_a_noisy_meter_is_known_all_the_same(tmp_path: Path) -> None:
    """A third of its lines is broken: it is recognised, and the noise is told."""
    with FakeMeter(tmp_path / "port", 38_400, fake_meters.rpict3t1(), noise=0.34):
        status, said = detect(str(tmp_path / "port"))
    assert status == 0
    assert section(said)["meter"]["profile"] == "rpict3t1"
    assert "lines can't be read" in said


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (fake_meters.rpict3v1(power_w=-512.0), "its clamp sits the wrong way round"),
        (fake_meters.rpict3v1(voltage_v=3.0), "no mains voltage"),
        (fake_meters.rpict3t1(power_va=12.0), "hears no load"),
        (fake_meters.zmpt101b(voltage_v=2.4), "no mains voltage"),
    ],
)
def test_what_can_not_be_true_is_told(line: Line, words: str, tmp_path: Path) -> None:
    """A reversed clamp, a clamp round nothing, a voltage that is none: each with its next step."""
    with FakeMeter(tmp_path / "port", 38_400, line):
        _, said = detect(str(tmp_path / "port"))
    assert f"Look here: {words}" in said or words in said.partition("Look here: ")[2]


def test_a_port_that_is_in_use_is_told(tmp_path: Path) -> None:
    """The services hold their ports: stop them first."""
    import serial

    with FakeMeter(tmp_path / "port", 38_400, fake_meters.rpict3t1()), serial.Serial(str(tmp_path / "port"), exclusive=True):
        status, said = detect(str(tmp_path / "port"))
    assert status == 1
    assert "another program reads it" in said


class Dev:
    """A folder like `/dev`."""

    def __init__(self, root: Path, *devices: str) -> None:
        self.root = root
        (root / "serial/by-id").mkdir(parents=True)
        for device in devices:
            (root / device).touch()

    def link(self, name: str, device: str) -> None:
        (self.root / "serial/by-id" / name).symlink_to(self.root / device)


def test_only_what_is_obviously_a_meters_would_be_opened(tmp_path: Path) -> None:
    """The Pi's UART is; a USB adapter of a common kind may be anything; a Zigbee stick is obviously something else's."""
    dev = Dev(tmp_path / "dev", "ttyAMA0", "ttyAMA10", "ttyS0", "ttyS1", "ttyUSB0", "ttyUSB1", "ttyUSB2", "ttyACM0", "tty1")
    dev.link("usb-ITead_Sonoff_Zigbee_3.0_USB_Dongle_Plus-if00-port0", "ttyUSB0")
    dev.link("usb-1a86_USB2.0-Serial-if00-port0", "ttyUSB1")
    dev.link("usb-OpenEnergyMonitor_emonTx4-if00", "ttyACM0")
    found = {port.device: port for port in serial_ports(dev.root, tmp_path / "cmdline")}
    guesses = {device: port.guess for device, port in found.items()}
    assert guesses == {
        "ttyAMA0": "meter",
        "ttyAMA10": "other",
        "ttyUSB0": "other",
        "ttyUSB1": "unknown",
        "ttyUSB2": "unknown",
        "ttyACM0": "meter",
    }
    assert Path(found["ttyUSB1"].path).parent.name == "by-id"
    assert (found["ttyAMA0"].speeds[0], found["ttyUSB1"].speeds[0]) == (38_400, 115_200)


def test_the_serial_console_is_never_opened(tmp_path: Path) -> None:
    """Where the kernel talks on the UART, no meter can be read there, and that is said."""
    dev = Dev(tmp_path / "dev", "ttyAMA0", "ttyS0")
    (dev.root / "serial0").symlink_to(dev.root / "ttyS0")
    (tmp_path / "cmdline").write_text("console=serial0,115200 console=tty1 root=PARTUUID=x\n")
    found = {port.device: port for port in serial_ports(dev.root, tmp_path / "cmdline")}
    assert found["ttyS0"].guess == "other"
    assert "console" in found["ttyS0"].about
    assert found["ttyAMA0"].guess == "meter"
