"""`make chaos` itself: what it judges by, and what it leaves behind."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.caretaker import cleared_up
from tests.support.chaos_run import disturbed_home, kill, processes_of
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(600)


def test_what_was_begun_is_cleared_up(tmp_path: Path) -> None:
    """The commands run when the context is left, and not before."""
    with cleared_up(f"touch '{tmp_path}/done'"):
        assert not (tmp_path / "done").exists()
    assert (tmp_path / "done").exists()


@pytest.mark.long
async def test_a_killed_run_leaves_no_process_and_no_disk(tmp_path: Path) -> None:
    """Services, broker and caretaker have gone with it, and the small disk is unmounted."""
    folder = tmp_path / "home"
    with disturbed_home(folder) as run:
        assert len(processes_of(folder)) > 7
        kill(run)
        await until(lambda: not processes_of(folder), 60)
        await until(lambda: str(folder) not in Path("/proc/mounts").read_text(), 60)


@pytest.mark.long
@pytest.mark.parametrize("seed", [4, 10])
def test_promises_hold_under_thirty_faults(seed: int) -> None:
    """Kills, freezes, cuts, full disks, clock jumps, pulled cables and rubbish: nothing accepted is lost, and relays stay safe."""
    command = [sys.executable, "-m", "tests.chaos", "--faults", "30", "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6_000:]
