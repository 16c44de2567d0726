"""From recipe to model: folds with a home left out, thresholds and calibration from them, the final networks."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from services.disaggregator.training import calibrate
from services.disaggregator.training.activations import rule_of
from services.disaggregator.training.export import Trained
from services.disaggregator.training.measures import Judged, best_threshold, judged, say, scores
from services.disaggregator.training.network import build
from services.disaggregator.training.packs import PACKS, Recording, read, resample
from services.disaggregator.training.recipes import ApplianceRecipe, Recipe
from services.disaggregator.training.train import Plan, train


@dataclass
class Workshop:
    """Where the packs are, and where trained weights are kept between runs."""

    data: Path
    cache: Path

    def recording(self, file: str, period_s: int) -> Recording:
        """A pack on this clock."""
        return resample(read(self.data, file), period_s)

    def network(self, plan: Plan, homes: list[str], templates: list[str]) -> keras.Model:
        """Train, or take the weights that the same plan gave before."""
        text = json.dumps([asdict(plan), homes, templates], sort_keys=True)
        weights = self.cache / f"{plan.appliance}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.weights.h5"
        if weights.exists():
            model = build(plan.shape)
            model.load_weights(weights)
            return model
        model = train(plan, *([self.recording(file, plan.period_s) for file in files] for files in (homes, templates)))
        weights.parent.mkdir(parents=True, exist_ok=True)
        model.save_weights(weights)
        return model


def left_out(workshop: Workshop, recipe: ApplianceRecipe) -> dict[str, Judged]:
    """For every judge: what a network says about it that was trained without its home."""
    said: dict[str, Judged] = {}
    for judge in recipe.judges:
        homes, templates = (
            [file for file in files if PACKS[file].home != PACKS[judge].home] for files in (recipe.homes, recipe.templates)
        )
        print(f"{recipe.plan.appliance}: without {PACKS[judge].home}", flush=True)
        model = workshop.network(recipe.plan, homes, templates)
        recording = workshop.recording(judge, recipe.plan.period_s)
        said[judge] = judged(say(model, recipe.plan.shape, recording, recipe.plan.appliance), recording, recipe.plan.appliance)
    return said


def calibrated(folds: dict[str, Judged], lags: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Slopes and offsets, one a lag, fitted on all folds; every home counts the same."""
    fits: list[tuple[float, float]] = []
    for lag in range(lags):
        logits = np.concatenate([calibrate.logits_of(home.probability[:, lag]) for home in folds.values()])
        truth = np.concatenate([home.truth_on for home in folds.values()])
        weight = np.concatenate([np.full(len(home.truth_on), 1e5 / len(home.truth_on), np.float32) for home in folds.values()])
        fits.append(calibrate.platt(logits, truth, weight))
    return tuple(slope for slope, _ in fits), tuple(offset for _, offset in fits)


def final(workshop: Workshop, recipe: ApplianceRecipe, with_folds: bool) -> tuple[Trained, dict[str, Any], dict[str, Any]]:
    """The network trained on all homes, the appliance's entry in the card, and its figures in homes left out."""
    plan, lags = recipe.plan, len(recipe.plan.shape.lags)
    folds = left_out(workshop, recipe) if with_folds else {}
    slopes, offsets = calibrated(folds, lags) if folds else ((1.0,) * lags, (0.0,) * lags)
    homes = {
        name: replace(home, probability=calibrate.apply(home.probability, slopes, offsets)) for name, home in folds.items()
    }
    now, later = ((best_threshold(list(homes.values()), lag) if homes else (0.5, 0.3)) for lag in (0, lags - 1))
    entry = {
        "name": plan.appliance,
        "on_above_w": rule_of(plan.appliance, plan.period_s).on_above_w,
        "threshold_on": now[0],
        "threshold_off": now[1],
        "threshold_corrected": later[0],
        "minimum_on_s": recipe.minimum_on_s,
        "minimum_off_s": recipe.minimum_off_s,
        "probable_threshold": now[0] * 0.7,
        "typical_power_w": recipe.typical_power_w,
    }
    figures = {
        PACKS[name].home: {
            "at_once": scores(home, 0, *now, recipe.minimum_on_s, recipe.minimum_off_s),
            "corrected": scores(home, lags - 1, later[0], later[0]),
            "always_zero_mae_w": float(home.truth_w.mean()),
        }
        for name, home in homes.items()
    }
    model = workshop.network(plan, list(recipe.homes), list(recipe.templates))
    return Trained(plan.appliance, plan.shape, model, slopes, offsets), entry, figures


def with_options(recipe: Recipe, epochs: int | None, seed: int) -> Recipe:
    """The recipe with the command line's options."""
    changed = [
        replace(item, plan=replace(item.plan, seed=seed, epochs=epochs or item.plan.epochs)) for item in recipe.appliances
    ]
    return replace(recipe, appliances=tuple(changed))
