"""The commands of the history."""

import contextlib
import csv
import resource
import signal
import sqlite3
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as pq  # pyright: ignore[reportMissingTypeStubs]
import pytest
from click.testing import CliRunner, Result

from services.recorder import command
from services.recorder.database import only_user

START = datetime(2025, 1, 6, 7, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a hems.yaml, which the commands find."""
    (tmp_path / "hems.yaml").write_text("recorder: {tariff: {kind: flat, per_kwh: 0.3, standing_charge_per_day: 0.5}}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HEMS_STORAGE__DIRECTORY", str(tmp_path / "var"))
    monkeypatch.delenv("HEMS_CONFIG", raising=False)
    return tmp_path


def _run(name: Any, *arguments: str, status: int = 0, **options: Any) -> Result:
    result = CliRunner().invoke(name, list(arguments), **options)
    assert result.exit_code == status, result.output
    return result


def _readings(file: Path, *, hours: float, power_w: float, start: datetime = START, device: str = "main", every_s: int = 30) -> None:
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["time", "device_id", "power"])
        for second in range(0, int(hours * 3_600) + 1, every_s):
            writer.writerow([(start + timedelta(seconds=second)).isoformat(), device, power_w])


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as rows:
        return list(csv.DictReader(rows))


def test_what_is_imported_is_exported(folder: Path) -> None:
    """Readings come in as CSV and go out as CSV and as Parquet, the same; importing them twice makes no second row."""
    _readings(folder / "old.csv", hours=1, power_w=1_000)
    for _ in range(2):
        assert "121 readings" in _run(command.import_, "old.csv").output
    assert "121 rows" in _run(command.export, "--from", "2025-01-01", "out.csv").output
    rows = _rows(folder / "out.csv")
    assert (len(rows), rows[0]["time"], rows[0]["power_w"]) == (121, "2025-01-06T07:00:00+00:00", "1000.0")
    _run(command.export, "--from", "2025-01-01", "--format", "parquet", "out.parquet")
    arrow: Any = pq
    table = arrow.read_table(folder / "out.parquet")
    assert table.column("power_w").to_pylist() == [1_000.0] * 121
    assert table.column("time")[0].as_py() == START
    _run(command.export, "--from", "2025-01-01", "--what", "1h", "hours.csv")
    (hour,) = [row for row in _rows(folder / "hours.csv") if float(row["energy_kwh"]) > 0.01]
    assert (float(hour["energy_kwh"]), float(hour["cost"])) == (pytest.approx(1.0), pytest.approx(0.3))


@pytest.mark.usefixtures("folder")
def test_the_history_of_hems_up_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`hems up` keeps it in `var/homes`: the commands find it there, though another folder of the home lies beside it."""
    (tmp_path / "var/home").mkdir(parents=True)
    monkeypatch.setenv("HEMS_STORAGE__DIRECTORY", str(tmp_path / "var/homes"))
    _readings(tmp_path / "a.csv", hours=1, power_w=1_000)
    _run(command.import_, "a.csv")
    monkeypatch.delenv("HEMS_STORAGE__DIRECTORY")
    assert "121 rows" in _run(command.export, "--from", "2025-01-01", "out.csv").output
    assert "1.0 kWh" in _run(command.report, "--month", "2025-01").output
    _run(command.backup, "backup.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "backup.db")) as connection:
        assert connection.execute("SELECT count(*) FROM mains").fetchone() == (121,)


def test_where_there_is_no_history_none_is_made(folder: Path) -> None:
    """In the wrong folder a backup of nothing would look like one: it is refused, and so are report, export and recost."""
    for name, *arguments in (
        (command.backup, "backup.db"),
        (command.report,),
        (command.export, "--from", "2025-01-01", "out.csv"),
        (command.recost, "--from", "2025-01-01"),
    ):
        assert "there is no history in" in _run(name, *arguments, status=1).output
    assert {path.name for path in folder.iterdir()} == {"hems.yaml"}


def test_an_export_of_nothing_leaves_no_file(folder: Path) -> None:
    """Nor does it empty one that is there."""
    _readings(folder / "a.csv", hours=1, power_w=1_000)
    _run(command.import_, "a.csv")
    (folder / "out.csv").write_text("mine")
    for form in ("csv", "parquet"):
        assert "Nothing is kept" in _run(command.export, "--from", "2026-01-01", "--format", form, f"out.{form}").output
    assert (folder / "out.csv").read_text() == "mine"
    assert not (folder / "out.parquet").exists()


def test_a_recording_and_what_was_said_of_it_come_in(folder: Path) -> None:
    """Parquet brings the mains, gaps left out, and the appliances that `hems disaggregate` found; the sums know both."""
    arrow, parquet = cast("Any", pa), cast("Any", pq)
    times = [START + timedelta(seconds=30 * place) for place in range(121)]
    watts = [2_000.0] * 121
    watts[10] = float("nan")
    parquet.write_table(arrow.table({"timestamp": times, "mains": watts}), folder / "mains.parquet")
    on = [40 <= place < 80 for place in range(121)]
    said = {"kettle_probability": [0.9 if one else 0.1 for one in on], "kettle_running": on, "kettle_power_w": [1_500.0] * 121}
    parquet.write_table(arrow.table({"timestamp": times, **said}), folder / "said.parquet")
    assert "120 readings" in _run(command.import_, "mains.parquet").output
    for _ in range(2):
        assert "2 starts and ends" in _run(command.import_, "said.parquet").output
    _run(command.export, "--from", "2025-01-01", "--what", "1d", "days.csv")
    used = {row["appliance"]: float(row["energy_kwh"]) for row in _rows(folder / "days.csv")}
    assert used == {"": pytest.approx(2.0), "kettle": pytest.approx(0.5)}
    assert "2 rows" in _run(command.export, "--from", "2025-01-01", "--what", "events", "events.csv").output


def test_a_broken_parquet_file_is_refused(folder: Path) -> None:
    """In a sentence."""
    (folder / "odd.parquet").write_text("no Parquet")
    assert "can't be read as Parquet" in _run(command.import_, "odd.parquet", status=1).output


def test_a_file_of_several_devices_needs_a_name(folder: Path) -> None:
    """The error names the devices; with one named, its readings come in."""
    text = "time,device_id,power\n2025-01-06T07:00:00Z,main,10\n2025-01-06T07:00:00Z,fridge,5\nrubbish\n"
    (folder / "two.csv").write_text(text)
    assert "fridge, main" in _run(command.import_, "two.csv", status=1).output
    assert "1 readings are in the history; 1 lines" in _run(command.import_, "--device", "main", "two.csv").output


def test_a_file_of_another_kind_is_refused(folder: Path) -> None:
    """The error says what the first line must name."""
    (folder / "odd.csv").write_text("a,b\n1,2\n")
    assert "it must name a time" in _run(command.import_, "odd.csv", status=1).output


def test_a_backup_is_restored(folder: Path) -> None:
    """A backup holds everything; after more readings, restoring it brings back what it held and keeps the other file."""
    _readings(folder / "a.csv", hours=1, power_w=1_000)
    _readings(folder / "b.csv", hours=1, power_w=2_000, start=START + timedelta(hours=2))
    _run(command.import_, "a.csv")
    _run(command.backup, "backup.db")
    assert "exists already" in _run(command.backup, "backup.db", status=1).output
    _run(command.import_, "b.csv")
    assert "Nothing was changed" in _run(command.restore, "backup.db", input="n\n").output
    assert "kept as" in _run(command.restore, "--yes", "backup.db").output
    assert "121 rows" in _run(command.export, "--from", "2025-01-01", "out.csv").output


def test_a_backup_that_finds_no_room_says_so(folder: Path) -> None:
    """One sentence, no half of a file, and the history as it was."""
    _readings(folder / "a.csv", hours=24, power_w=1_000)
    _run(command.import_, "a.csv")
    with _no_file_larger_than((folder / "var/home/history.db").stat().st_size // 2):
        assert "see that there is room" in _run(command.backup, "backup.db", status=1).output
    assert list(folder.glob("backup*")) == []
    _run(command.backup, "backup.db")


@contextlib.contextmanager
def _no_file_larger_than(size: int) -> Generator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_restore_under_a_running_recorder_is_refused(folder: Path) -> None:
    """Files are not exchanged under a service that has them open."""
    _readings(folder / "a.csv", hours=0.1, power_w=1_000)
    _run(command.import_, "a.csv")
    _run(command.backup, "backup.db")
    with only_user(folder / "var/home/history.db"):
        assert "stop it first" in _run(command.restore, "--yes", "backup.db", status=1).output


def test_a_damaged_or_newer_backup_is_refused(folder: Path) -> None:
    """What is no backup, or comes from a later version, changes nothing."""
    (folder / "odd.db").write_text("no database at all, but long enough to be looked at" * 100)
    assert "no backup" in _run(command.restore, "--yes", "odd.db", status=1).output
    _readings(folder / "a.csv", hours=0.1, power_w=1_000)
    _run(command.import_, "a.csv")
    _run(command.backup, "backup.db")
    with contextlib.closing(sqlite3.connect(folder / "backup.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    assert "newer version" in _run(command.restore, "--yes", "backup.db", status=1).output


def test_a_month_is_reported(folder: Path) -> None:
    """Energy, cost with its standing charge, hours and standby stand in the terminal and in one HTML file that needs no other."""
    _readings(folder / "december.csv", hours=24, power_w=500, start=START - timedelta(days=34))
    _readings(folder / "january.csv", hours=24, power_w=1_000)
    _run(command.import_, "december.csv")
    _run(command.import_, "january.csv")
    shown = _run(command.report, "--month", "2025-01", "--html", "january.html").output
    assert "24.0 kWh" in shown
    assert "standby 1,000 W" in shown
    assert "+100 % against last month" in shown
    assert "8.20 GBP" in shown  # 24 x 0.30, and two days of 0.50
    page = (folder / "january.html").read_text()
    assert page.count("<svg") == 2
    assert "January 2025" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert "<script" not in page


def test_a_change_of_tariff_is_recosted_when_asked(folder: Path) -> None:
    """The month's cost stays when hems.yaml changes, until `recost`."""
    _readings(folder / "a.csv", hours=10, power_w=1_000)
    _run(command.import_, "a.csv")
    _run(command.recost, "--from", "2025-01-01")
    assert "3.50 GBP" in _run(command.report, "--month", "2025-01").output
    (folder / "hems.yaml").write_text("recorder: {tariff: {kind: flat, per_kwh: 0.6, standing_charge_per_day: 0.5}}\n")
    assert "3.50 GBP" in _run(command.report, "--month", "2025-01").output
    _run(command.recost, "--from", "2025-01-01")
    assert "6.50 GBP" in _run(command.report, "--month", "2025-01").output


def test_costs_are_not_thrown_away_where_there_is_no_tariff(folder: Path) -> None:
    """`recost` without a tariff in hems.yaml is refused with what to do, and the costs stay."""
    _readings(folder / "a.csv", hours=10, power_w=1_000)
    _run(command.import_, "a.csv")
    (folder / "hems.yaml").write_text("recorder: {}\n")
    assert "hems setup tariff" in _run(command.recost, "--from", "2025-01-01", status=1).output
    assert "3.50 GBP" in _run(command.report, "--month", "2025-01").output


def test_readings_that_are_far_apart_are_told(folder: Path) -> None:
    """A file of a reading each five minutes brings no energy that is known: it says how often, and what became of it."""
    _readings(folder / "a.csv", hours=1, power_w=1_000, every_s=300)
    assert "12 times more than a minute" in _run(command.import_, "a.csv").output
    _readings(folder / "b.csv", hours=1, power_w=1_000, start=START + timedelta(hours=5), every_s=60)
    assert "more than a minute" not in _run(command.import_, "b.csv").output


def test_a_mistake_in_the_configuration_is_named(folder: Path) -> None:
    """With the file, the line and the key."""
    (folder / "hems.yaml").write_text("recorder: {tariff: {kind: flat}}\n")
    assert "recorder.tariff" in _run(command.report, status=78).output
