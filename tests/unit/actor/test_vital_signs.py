"""What a supervisor and a health check see of a service."""

import asyncio
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hems.actor.health import Health
from hems.actor.vital_signs import VitalSigns
from tests.support.waiting import until

NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def _shown(signs: VitalSigns, file: Path) -> str:
    showing = asyncio.create_task(signs.show())
    await until(file.exists)
    showing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await showing
    return file.read_text()  # noqa: ASYNC240


@pytest.mark.parametrize(
    ("connected", "blind", "shown"),
    [(True, None, "works\n"), (False, None, "no connection to the broker\n"), (True, "the meter is away", "the meter is away\n")],
)
async def test_the_health_file_says_works_or_why_not(connected: bool, blind: str | None, shown: str, tmp_path: Path) -> None:
    """One line: `works` while the broker is there and nothing stands in the way of the work, else the reason."""
    health = Health(NOW)
    health.blind = blind
    file = tmp_path / "health"
    assert await _shown(VitalSigns(health, lambda: connected, {"HEMS_HEALTH_FILE": str(file)}), file) == shown


@pytest.mark.parametrize("abstract", [False, True])
async def test_systemd_is_told_of_the_start_the_life_and_the_end(abstract: bool, tmp_path: Path) -> None:
    """READY, then WATCHDOG with the state, and STOPPING, as sd_notify(3) has it, on a named and on an abstract socket."""
    name = f"@hems-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name[1:]}" if abstract else name)
        systemd.settimeout(5)
        file = tmp_path / "health"
        await _shown(VitalSigns(Health(NOW), lambda: False, {"NOTIFY_SOCKET": name, "HEMS_HEALTH_FILE": str(file)}), file)
        said = [systemd.recv(1_000).decode() for _ in range(3)]
    assert said == ["READY=1", "WATCHDOG=1\nSTATUS=no connection to the broker", "STOPPING=1"]


async def test_nobody_who_listens_and_a_full_disk_stop_nothing(tmp_path: Path) -> None:
    """A socket that is gone and a folder that is missing are passed over: the service works on."""
    signs = VitalSigns(
        Health(NOW), lambda: True, {"NOTIFY_SOCKET": str(tmp_path / "gone"), "HEMS_HEALTH_FILE": str(tmp_path / "no" / "health")}
    )
    showing = asyncio.create_task(signs.show())
    await asyncio.sleep(0.01)
    assert not showing.done()
    showing.cancel()
