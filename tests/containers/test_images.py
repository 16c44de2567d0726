"""What is in an image: its own packages, and no secret."""

import subprocess
from pathlib import Path

import pytest

from scripts.tell import ROOT
from scripts.uv import find_uv, uv_environment
from services.supervisor.settings import READY
from tests.support.containers import docker

pytestmark = [pytest.mark.containers, pytest.mark.timeout(300)]
CLOUD = "bridge_adafruit"


@pytest.mark.parametrize("service", sorted({*READY, "replay"} - {CLOUD}))
def test_a_service_and_its_command_find_their_packages(service: str) -> None:
    """Its own extra is enough for both; naming the appliances in files needs what reads files."""
    names = [f"services.{service}.__main__", *([] if service == "disaggregator" else [f"services.{service}.command"])]
    load = (
        "import importlib, importlib.util\n"
        f"for name in {names}:\n"
        "    if importlib.util.find_spec(name): importlib.import_module(name)\n"
        "print('all')"
    )
    assert docker("run", "--rm", "--network", "none", f"hems-{service}", "python3", "-c", load) == "all\n"


@pytest.mark.parametrize("service", sorted({*READY, "replay"} - {CLOUD}))
def test_an_image_holds_no_other_service(service: str) -> None:
    """Neither another's code nor tests, tools or a package installer."""
    code = docker("run", "--rm", "--network", "none", f"hems-{service}", "ls", "/opt/hems/code", "/opt/hems/code/services").split()
    assert {name for name in code if not name.startswith("/") and "_" not in name[:2]} == {"hems", "services", "cli.py", service}
    finding = "ls /opt/hems/bin; command -v pip pip3 uv gcc || true"
    tools = docker("run", "--rm", "--network", "none", f"hems-{service}", "sh", "-c", finding)
    assert not {"pip", "uv", "gcc"} & set(tools.replace("/", " ").split())


def test_every_package_is_there_for_a_raspberry_pi(tmp_path: Path) -> None:
    """The lock file resolves to ready-made packages for 64-bit Debian 12 on ARM, by their hashes: nothing is compiled there."""
    lock = ROOT / "requirements" / "run.txt"
    platform = ["--python-platform", "aarch64-manylinux_2_36", "--python-version", "3.11", "--only-binary", ":all:"]
    command = [find_uv(), "pip", "install", "--dry-run", "--no-deps", "--require-hashes", *platform, "--target", tmp_path, "-r", lock]
    done = subprocess.run(command, env=uv_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Would install" in done.stderr
