"""`make chaos`, shortened: a home of real processes under faults that a seed draws."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.mark.parametrize("seed", [1, 10])
def test_promises_hold_under_thirty_faults(seed: int) -> None:
    """Kills, freezes, cuts, full disks, clock jumps, pulled cables and rubbish: nothing accepted is lost, and relays stay safe."""
    command = [sys.executable, "-m", "tests.chaos", "--faults", "30", "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6_000:]
