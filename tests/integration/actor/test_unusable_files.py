"""A service whose files can't be used."""

from pathlib import Path

from tests.support.broker import RealBroker
from tests.support.services import ServiceProcess, environment_of


def test_it_ends_with_a_sentence_and_not_as_a_bug(shared_mosquitto: RealBroker, tmp_path: Path) -> None:
    """Where its database can't be opened, as on a full disk, the log says what to do, and the status is that of a failure."""
    (tmp_path / "files" / "load_manager.db").mkdir(parents=True)
    service = ServiceProcess("load_manager", environment_of("load_manager", shared_mosquitto, tmp_path, "files"), tmp_path / "log")
    service.start()
    assert service.wait() == 1
    assert "free some disk space" in service.log
    assert "a bug" not in service.log
