"""What the machine tells about itself."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from hems.setting_up.findings import Finding, left_out, look, well
from services.doctor.domain.judging import GIGABYTE, clock_trouble, disk_trouble, platform_trouble

_SECTOR_BYTES = 512
_SECTORS_WRITTEN = 6
_DAY_S = 86_400
_PATIENCE_S = 5.0
_KEPT = "run/systemd/timesync/synchronized"


def machine_findings(directory: Path, root: Path = Path("/")) -> Iterator[Finding]:
    """The platform, the clock, and the disk that `directory` is on."""
    trouble = platform_trouble(sys.maxsize.bit_length() + 1, platform.machine(), sys.version_info[:2])
    model = _text(root / "proc/device-tree/model").strip("\0\n") or platform.machine()
    yield look("system", *trouble) if trouble else well("system", f"{model}, 64 bits, Python {platform.python_version()}")
    yield _clock(root)
    yield from _disk(directory, root)


def _clock(root: Path) -> Finding:
    now, kept = datetime.now(UTC), synchronised(root)
    if trouble := clock_trouble(now, kept):
        return look("clock", *trouble)
    if kept is None:
        return left_out("clock", f"it says {now:%Y-%m-%d %H:%M} UTC; whether anything keeps it can't be told here")
    return well("clock", f"{now:%Y-%m-%d %H:%M} UTC, kept by a time server")


def synchronised(root: Path = Path("/")) -> bool | None:
    """Whether a time server keeps the clock; None where that can't be told."""
    if (root / _KEPT).exists():
        return True
    program = shutil.which("timedatectl")
    if program is None or root != Path("/"):
        return None
    try:
        command = [program, "show", "-p", "NTPSynchronized", "--value"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(asked.stdout.strip())


def _disk(directory: Path, root: Path) -> Iterator[Finding]:
    there = next(folder for folder in (directory.absolute(), *directory.absolute().parents) if folder.exists())
    if not os.access(there, os.W_OK):
        yield look("disk", f"{there} can't be written by this user", f"give it to the user that runs hems: `sudo chown -R $USER {there}`")
        return
    free = shutil.disk_usage(there).free
    block = _block_device(there, root)
    written, wear = written_per_day(block, root) if block else None, wear_share(block) if block else None
    troubles = [*disk_trouble(free, written if block and _is_card(block) else None, wear)]
    daily = f", {written / GIGABYTE:.1f} GB a day written" if written is not None else ""
    yield from [look("disk", *trouble) for trouble in troubles] or [well("disk", f"{free / GIGABYTE:.1f} GB free{daily}")]


def _is_card(block: Path) -> bool:
    """An SD card or an eMMC: other disks bear many times as much."""
    return block.name.startswith("mmcblk")


def _block_device(folder: Path, root: Path) -> Path | None:
    device = folder.stat().st_dev
    part = root / "sys/dev/block" / f"{os.major(device)}:{os.minor(device)}"
    try:
        real = part.resolve(strict=True)
    except OSError:
        return None
    return real.parent if (real / "partition").exists() else real


def written_per_day(block: Path, root: Path = Path("/")) -> float | None:
    """Bytes a day that have gone to a disk since the system's start (Linux, Documentation/block/stat.rst)."""
    try:
        sectors = int(_text(block / "stat").split()[_SECTORS_WRITTEN])
        up_s = float(_text(root / "proc/uptime").split()[0])
    except (IndexError, ValueError):
        return None
    # Starting writes much: an hour's figure says nothing about a day.
    return sectors * _SECTOR_BYTES * _DAY_S / up_s if up_s >= _DAY_S / 4 else None


def wear_share(block: Path) -> float | None:
    """How much of its life an eMMC says that it has used, 0..1, in steps of a tenth (JEDEC eMMC 5.0); SD cards say nothing."""
    steps = [int(word, 16) for word in _text(block / "device/life_time").split() if word.startswith("0x")]
    return max(steps) / 10 if steps and max(steps) else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
