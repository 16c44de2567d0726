"""`make chaos ARGS=--containers`: what a run leaves behind that was killed; `make test-containers ARGS="-m containers"` looks."""

import os
from pathlib import Path

import pytest

from tests.chaos.in_containers import METER, PROJECT
from tests.support.chaos_run import disturbed_home, kill
from tests.support.containers import docker
from tests.support.waiting import until

pytestmark = [
    pytest.mark.containers,
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.geteuid() != 0, reason="a port that a container may open is made by root"),
]


def left() -> str:
    """What there is of the run's containers, volumes and networks."""
    label = f"label=com.docker.compose.project={PROJECT}"
    kinds = (("ps", "--all"), ("volume", "ls"), ("network", "ls"))
    return "".join(docker(*kind, "--quiet", "--filter", label) for kind in kinds)


async def test_a_killed_run_leaves_no_container_volume_network_or_meter(tmp_path: Path) -> None:
    """Whoever looks a minute later finds nothing of it."""
    with disturbed_home(tmp_path / "home", "--containers") as run:
        assert left()
        assert METER.is_symlink()
        kill(run)
        await until(lambda: not left(), 90)
        await until(lambda: not METER.is_symlink() and str(tmp_path) not in Path("/proc/mounts").read_text(), 30)
