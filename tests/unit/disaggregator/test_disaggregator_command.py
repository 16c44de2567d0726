"""`hems disaggregate` and `hems evaluate`, with the shipped model."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as untyped_parquet  # pyright: ignore[reportMissingTypeStubs]
import pytest
from click.testing import CliRunner

from services.disaggregator.command import disaggregate, evaluate

arrow: Any = pa
parquet: Any = untyped_parquet

SAMPLES = 400
COLUMNS = ("probability", "running", "power_w", "running_corrected", "power_w_corrected")


def kettle_w() -> Any:
    """Two minutes of kettle every fifty."""
    return np.where(np.arange(SAMPLES) % 100 < 4, 2800, 0).astype(np.float32)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three hours at half a minute with a gap: `timestamp`, `mains` and `kettle`."""
    seconds = int(datetime(2014, 5, 1, tzinfo=UTC).timestamp()) + 30 * np.arange(SAMPLES, dtype=np.int64)
    mains_w = kettle_w() + 150
    mains_w[250:260] = np.nan
    times = arrow.array(seconds * 1_000_000).cast(arrow.timestamp("us", "UTC"))
    path = tmp_path / "home.parquet"
    parquet.write_table(arrow.table({"mains": mains_w, "kettle": kettle_w(), "timestamp": times}), path)
    return path


def run(command: Any, *arguments: object) -> tuple[int, str]:
    """The command's exit status and all that it says."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_disaggregate_writes_a_row_a_tick(home: Path, tmp_path: Path) -> None:
    """Each sample gives a row with five columns an appliance, at its own time; events go to a CSV file."""
    status, said = run(disaggregate, home, tmp_path / "out.parquet", "--events", tmp_path / "events.csv", "--model", "uk_30s")
    assert (status, "400 rows" in said) == (0, True)
    table, given = parquet.read_table(tmp_path / "out.parquet"), parquet.read_table(home)
    assert table["timestamp"].equals(given["timestamp"])
    assert {f"kettle_{column}" for column in COLUMNS} <= set(table.column_names)
    assert set(table["kettle_running"].to_pylist()) <= {0, 1}
    assert np.isnan(table["kettle_probability"].to_numpy()).nonzero()[0].tolist() == list(range(250, 260))
    with (tmp_path / "events.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["appliance", "kind", "at", "announced_at", "confidence"]
    assert all(datetime.fromisoformat(row["at"]) <= datetime.fromisoformat(row["announced_at"]) for row in rows)


def test_disaggregate_does_not_look_ahead(home: Path, tmp_path: Path) -> None:
    """With another future the shipped model says the same of the past, and corrects only the last ten minutes of it."""
    changed = tmp_path / "changed.parquet"
    table = parquet.read_table(home)
    mains_w = table["mains"].to_numpy().copy()
    mains_w[300:] = 6000
    parquet.write_table(table.set_column(0, "mains", arrow.array(mains_w)), changed)
    outputs: list[Any] = []
    for path in (home, changed):
        run(disaggregate, path, tmp_path / "out.parquet", "--model", "uk_30s")
        outputs.append(parquet.read_table(tmp_path / "out.parquet"))
    for name in outputs[0].column_names:
        until = 300 - 20 if name.endswith("corrected") else 300
        before, after = (output[name].to_numpy()[:until] for output in outputs)
        np.testing.assert_array_equal(before, after, err_msg=name)


def test_evaluate_prints_and_writes_the_scores(home: Path, tmp_path: Path) -> None:
    """The table is printed; JSON and a picture are written for each metered appliance."""
    status, said = run(evaluate, home, "--json", tmp_path / "scores.json", "--pictures", tmp_path, "--model", "uk_30s")
    assert status == 0
    assert "kettle, 0.1 days" in said
    scores = json.loads((tmp_path / "scores.json").read_text())["appliances"]
    assert set(scores) == {"kettle"}
    assert set(scores["kettle"]) == {"days", "causal", "corrected", "events", "energy", "calibration", "beside"}
    assert scores["kettle"]["events"]["true"] == 4
    assert (tmp_path / "home-kettle.svg").read_text().startswith("<svg")


def test_a_truth_column_may_have_another_name(home: Path) -> None:
    """`--truth` names the column of an appliance, and says which there are where there is none such."""
    status, said = run(evaluate, home, "--truth", "microwave=kettle", "--model", "uk_30s")
    assert (status, "microwave, 0.1 days" in said) == (0, True)
    status, said = run(evaluate, home, "--truth", "microwave=oven")
    assert status == 1
    assert "there is no column 'oven'; there are mains, kettle" in said


def test_files_without_times_need_an_interval(tmp_path: Path) -> None:
    """Without times it asks how far the rows are apart, and then reads them."""
    parquet.write_table(arrow.table({"mains": kettle_w() + 150}), tmp_path / "home.parquet")
    status, said = run(disaggregate, tmp_path / "home.parquet", tmp_path / "out.parquet")
    assert (status, "--interval SECONDS" in said) == (1, True)
    status, said = run(disaggregate, tmp_path / "home.parquet", tmp_path / "out.parquet", "--interval", "60", "--model", "uk_30s")
    assert (status, "799 rows" in said) == (0, True)


@pytest.mark.parametrize(("content", "reason"), [(b"no parquet", "can't be read as Parquet"), (None, "no column 'mains'")])
def test_files_that_are_no_recording_are_refused(tmp_path: Path, content: bytes | None, reason: str) -> None:
    """The message says what is wrong with the file."""
    path = tmp_path / "home.parquet"
    if content is None:
        parquet.write_table(arrow.table({"kettle": kettle_w()}), path)
    else:
        path.write_bytes(content)
    status, said = run(disaggregate, path, tmp_path / "out.parquet")
    assert (status, reason in said) == (1, True)


def test_a_recording_of_nothing_but_gaps_is_judged_as_such(tmp_path: Path) -> None:
    """Without a single reading there are no rows to judge, and no error; one row alone is refused."""
    nothing = np.full(50, np.nan, np.float32)
    path = tmp_path / "home.parquet"
    parquet.write_table(arrow.table({"mains": nothing, "kettle": kettle_w()[:50]}), path)
    status, said = run(evaluate, path, "--interval", "8", "--model", "uk_30s")
    assert (status, "kettle, 0.0 days" in said) == (0, True)
    parquet.write_table(arrow.table({"mains": nothing[:1]}), path)
    status, said = run(evaluate, path, "--interval", "8", "--model", "uk_30s")
    assert (status, "fewer than two rows" in said) == (1, True)


def test_a_model_that_is_not_there_ends_the_command(home: Path, tmp_path: Path) -> None:
    """A batch without the model that was asked for would be misleading."""
    status, said = run(disaggregate, home, tmp_path / "out.parquet", "--model", tmp_path / "mine")
    assert (status, "there is no card.json" in said) == (1, True)
