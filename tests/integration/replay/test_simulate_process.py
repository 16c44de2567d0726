"""`hems simulate` on a real broker."""

import csv
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.replay.simulate_command import simulate
from tests.support.broker import RealBroker


def test_every_reading_is_acknowledged_and_written_down(
    shared_mosquitto: RealBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty homes for two seconds, over three connections: a table at the end, and a row for each reading."""
    monkeypatch.setenv("HEMS_BROKER__PORT", str(shared_mosquitto.port))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "password").write_text(shared_mosquitto.password("sensor") + "\n")
    options = "--homes 40 --period 0.5 --for 2 --connections 3 --password-file password --acknowledged said.csv"
    done = CliRunner().invoke(simulate, options.split())
    assert done.exit_code == 0, done.output
    with Path("said.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert 100 <= len(rows) <= 160
    assert len({row["home"] for row in rows}) == 40
    assert all(float(row["acknowledged_at_s"]) >= float(row["measured_at_s"]) for row in rows)
    assert f"acknowledged                           {len(rows)}\n" in done.output
    assert "not acknowledged at the end            0\n" in done.output


def test_a_folder_without_recordings_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No trace: what is wrong, and what would help."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(simulate, ["--homes", "1", "--recordings", str(tmp_path)])
    assert done.exit_code == 1
    assert "holds no recordings; those of `hems convert` end in .parquet" in done.output
