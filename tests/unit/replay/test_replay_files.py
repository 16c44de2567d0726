"""Recordings in files: Parquet, and what UK-DALE and REFIT publish."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from services.replay.command import DEMO, convert, replay
from services.replay.domain.averaging import averaged
from services.replay.domain.recording import Recording, UnusableRecording
from services.replay.original_files import read_house, read_refit
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
    home = read_house(uk_dale(tmp_path, mains=False), {})
    assert home.mains_w.tolist() == [599, 582, 600]
    assert home.appliances_w["kettle"].tolist() == [0, 2_400, 2_400]
    np.testing.assert_array_equal(home.appliances_w["washing_machine"], np.array([np.nan, np.nan, 7], np.float32))


def test_a_uk_dale_house_whose_mains_were_measured(tmp_path: Path) -> None:
    """Active power goes before the clamp's apparent power."""
    home = read_house(uk_dale(tmp_path, mains=True), {})
    assert home.mains_w.tolist() == [590.25, 591.0]
    assert home.first == datetime(2012, 11, 9, 22, 28, 15, 500_000, tzinfo=UTC)


def test_a_uk_dale_house_without_an_aggregate_is_refused(tmp_path: Path) -> None:
    """There is nothing to play."""
    (tmp_path / "labels.dat").write_text("2 kettle\n")
    with pytest.raises(UnusableRecording, match="aggregate"):
        read_house(tmp_path, {})


def redd(folder: Path) -> Path:
    """A house of REDD's low_freq: two halves of the supply at 1 s, appliances at about 3 s, one of them on two channels."""
    labels = ("1 mains", "2 mains", "3 refrigerator", "4 washer_dryer", "5 washer_dryer", "6 dishwaser")
    (folder / "labels.dat").write_text("\n".join(labels) + "\n")
    seconds = range(1303132929, 1303132935)
    halves = ("222.20", "223.17", "221.90", "222.00", "222.31", "222.40"), ("118.83", "119.19", "118.92", "119.00", "119.10", "119.20")
    for channel, watts in zip((1, 2), halves, strict=True):
        (folder / f"channel_{channel}.dat").write_text("".join(f"{at} {each}\n" for at, each in zip(seconds, watts, strict=True)))
    for channel, watt in ((3, "6.00"), (4, "40.00"), (5, "2.00"), (6, "0.00")):
        (folder / f"channel_{channel}.dat").write_text(f"1303132929 {watt}\n1303132933 {watt}\n")
    return folder


def test_a_redd_house(tmp_path: Path) -> None:
    """Both halves of the supply are one home, channels of one label one appliance, and spellings are mended."""
    home = read_house(redd(tmp_path), {"washer_dryer": "washing_machine"})
    np.testing.assert_allclose(home.mains_w[:2], [341.03, 342.36], rtol=1e-5)
    assert {name: watts.tolist() for name, watts in home.appliances_w.items()} == {
        "fridge": [6.0] * 6,
        "washing_machine": [42.0] * 6,
        "dishwasher": [0.0] * 6,
    }


def test_a_label_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With those that are."""
    with pytest.raises(UnusableRecording, match=r"no channel labelled oven.*refrigerator"):
        read_house(redd(tmp_path), {"oven": "heater"})


def test_means_know_nothing_of_what_comes_after_them() -> None:
    """A row stands at the end of its interval; an interval without readings is a gap."""
    seconds, watts = np.array([1, 15, 30, 31, 95]), np.array([100, 200, 300, 50, 70], np.float32)
    home = averaged(Recording(seconds * 1_000_000, watts, {"kettle": np.array([0, 0, 90, np.nan, 7], np.float32)}), 30)
    assert (home.at_us // 1_000_000).tolist() == [30, 60, 90, 120]
    np.testing.assert_array_equal(home.mains_w, np.array([200, 50, np.nan, 70], np.float32))
    np.testing.assert_array_equal(home.appliances_w["kettle"], np.array([30, np.nan, np.nan, 7], np.float32))


def test_convert_makes_means(tmp_path: Path) -> None:
    """As models take them."""
    outcome = CliRunner().invoke(convert, [str(redd(tmp_path)), str(tmp_path / "home.parquet"), "--every", "3"])
    assert outcome.exit_code == 0, outcome.output
    assert np.diff(read_recording(tmp_path / "home.parquet").at_us).tolist() == [3_000_000] * 2


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
