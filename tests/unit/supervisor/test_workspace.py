"""The folder that a home lives in."""

import socket
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from hems.setting_up.places import is_up
from services.supervisor.plan import Wishes, decide
from services.supervisor.settings import SupervisorSettings
from services.supervisor.workspace import Occupied, Workspace, free_port, only_one


def test_passwords_stay_from_start_to_start_and_are_private(tmp_path: Path) -> None:
    """A second start keeps the passwords of the first; nobody else may read them."""
    workspace = Workspace(tmp_path)
    workspace.prepare_broker(host="127.0.0.1", port=1, prefix="hems", home="home")
    first = workspace.password_file("sensor").read_text()
    workspace.prepare_broker(host="127.0.0.1", port=1, prefix="hems", home="home")
    assert workspace.password_file("sensor").read_text() == first
    assert first != workspace.password_file("client").read_text()
    assert stat.S_IMODE(workspace.password_file("sensor").stat().st_mode) == 0o600


def test_the_clients_account_is_complete_and_private(tmp_path: Path) -> None:
    """`mqtt.env` holds what a person's own client needs, mode 0600."""
    workspace, account = Workspace(tmp_path), tmp_path / "mqtt.env"
    workspace.prepare_broker(host="127.0.0.1", port=1234, prefix="hems", home="flat")
    workspace.write_client_account(account, host="127.0.0.1", port=1234, prefix="hems", home="flat")
    values = dict(line.split("=", 1) for line in account.read_text().splitlines())
    assert values["MQTT_PORT"] == "1234"
    assert values["MQTT_USER"] == "client"
    assert values["MQTT_PASSWORD"] == workspace.password_file("client").read_text()
    assert values["MQTT_TOPICS"] == "hems/flat/#"
    assert stat.S_IMODE(account.stat().st_mode) == 0o600


def test_two_may_not_work_in_one_folder(tmp_path: Path) -> None:
    """The second `hems up` is told to go elsewhere, and may come once the first has left."""
    with only_one(tmp_path / "var.lock"), pytest.raises(Occupied, match="another"), only_one(tmp_path / "var.lock"):
        pass
    with only_one(tmp_path / "var.lock"):
        pass


def test_a_home_that_runs_is_known_by_its_own_folder(tmp_path: Path) -> None:
    """Nothing is written beside the folder, where systemd lets a service write nothing; the demo's lock outlives its folder's contents."""
    plan = decide(Wishes(tmp_path / "var"))
    assert not is_up(tmp_path / "var")
    with only_one(plan.lock):
        assert is_up(tmp_path / "var")
    assert not is_up(tmp_path / "var")
    assert [path.name for path in tmp_path.iterdir()] == ["var"]
    demo = decide(Wishes(tmp_path / "var", demo=True))
    assert not demo.lock.is_relative_to(demo.workspace.directory)


def test_state_is_kept_where_the_configuration_says(tmp_path: Path) -> None:
    """`storage.directory` holds for `hems up` as for all other commands; the command line goes over it."""
    file = tmp_path / "hems.yaml"
    file.write_text(f"storage: {{directory: {tmp_path / 'disk'}}}\n")
    assert decide(Wishes(configuration=file)).workspace.directory == tmp_path / "disk"
    assert decide(Wishes(tmp_path / "var", configuration=file)).workspace.directory == tmp_path / "var"


def test_a_service_that_does_not_exist_is_a_mistake() -> None:
    """A misspelt name would be started again and again; one that stands twice would end its own double's session."""
    with pytest.raises(ValidationError, match="'senser' is no service; there are sensor"):
        SupervisorSettings.read({"services": ["senser"]}, {})
    assert SupervisorSettings.read({"services": ["sensor", "recorder", "sensor"]}, {}).services == ("sensor", "recorder")


def test_a_taken_port_is_passed_over() -> None:
    """The demo takes the next free port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port("127.0.0.1", port) > port


def test_the_demo_is_on_loopback_and_reads_no_file_of_a_person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `hems.yaml` with a real meter and a broker elsewhere does not touch the demo."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hems.yaml").write_text("home: {id: mine}\nbroker: {host: 192.0.2.1, tls: true}\n")
    plan = decide(Wishes(tmp_path / "var", demo=True))
    assert (plan.broker.host, plan.broker.tls, plan.home) == ("127.0.0.1", False, "home")
    assert plan.workspace.directory == tmp_path / "var" / "demo"
    assert Path(plan.of("sensor")["HEMS_CONFIG"]).name == "demo.yaml"


def test_each_service_gets_its_own_password_and_one_clock(tmp_path: Path) -> None:
    """The environments differ in the password's file alone."""
    plan = decide(Wishes(tmp_path / "var", demo=True, speed=60))
    sensor, other = plan.of("sensor"), plan.of("disaggregator")
    assert {name for name in sensor if sensor[name] != other[name]} == {"HEMS_BROKER__PASSWORD_FILE"}
    assert sensor["HEMS_CLOCK__RATE"] == "60"


def test_what_a_person_adds_to_the_broker_is_read_and_stays(tmp_path: Path) -> None:
    """A bridge in conf.d is there after the next start, and the configuration names the folder."""
    workspace = Workspace(tmp_path)
    configuration = workspace.prepare_broker(host="127.0.0.1", port=1, prefix="hems", home="home")
    added = tmp_path / "broker" / "conf.d" / "bridge.conf"
    added.write_text("# a bridge")
    workspace.prepare_broker(host="127.0.0.1", port=1, prefix="hems", home="home")
    assert added.read_text() == "# a bridge"
    assert f"include_dir {added.parent}\n" in configuration.read_text()
