"""`hems install-service`: systemd's own tool reads the unit, and judges how little it may do."""

import ctypes.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.supervisor.install_command import closed_to_others, install_service
from services.supervisor.systemd_unit import Installation

TOOL = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(TOOL is None, reason="this computer has no systemd")


def _written(folder: Path, installation: Installation) -> Path:
    path = folder / "hems.service"
    path.write_text(installation.unit())
    return path


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TOOL or "", *arguments], capture_output=True, text=True, check=False)


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say of the unit."""
    secret = tmp_path / "HEMS_NOTIFIER__TWILIO__AUTH_TOKEN"
    secret.write_text("x")
    path = _written(tmp_path, Installation(Path("/bin/true"), tmp_path / "hems.yaml", [secret], ["dialout"]))
    done = _analyze("verify", "--man=no", str(path))
    assert (done.returncode, [line for line in done.stderr.splitlines() if "hems.service" in line]) == (0, [])


@needs_systemd
def test_systemd_calls_it_well_confined(tmp_path: Path) -> None:
    """Its exposure, from 0 to 10, is at most 2.5: "OK" in systemd's own words; a unit with no limits has 9.6."""
    done = _analyze("security", "--offline=true", "--threshold=25", "--no-pager", str(_written(tmp_path, Installation(Path("/bin/true")))))
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not ctypes.util.find_library("seccomp"), reason="this computer has no libseccomp")
def test_what_the_filter_refuses_ends_no_service() -> None:
    """Under the unit's own filter the networks can be loaded: what systemd refuses is answered by an error, not by the end."""
    unit = Installation(Path("/bin/true")).unit()
    assert "SystemCallFilter=~@privileged @resources\n" in unit
    assert "SystemCallErrorNumber=EPERM\n" in unit
    done = subprocess.run([sys.executable, "-c", _UNDER_A_FILTER], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "90000.0\n"), done.stderr


_UNDER_A_FILTER = """
import ctypes, ctypes.util, errno
seccomp = ctypes.CDLL(ctypes.util.find_library("seccomp"))
seccomp.seccomp_init.restype = ctypes.c_void_p
allow, refuse = 0x7FFF0000, 0x00050000 | errno.EPERM
filter = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(allow)))
for name in (b"mbind", b"set_mempolicy", b"sched_setaffinity", b"sched_setscheduler", b"setpriority", b"chown", b"fchown"):
    assert seccomp.seccomp_rule_add(filter, ctypes.c_uint32(refuse), seccomp.seccomp_syscall_resolve_name(name), 0) == 0
assert seccomp.seccomp_load(filter) == 0
from services.disaggregator.onnx_model import load_all
from services.disaggregator.settings import DisaggregatorSettings
import numpy
networks, refused = load_all(DisaggregatorSettings().models)
assert networks and not refused
square = numpy.ones((300, 300))
print(float((square @ square).sum() / 300))
"""


def test_secrets_are_credentials_and_groups_are_those_that_exist() -> None:
    """The unit names the files of secrets, not what is in them, and the groups of serial ports and pins."""
    unit = Installation(Path("/x/hems"), None, [Path("/etc/hems/secrets/HEMS_A__B")], ["dialout", "gpio"]).unit()
    assert "LoadCredential=HEMS_A__B:/etc/hems/secrets/HEMS_A__B\nEnvironment=HEMS_A__B_FILE=%d/HEMS_A__B\n" in unit
    assert "SupplementaryGroups=dialout gpio\n" in unit
    assert "DynamicUser=yes\n" in unit
    assert "ProtectSystem=strict\n" in unit
    assert "WatchdogSec=30\n" in unit


def test_the_command_writes_the_unit_with_what_is_there(tmp_path: Path) -> None:
    """It takes the configuration and the secrets that exist, and says where the unit is."""
    (tmp_path / "hems.yaml").write_text("")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "HEMS_A__B").write_text("planted")
    places = ["--config", str(tmp_path / "hems.yaml"), "--secrets", str(tmp_path / "secrets"), "--directory", str(tmp_path)]
    done = CliRunner().invoke(install_service, places)
    assert done.exit_code == 0, done.output
    unit = (tmp_path / "hems.service").read_text()
    assert f"--config {tmp_path}/hems.yaml\n" in unit
    assert "HEMS_A__B_FILE=%d/HEMS_A__B" in unit
    assert "planted" not in unit
    refused = CliRunner().invoke(install_service, [*places[:-1], str(tmp_path / "missing")])
    assert refused.exit_code == 1
    assert "run this with sudo" in refused.output


def test_a_program_that_the_services_user_can_not_reach_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home folder that only its owner may enter, as Debian makes them: the unit would fail with status 203."""
    home = tmp_path / "pi"
    (home / "hems/.venv/bin").mkdir(parents=True)
    tmp_path.chmod(0o755)
    monkeypatch.setattr("sys.prefix", str(home / "hems/.venv"))
    home.chmod(0o700)
    seen = [folder for folder in home.parents if not folder.stat().st_mode & 0o1]
    assert closed_to_others([home / "hems/.venv"]) == (seen[-1] if seen else home)
    done = CliRunner().invoke(install_service, ["--directory", str(tmp_path)])
    assert done.exit_code == 0
    assert "who may not enter" in done.output
    assert closed_to_others([Path("/bin/sh")]) is None


def test_a_configuration_that_the_services_user_can_not_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sudo hems setup` writes it for root alone."""

    def reachable(_: object) -> None:
        return None

    monkeypatch.setattr("services.supervisor.install_command.closed_to_others", reachable)
    file = tmp_path / "hems.yaml"
    file.write_text("")
    for mode, told in ((0o600, True), (0o644, False)):
        file.chmod(mode)
        done = CliRunner().invoke(install_service, ["--directory", str(tmp_path), "--config", str(file)])
        assert ("chmod o+r" in done.output) is told
