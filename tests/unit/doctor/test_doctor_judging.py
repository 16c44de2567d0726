"""What the doctor makes of figures and reports."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hems.actor.configuration import Configuration
from hems.contracts.health import ServiceHealth
from hems.setting_up.checkup import HomeSeen
from services.actuator.checkup import check as check_relays
from services.doctor.domain.judging import clock_trouble, disk_trouble, platform_trouble, troubled
from services.doctor.machine import machine_findings, synchronised, wear_share, written_per_day
from services.sensor.pi_uart import uart_findings

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def report(**values: object) -> ServiceHealth:
    """A service's report."""
    return ServiceHealth.model_validate({"at": NOW, "version": "1", "started_at": NOW, **values})


def test_only_64_bit_systems_are_served() -> None:
    """A 32-bit system is refused in clear words, and so is an old Python."""
    assert platform_trouble(64, "aarch64", (3, 11)) is None
    refused = platform_trouble(32, "armv7l", (3, 11))
    assert refused is not None
    assert "32-bit" in refused[0]
    assert "64-bit Raspberry Pi OS" in refused[1]
    assert platform_trouble(64, "x86_64", (3, 9)) is not None


def test_a_clock_that_was_never_set_or_is_not_kept() -> None:
    """A Pi without a network begins in the past."""
    assert clock_trouble(NOW, True) is None
    assert clock_trouble(NOW, None) is None
    assert clock_trouble(datetime(1970, 1, 1, tzinfo=UTC), None) is not None
    assert clock_trouble(NOW, False) is not None


@pytest.mark.parametrize(
    ("free", "written", "wear", "words"),
    [(1e8, None, None, "0.10 GB are free"), (1e10, 5e10, None, "50 GB a day"), (1e10, None, 0.9, "90% of its life")],
)
def test_a_full_or_a_worn_disk(free: float, written: float | None, wear: float | None, words: str) -> None:
    """Each by its own sentence."""
    (trouble,) = disk_trouble(free, written, wear)
    assert words in trouble[0]


def test_a_healthy_disk() -> None:
    """Nothing is said of it."""
    assert list(disk_trouble(1e10, 1e9, 0.1)) == []


def test_each_services_trouble() -> None:
    """Offline, silent, blind, misconfigured, backed up; and one that is well."""
    health = {
        "well": report(),
        "blind": report(blind="no line has come"),
        "wrong": report(configuration_error="hems.yaml:3: sensor.meter.baud"),
        "slow": report(backlog=5_000),
        "frozen": report(),
    }
    online = dict.fromkeys(health, True) | {"wrong": False}
    found = dict(troubled(["missing"], online, health, frozenset({"well", "blind", "slow"}), 12))
    assert found.pop("well") is None
    said = {name: trouble[0] for name, trouble in found.items() if trouble}
    assert said["missing"] == "is offline"
    assert "hems.yaml:3" in said["wrong"]
    assert "no line has come" in said["blind"]
    assert "5000 messages wait" in said["slow"]
    assert "says nothing any more" in said["frozen"]


def test_a_short_look_does_not_call_a_service_frozen() -> None:
    """Reports come each ten seconds."""
    assert dict(troubled([], {"a": True}, {"a": report()}, frozenset(), 3)) == {"a": None}


def test_what_a_disk_tells(tmp_path: Path) -> None:
    """Bytes a day by the block device's count, after some hours; an eMMC's own estimate of its wear."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/uptime").write_text("43200.0 1.0\n")
    (tmp_path / "stat").write_text(" 1 2 3 4 5 6 2000000 8 9 10 11\n")
    assert written_per_day(tmp_path, tmp_path) == pytest.approx(2 * 2_000_000 * 512)
    (tmp_path / "proc/uptime").write_text("60.0 1.0\n")
    assert written_per_day(tmp_path, tmp_path) is None
    assert wear_share(tmp_path) is None
    (tmp_path / "device").mkdir()
    (tmp_path / "device/life_time").write_text("0x02 0x09\n")
    assert wear_share(tmp_path) == 0.9
    assert synchronised(tmp_path) is None


def test_a_system_that_gives_no_answer_about_its_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not known then, and the doctor goes on."""
    slow = tmp_path / "timedatectl"
    slow.write_text("#!/bin/sh\nexec sleep 10\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("services.doctor.machine._PATIENCE_S", 0.1)
    monkeypatch.setattr("services.doctor.machine._KEPT", "run/no-such-file")
    assert synchronised() is None


@pytest.mark.parametrize(("disk", "worn"), [("mmcblk0", True), ("nvme0n1", False), ("vda", False)])
def test_only_a_card_is_worn_by_what_a_computer_writes(tmp_path: Path, disk: str, worn: bool) -> None:
    """30 GB a day are much for an SD card or an eMMC, and little for another disk."""
    device = tmp_path.stat().st_dev
    block = tmp_path / "sys/block" / disk
    block.mkdir(parents=True)
    (block / "stat").write_text(f"1 2 3 4 5 6 {30_000_000_000 // 512} 8\n")
    (tmp_path / "sys/dev/block").mkdir(parents=True)
    (tmp_path / f"sys/dev/block/{os.major(device)}:{os.minor(device)}").symlink_to(block)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/uptime").write_text("86400.0 1.0\n")
    found = [finding for finding in machine_findings(tmp_path, tmp_path) if finding.subject == "disk"]
    assert ["wears a card out" in finding.says for finding in found] == [worn]


class Pi:
    """A Pi's files below a folder."""

    def __init__(self, root: Path, model: str = "Raspberry Pi 4 Model B Rev 1.4") -> None:
        self.root = root
        for folder in ("proc/device-tree", "boot/firmware", "dev"):
            (root / folder).mkdir(parents=True)
        (root / "proc/device-tree/model").write_text(model + "\0")
        (root / "proc/cmdline").write_text("console=tty1 root=x\n")
        (root / "dev/ttyAMA0").touch()
        self.configure("enable_uart=1\ndtoverlay=disable-bt\n")

    def configure(self, text: str) -> None:
        (self.root / "boot/firmware/config.txt").write_text(text)

    def says(self, port: str = "/dev/ttyAMA0") -> list[str]:
        return [finding.says for finding in uart_findings(port, self.root) if finding.verdict == "look"]


def test_a_pis_uart(tmp_path: Path) -> None:
    """The console on it, Bluetooth on it, switched off, and the Pi 5's other port."""
    pi = Pi(tmp_path / "4")
    assert pi.says() == []
    assert pi.says("/dev/ttyUSB0") == []
    (pi.root / "proc/cmdline").write_text("console=ttyAMA0,115200\n")
    pi.configure("# enable_uart=1\n")
    assert pi.says() == [
        "the system's console talks on /dev/ttyAMA0",
        "the UART is switched off in config.txt",
        "Bluetooth has the good UART",
    ]
    assert "Pi 5's debug port" in Pi(tmp_path / "5", "Raspberry Pi 5 Model B").says("/dev/ttyAMA10")[0]


async def test_the_relays_pins(tmp_path: Path) -> None:
    """An active-low board that is ON at boot, pins that may not be driven, a board on a computer without pins."""
    relays = {"heater": {"pin": 24, "active": "low", "safe": "off"}}
    configuration = Configuration("hems.yaml", {"actuator": {"board": "gpio", "relays": relays}}, {})
    pi = Pi(tmp_path / "pi")
    said = [finding.says for finding in await check_relays(HomeSeen(configuration, None, 1, pi.root))]
    assert "there is no /dev/gpiochip0" in said
    assert any("this relay is ON until the actuator starts" in words for words in said)
    elsewhere = [finding.says for finding in await check_relays(HomeSeen(configuration, None, 1, tmp_path))]
    assert "this is no Raspberry Pi: nothing is switched" in elsewhere
