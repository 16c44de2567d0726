"""`make bench-accuracy`: whose home a pack is, which network may judge it, and what comes of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet as untyped_parquet  # pyright: ignore[reportMissingTypeStubs]
import pytest
from click.testing import CliRunner

from bench import packs
from bench.accuracy import FOLDS, main
from services.disaggregator.onnx_model import SHIPPED, load

arrow: Any = pa
parquet: Any = untyped_parquet
SAMPLES = 400


def write(path: Path, **columns: Any) -> None:
    """A pack of three hours and twenty minutes at half a minute."""
    seconds = 1_400_000_000 + 30 * np.arange(SAMPLES, dtype=np.int64)
    times = {} if path.stem.endswith("30s") else {"timestamp": arrow.array(seconds * 1_000_000).cast(arrow.timestamp("us", "UTC"))}
    parquet.write_table(arrow.table({**columns, **times}), path)


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    """A folder of homes: one that was trained on, one that never was, one without truth, and a file that is none."""
    folder = tmp_path / "homes"
    folder.mkdir()
    kettle_w = np.where(np.arange(SAMPLES) % 100 < 4, 2800, 0).astype(np.float32)
    write(folder / "refit_house2_30s.parquet", mains=kettle_w + 150, kettle=kettle_w)
    write(folder / "mine.parquet", mains=kettle_w + 150, kettle=kettle_w, sauna=kettle_w)
    write(folder / "bare.parquet", mains=kettle_w)
    (folder / "broken.parquet").write_text("no")
    return folder


def run(homes: Path, *arguments: object) -> tuple[str, list[dict[str, Any]]]:
    """What it says, and the figures that it writes."""
    out = homes.parent / "out"
    models = [] if "--model" in arguments else ["--model", "uk_30s"]
    words = [homes, "--out", out, *models, "--folds", homes.parent / "folds", *arguments]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output, json.loads((out / "accuracy.json").read_text())


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("refit_house2_30s", "refit 2"),
        ("refit_house2_8s", "refit 2"),
        ("REFIT 2", "refit 2"),
        ("ukdale_house1_6s_2days", "ukdale 1"),
        ("UK-DALE 1", "ukdale 1"),
        ("gjw_house1_mains_only_irregular", "gjw 1"),
        ("my_home_30s", "my_home"),
    ],
)
def test_a_home_has_one_name(name: str, key: str) -> None:
    """However a file or a card calls it."""
    assert packs.key_of(name) == key


def test_a_name_tells_how_far_rows_are_apart_unless_it_is_put_right(tmp_path: Path) -> None:
    """For files without times."""
    for name in ("redd_house2_3s", "ukdale_house3_60s_kettle_no_timestamps", "other"):
        (tmp_path / f"{name}.parquet").touch()
    assert [pack.interval_s for pack in packs.find(tmp_path, {"redd": 3.6})] == [None, 3.6, 60.0]


def test_a_home_trained_on_is_judged_by_the_network_that_never_saw_it(homes: Path) -> None:
    """Where there is one; where there is none, the released network is judged, and the line says so."""
    text, rows = run(homes, "--days", "1")
    assert {row["pack"]: row["home_is"] for row in rows} == {"refit_house2_30s": "trained on", "mine": "never seen"}
    assert "trained on" in text
    fold = homes.parent / "folds" / "uk_30s" / "refit_2"
    shutil.copytree(SHIPPED / "uk_30s", fold)
    card = json.loads((fold / "card.json").read_text()) | {"left_out": "REFIT 2"}
    (fold / "card.json").write_text(json.dumps(card))
    _, rows = run(homes, "--days", "1")
    assert {row["pack"]: row["home_is"] for row in rows} == {"refit_house2_30s": "left out", "mine": "never seen"}


def test_all_figures_and_a_picture_are_written(homes: Path) -> None:
    """Beside what needs no learning; only appliances that were metered and are known; what can't be judged is named."""
    text, rows = run(homes)
    assert [(row["appliance"], row["pack"]) for row in rows] == [("kettle", "mine"), ("kettle", "refit_house2_30s")]
    assert {"zero", "mean", "edge"} == set(rows[0]["beside"])
    assert rows[0]["causal"]["mae_w"] < rows[0]["beside"]["zero"]["samples"]["mae_w"]
    assert (homes.parent / "out" / "mine-kettle.svg").read_text().startswith("<svg")
    assert "bare.parquet has no column" in text
    assert "broken.parquet" in text


def test_the_last_days_are_judged(homes: Path) -> None:
    """An hour's worth, where an hour is asked for."""
    _, rows = run(homes, "--days", str(1 / 24), "--only", "mine")
    assert rows[0]["days"] == pytest.approx(1 / 24, rel=0.05)


def test_the_card_of_the_judged_model_gets_the_figures(homes: Path) -> None:
    """Those of homes that the judged network never saw, and nothing else of the card changes."""
    mine = homes.parent / "mine"
    shutil.copytree(SHIPPED / "uk_30s", mine)
    before = json.loads((mine / "card.json").read_text())
    run(homes, "--model", mine, "--cards", "--days", "1")
    after = json.loads((mine / "card.json").read_text())
    assert list(after["figures"]["kettle"]) == ["mine"]
    assert {name: part for name, part in after.items() if name != "figures"} == {
        name: part for name, part in before.items() if name != "figures"
    }


@pytest.mark.parametrize("folder", sorted(FOLDS.glob("*/*/")), ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_a_fold_never_saw_its_home(folder: Path) -> None:
    """It loads, speaks of what the released model speaks of, and learnt from every home of that but its own."""
    card, released = (json.loads((path / "card.json").read_text()) for path in (folder, SHIPPED / folder.parent.name))
    names = {appliance["name"] for appliance in released["appliances"]}
    assert {head.appliance for head in load(folder).model.heads} <= names
    assert card["left_out"] in released["training"]["homes"]
    assert card["left_out"] not in card["training"]["homes"]
    assert set(card["training"]["homes"]) < set(released["training"]["homes"])


def test_a_broken_fold_is_refused_with_its_reason(homes: Path) -> None:
    """It is named, and nothing is judged with it."""
    fold = homes.parent / "folds" / "uk_30s" / "refit_2"
    fold.mkdir(parents=True)
    (fold / "card.json").write_text('{"left_out": "REFIT 2"}')
    words = [homes, "--out", homes.parent / "out", "--model", "uk_30s", "--folds", homes.parent / "folds"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 1
    assert "refit_2: there is no model.onnx" in result.output


def test_an_empty_folder_is_refused_with_advice(tmp_path: Path) -> None:
    """It says where to read what a pack is."""
    result = CliRunner().invoke(main, [str(tmp_path)])
    assert result.exit_code == 1
    assert "docs/packs.md" in result.output
