"""Recordings in files: Parquet, and what UK-DALE and REFIT publish."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from services.replay.command import DEMO, convert, replay
from services.replay.domain.recording import Recording, UnusableRecording
from services.replay.original_files import read_refit, read_uk_dale
from services.replay.parquet_file import read_recording, write_recording
from services.supervisor.plan import DEMO_CONFIGURATION

REFIT = """Time,Unix,Aggregate,Appliance1,Appliance2,Issues
2013-09-17 22:08:11,1379455691,695,80,0,0
2013-09-17 22:08:27,1379455707,3554,81,2800,0
2013-09-17 22:08:19,1379455699,691,80,0,0
2013-09-17 22:08:27,1379455707,3555,81,2801,0
"""


def uk_dale(folder: Path, *, mains: bool) -> Path:
    """A house with a kettle, whose aggregate is channel 1."""
    (folder / "labels.dat").write_text("1 aggregate\n2 kettle\n3 washing machine\n")
    (folder / "channel_1.dat").write_text("1352500095 599\n1352500101 582\n1352500107 600\n")
    (folder / "channel_2.dat").write_text("1352500094 0\n1352500100 2400\n")
    (folder / "channel_3.dat").write_text("1352499000 50\n1352500107 7\n")
    if mains:
        (folder / "mains.dat").write_text("1352500095.5 590.25 620.5 241.2\n1352500096.5 591.00 620.5 241.2\n")
    return folder


def test_a_recording_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Times to the microsecond, gaps as gaps."""
    home = Recording(np.array([1, 5]), np.array([1.5, np.nan], np.float32), {"kettle": np.array([0, 7], np.float32)})
    write_recording(tmp_path / "home.parquet", home)
    again = read_recording(tmp_path / "home.parquet")
    np.testing.assert_array_equal(again.at_us, home.at_us)
    np.testing.assert_array_equal(again.mains_w, home.mains_w)
    np.testing.assert_array_equal(again.appliances_w["kettle"], home.appliances_w["kettle"])


def test_a_file_that_is_no_recording_is_refused_with_advice(tmp_path: Path) -> None:
    """It says what a recording is."""
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(UnusableRecording, match="hems convert"):
        read_recording(tmp_path / "text.parquet")


def test_a_refit_file(tmp_path: Path) -> None:
    """In order of time, of two rows with one time the last, columns named."""
    (tmp_path / "CLEAN_House2.csv").write_text(REFIT)
    home = read_refit(tmp_path / "CLEAN_House2.csv", {"Appliance2": "kettle"})
    assert home.first == datetime(2013, 9, 17, 22, 8, 11, tzinfo=UTC)
    assert home.mains_w.tolist() == [695, 691, 3_555]
    assert home.appliances_w["kettle"].tolist() == [0, 0, 2_801]


def test_a_refit_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With those that are."""
    (tmp_path / "CLEAN_House2.csv").write_text(REFIT)
    with pytest.raises(UnusableRecording, match=r"no column Appliance7.*Appliance2"):
        read_refit(tmp_path / "CLEAN_House2.csv", {"Appliance7": "kettle"})


def test_a_uk_dale_house(tmp_path: Path) -> None:
    """The aggregate with each appliance's newest value; one older than a minute is a gap."""
    home = read_uk_dale(uk_dale(tmp_path, mains=False))
    assert home.mains_w.tolist() == [599, 582, 600]
    assert home.appliances_w["kettle"].tolist() == [0, 2_400, 2_400]
    np.testing.assert_array_equal(home.appliances_w["washing_machine"], np.array([np.nan, np.nan, 7], np.float32))


def test_a_uk_dale_house_whose_mains_were_measured(tmp_path: Path) -> None:
    """Active power goes before the clamp's apparent power."""
    home = read_uk_dale(uk_dale(tmp_path, mains=True))
    assert home.mains_w.tolist() == [590.25, 591.0]
    assert home.first == datetime(2012, 11, 9, 22, 28, 15, 500_000, tzinfo=UTC)


def test_a_uk_dale_house_without_an_aggregate_is_refused(tmp_path: Path) -> None:
    """There is nothing to play."""
    (tmp_path / "labels.dat").write_text("2 kettle\n")
    with pytest.raises(UnusableRecording, match="aggregate"):
        read_uk_dale(tmp_path)


def test_convert_makes_a_file_that_replay_reads(tmp_path: Path) -> None:
    """From the published form to a recording in one command."""
    (tmp_path / "refit.csv").write_text(REFIT)
    target = tmp_path / "home.parquet"
    outcome = CliRunner().invoke(convert, [str(tmp_path / "refit.csv"), str(target), "--name", "Appliance2=kettle"])
    assert outcome.exit_code == 0, outcome.output
    assert "3 readings from 2013-09-17T22:08:11+00:00" in outcome.output
    assert list(read_recording(target).appliances_w) == ["kettle"]


def test_convert_says_what_is_wrong(tmp_path: Path) -> None:
    """In a sentence, with exit status 1."""
    outcome = CliRunner().invoke(convert, [str(tmp_path), str(tmp_path / "home.parquet")])
    assert outcome.exit_code == 1
    assert "labels.dat can't be read" in outcome.output


DEMO_START = datetime(2015, 1, 12, 17, 13, 36, tzinfo=UTC)


@pytest.fixture
def demo_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's own configuration."""
    monkeypatch.setenv("HEMS_CONFIG", str(DEMO_CONFIGURATION))


def test_the_demos_home_is_small_and_the_demo_begins_before_a_kettle() -> None:
    """At most 3 MB; two minutes after the demo's start a kettle boils, and much follows."""
    home = read_recording(DEMO)
    assert DEMO.stat().st_size <= 3_000_000
    first = np.searchsorted(home.at_us, int(DEMO_START.timestamp() * 1e6))
    shown = {name: np.flatnonzero(np.nan_to_num(watts[first : first + 150]) > 300) * 8 for name, watts in home.appliances_w.items()}
    assert 60 <= shown["kettle_30s_mean"][0] <= 120
    assert shown["microwave"].size
    assert shown["washing_machine"].size


def test_print_start_prints_only_the_start() -> None:
    """For the supervisor, which sets the clock by it; without a clock in the settings it is the busiest start."""
    outcome = CliRunner().invoke(replay, ["--print-start"])
    assert (outcome.exit_code, outcome.stdout) == (0, "2015-01-04T09:32:32+00:00\n")


@pytest.mark.usefixtures("demo_settings")
def test_the_demo_starts_where_its_clock_says() -> None:
    """In containers and with `hems up` alike."""
    outcome = CliRunner().invoke(replay, ["--print-start"])
    assert (outcome.exit_code, outcome.stdout) == (0, f"{DEMO_START.isoformat()}\n")


@pytest.mark.usefixtures("demo_settings")
def test_the_past_of_the_demo_is_written_as_a_recording(tmp_path: Path) -> None:
    """The mains of the three days before its start, and nothing of what comes after."""
    outcome = CliRunner().invoke(replay, ["--write-past", str(tmp_path / "past.parquet")])
    assert outcome.exit_code == 0
    past = read_recording(tmp_path / "past.parquet")
    assert DEMO_START - timedelta(days=3) <= past.first < past.last < DEMO_START
    assert not past.appliances_w
