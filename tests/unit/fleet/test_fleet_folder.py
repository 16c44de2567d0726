"""What `hems fleet` writes."""

import re
from pathlib import Path

import bcrypt
import pytest
from click.testing import CliRunner, Result

from hems.contracts.fleet import FROM_HOME, TO_HOME, partition_of
from services.fleet.bridge import bridge_configuration
from services.fleet.command import fleet
from services.fleet.folder import Unusable, read_homes


def made(folder: Path, homes: str, *options: str) -> Result:
    """Run the command on a list of homes."""
    (folder / "homes.txt").write_text(homes)
    return CliRunner().invoke(
        fleet, [str(folder / "fleet"), "--homes", str(folder / "homes.txt"), "--address", "mqtt.example.org:8883", *options]
    )


def test_each_home_gets_a_user_a_password_and_a_bridge(tmp_path: Path) -> None:
    """The list knows the hash, only the home's own bridge and the password's private file know the password."""
    done = made(tmp_path, "# north\ncottage\nflat-2  # upstairs\n")
    assert done.exit_code == 0, done.output
    access = (tmp_path / "fleet/nats/access.conf").read_text()
    for home in ("cottage", "flat-2"):
        password = (tmp_path / f"fleet/passwords/home-{home}").read_text()
        bridge = tmp_path / f"fleet/homes/{home}/bridge.conf"
        found = re.search(rf'user: "home-{home}", password: "([^"]+)"', access)
        assert found
        assert bcrypt.checkpw(password.encode(), found[1].encode())
        assert f"remote_password {password}\n" in bridge.read_text()
        assert password not in access
        assert f'"hems-p.{partition_of(home)}.{home}.mains"' in access
        assert bridge.stat().st_mode & 0o077 == 0


def test_a_simulator_comes_in_only_where_it_is_asked_for(tmp_path: Path) -> None:
    """It may say any home's readings, and nothing else."""
    made(tmp_path, "cottage\n")
    assert "simulator" not in (tmp_path / "fleet/nats/access.conf").read_text()
    made(tmp_path, "cottage\n", "--simulator")
    (line,) = (line for line in (tmp_path / "fleet/nats/access.conf").read_text().splitlines() if "simulator" in line)
    assert 'publish: {allow: ["hems-p.*.*.mains"]}' in line


def test_a_second_run_changes_no_password_and_no_hash(tmp_path: Path) -> None:
    """Homes that are there keep their lines, so that a node that reads the list anew leaves them connected."""
    made(tmp_path, "cottage\n")
    before = (tmp_path / "fleet/nats/access.conf").read_text().splitlines()
    made(tmp_path, "cottage\nflat-2\n")
    after = (tmp_path / "fleet/nats/access.conf").read_text().splitlines()
    assert set(before) < set(after)
    assert [line for line in after if line not in before] == [line for line in after if "home-flat-2" in line]


def test_nodes_and_bridges_speak_tls_unless_they_are_told_not_to(tmp_path: Path) -> None:
    """Both or neither: a bridge that wants TLS of a node that has none would never get through."""
    made(tmp_path, "cottage\n", "--certificate", "/etc/x/node.pem", "--key", "/etc/x/node.key")
    listener, bridge = (tmp_path / "fleet" / path for path in ("nats/tls.conf", "homes/cottage/bridge.conf"))
    assert 'cert_file: "/etc/x/node.pem", key_file: "/etc/x/node.key"' in listener.read_text()
    assert "bridge_cafile" in bridge.read_text()
    made(tmp_path, "cottage\n", "--no-tls")
    assert "tls {" not in listener.read_text()
    assert "bridge_cafile" not in bridge.read_text()


@pytest.mark.parametrize(
    ("homes", "words"),
    [("My Home\n", "line 1: 'My Home' can't be a home's id"), ("a\nb\na\n", "line 1: 'a' is there twice"), ("a.b", "can't be a home's id")],
)
def test_a_list_that_can_not_be_used_is_refused_with_its_line(tmp_path: Path, homes: str, words: str) -> None:
    """Nothing is written, and the sentence says which line and what to do."""
    done = made(tmp_path, homes)
    assert done.exit_code == 78
    assert words in done.output
    assert not (tmp_path / "fleet").exists()
    with pytest.raises(Unusable):
        read_homes(homes)


def test_the_bridge_passes_each_topic_one_way() -> None:
    """Out what the home says, queued; in what the cluster says, with QoS 0, so that nothing waits for the home there."""
    text = bridge_configuration("cottage", "secret", ["a:8883", "b:8883"], "/etc/ca.pem")
    lines = re.findall(r"^topic (\S+) (in|out|both) (\d)$", text, flags=re.MULTILINE)
    assert len(lines) == len(FROM_HOME) + len(TO_HOME)
    assert {way for _, way, _ in lines} == {"in", "out"}
    assert all(qos == "0" for _, way, qos in lines if way == "in")
    assert ("hems/cottage/mains", "out", "1") in lines
    assert [name for name, _, _ in lines if "/set" in name] == ["hems/cottage/relay/+/set/fleet"]
    assert "addresses a:8883 b:8883\n" in text
    assert "bridge_cafile /etc/ca.pem\n" in text
    assert "cafile" not in bridge_configuration("cottage", "secret", ["a:1883"], None)
