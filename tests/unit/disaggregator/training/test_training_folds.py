"""Models that leave a home out. Runs where TensorFlow is: `.cache/training/bin/python -m pytest`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from services.disaggregator.training import build, folds, measures, network
from services.disaggregator.training.measures import Judged
from services.disaggregator.training.packs import PACKS, Recording
from services.disaggregator.training.recipes import RECIPES, UK_30S

pytestmark = pytest.mark.filterwarnings("ignore")


class Untrained(build.Workshop):
    """Gives networks with random weights, and notes what they would have been trained on."""

    def __init__(self) -> None:
        super().__init__(Path(), Path())
        self.files: list[str] = []

    def network(self, plan: Any, homes: list[str], templates: list[str]) -> Any:
        """A network."""
        self.files += [*homes, *templates]
        return network.build(plan.shape)


def said(offset: float) -> list[tuple[str, Judged]]:
    """Three homes, of which REFIT 2 is told nonsense about."""
    random = np.random.default_rng(1)
    truth_on = np.arange(4000) % 500 < 200
    heard = [(home, np.where(truth_on, 0.8, 0.1) + random.normal(0, 0.02, 4000)) for home in ("REFIT 20", "UK-DALE 1")]
    heard.append(("REFIT 2", np.clip(random.random(4000) + offset, 0, 1)))
    watts = np.full((4000, 3), 1000, np.float32)
    power_w = np.where(truth_on, np.float32(1000), np.float32(0))
    rest = (power_w, np.arange(4000), np.zeros((4000, 3), np.float32), np.ones((4000, 3), bool))
    return [
        (home, Judged(np.repeat(each.astype(np.float32)[:, None], 3, 1), watts, truth_on, power_w, 30, "dishwasher", *rest))
        for home, each in heard
    ]


def test_the_home_left_out_has_no_say() -> None:
    """Neither its recordings nor what is said about it change its fold's networks, thresholds or calibration."""
    made: list[Any] = []
    for offset in (-0.3, 0.3):
        workshop = Untrained()
        networks, entries = folds.fold(workshop, UK_30S, "REFIT 2", {name: said(offset) for name in UK_30S.announcing})
        assert "REFIT 2" not in {PACKS[file].home for file in workshop.files}
        made.append((entries, [[part.tolist() for part in each.fit] for each in networks]))
    assert made[0] == made[1]
    assert [entry["name"] for entry in made[0][0]] == list(UK_30S.announcing)


def test_before_a_gap_what_was_said_at_once_stands() -> None:
    """There is no later: the last samples before a gap are judged by their first word, and have no part in the later ones' calibration."""
    plan = RECIPES["fridge_60s"].parts[0].plan
    mains_w = np.full(40, 200, np.float32)
    mains_w[20] = np.nan
    recording = Recording("REFIT 2", "refit_house2_8s", 60, 0.0, mains_w, {"fridge": np.full(40, 80, np.float32)})
    said = measures.judged(measures.say(network.build(plan.shape), plan, recording), recording, plan)["fridge"]
    assert said.place.tolist() == [*range(20), *range(21, 40)]
    assert said.heard[:, -1].tolist() == [True] * 10 + [False] * 10 + [True] * 9 + [False] * 10
    assert np.isfinite(said.probability).all()
    assert np.array_equal(said.probability[10:20, -1], said.probability[10:20, 0])


def test_a_fold_speaks_only_of_what_its_home_is_judged_on() -> None:
    """UK-DALE 1 at 60 s judges dishwashers, and no short loads."""
    _, entries = folds.fold(Untrained(), UK_30S, "UK-DALE 1", {name: said(0.0) for name in UK_30S.announcing})
    assert [entry["name"] for entry in entries] == ["dishwasher"]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_home_that_judges_was_trained_on(name: str) -> None:
    """Else leaving it out would change nothing."""
    recipe = RECIPES[name]
    trained_on = {PACKS[file].home for part in recipe.parts for file in part.homes}
    assert set(folds.homes_of(recipe)) <= trained_on
