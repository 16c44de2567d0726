"""From recipe to model: folds with a home left out, thresholds and calibration from them, the final network."""

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
from services.disaggregator.training.learning import learnt
from services.disaggregator.training.measures import Judged, calibration_error, judged, say
from services.disaggregator.training.network import build
from services.disaggregator.training.packs import PACKS, Recording, latest, read, resample
from services.disaggregator.training.population import USUAL_SHARES, weights
from services.disaggregator.training.progress import tell
from services.disaggregator.training.recipes import Part, Recipe
from services.disaggregator.training.thresholds import CYCLES, choose, choose_corrected, corrected_figures
from services.disaggregator.training.thresholds import figures as figures_of
from services.disaggregator.training.train import Plan, train

JUDGED_DAYS = 200
"""How many of a left-out home's last days are judged: more take longer and change little."""
FIT_SHARES = (1.0, 0.5, 0.0)
Folds = dict[str, list[tuple[str, Judged]]]
"""By appliance: home left out, and what was said about it."""


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
        weights = self.cache / f"{plan.appliances[0]}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.weights.h5"
        if weights.exists():
            model = build(plan.shape)
            model.load_weights(weights)
            return model
        model = train(plan, *([self.recording(file, plan.period_s) for file in files] for files in (homes, templates)))
        weights.parent.mkdir(parents=True, exist_ok=True)
        model.save_weights(weights)
        return model


def left_out(workshop: Workshop, part: Part) -> Folds:
    """For every judge: what a network says about it that was trained without its home."""
    plan = part.plan
    folds: Folds = {name: [] for name in plan.appliances}
    for judge in part.judges:
        home = PACKS[judge].home
        tell(f"{', '.join(plan.appliances)}: without {home}")
        model = workshop.network(plan, *files_without(part, home))
        recording = latest(workshop.recording(judge, plan.period_s), JUDGED_DAYS)
        for name, said in judged(say(model, plan, recording), recording, plan).items():
            folds[name].append((home, said))
    return folds


def files_without(part: Part, home: str) -> tuple[list[str], list[str]]:
    """Homes and templates of a part, as if this home had never been recorded."""
    homes, templates = ([file for file in files if PACKS[file].home != home] for files in (part.homes, part.templates))
    return homes, templates


def fitted(workshop: Workshop, part: Part, with_folds: bool) -> tuple[Trained, Folds]:
    """The network trained on all homes, calibrated on homes left out, and what was said about those, calibrated."""
    plan = part.plan
    folds: Folds = left_out(workshop, part) if with_folds else {name: [] for name in plan.appliances}
    tell(f"{', '.join(plan.appliances)}: on all homes")
    seeds = [plan.seed + number for number in range(part.members)]
    models = [workshop.network(replace(plan, seed=seed), list(part.homes), list(part.templates)) for seed in seeds]
    return calibrated(plan, models, folds)


def calibrated(plan: Plan, models: list[keras.Model], folds: Folds) -> tuple[Trained, Folds]:
    """The networks with what makes them true, fitted on homes left out, and what was said about those, calibrated."""
    fits = np.array([[_fit(folds[name], lag) for lag in range(len(plan.shape.lags))] for name in plan.appliances], np.float32)
    network, said_of = Trained(plan, models, calibrate.Fit(*np.moveaxis(fits, 2, 0))), dict[str, Any]()
    for fit, name in zip(fits, plan.appliances, strict=True):
        true = calibrate.Fit(*fit.T)
        said_of[name] = [(home, _true(said, true)) for home, said in folds[name]]
    return network, said_of


def _true(said: Judged, fit: calibrate.Fit) -> Judged:
    probability = calibrate.apply(said.probability, said.quiet, fit)
    return replace(said, probability=np.where(said.heard, probability, probability[:, :1]))


def _fit(homes: list[tuple[str, Judged]], lag: int) -> calibrate.Fit:
    """Of one head, on all homes left out; each counts the same.

    How often an appliance runs differs from home to home. Where it is known how often it does in general, the homes are weighed so, and
    how long nothing has heated has a say. Elsewhere a fit may harm the next home: of the whole fit, half of it and none, that is taken
    which is the least wrong in the worst of the homes when that home has no part in it.
    """
    if not homes:
        return calibrate.Fit()
    usual = homes[0][1].appliance in USUAL_SHARES
    each = [_evidence(said, lag) for _, said in homes]
    whole = calibrate.fitted(each, by_quiet=usual)
    if len(homes) < 2 or usual:
        return whole
    wrong = [max(_wrong_without(each, number, share) for number in range(len(each))) for share in FIT_SHARES]
    return calibrate.shrunk(whole, FIT_SHARES[int(np.argmin(wrong))])


def _evidence(said: Judged, lag: int) -> calibrate.Evidence:
    heard = said.heard[:, lag]
    truth_on = said.truth_on[heard]
    return calibrate.Evidence(said.probability[heard, lag], truth_on, said.quiet[heard, lag], weights(said.appliance, truth_on))


def _wrong_without(each: list[calibrate.Evidence], number: int, share: float) -> float:
    """The calibration error in one home, with that share of what was fitted on the others."""
    fit, home = calibrate.shrunk(calibrate.fitted(each[:number] + each[number + 1 :]), share), each[number]
    return calibration_error(calibrate.apply(home.probability, home.quiet, fit), home.truth_on)


def chosen(recipe: Recipe, name: str, homes: list[tuple[str, Judged]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """An appliance's entry in the card, and its figures in the homes left out."""
    announcing = recipe.announcing[name]
    column = recipe.lags_s.index(announcing.corrected_lag_s)
    if announcing.learns_from_hindsight:
        lag = announcing.corrected_lag_s // recipe.period_s
        homes = [(home, replace(said, probability=learnt(said.probability, said.mains_w, said.place, lag))) for home, said in homes]
    pairs = [said for _, said in homes]
    now = choose(pairs, announcing.false_a_day, announcing.off_shares) if pairs else announcing.unjudged
    later, hold_s = choose_corrected(pairs, column) if pairs else (0.5, 0)
    entry = {
        "name": name,
        "on_above_w": rule_of(name, recipe.period_s).on_above_w,
        "threshold_on": now.on,
        "threshold_off": now.off,
        "threshold_corrected": later,
        "hold_corrected_s": hold_s,
        "corrected_lag_s": announcing.corrected_lag_s,
        "minimum_on_s": now.minimum_on_s,
        "minimum_off_s": now.minimum_off_s,
        "probable_threshold": now.on * 0.7 if name in CYCLES else None,
        "learns_from_hindsight": announcing.learns_from_hindsight,
        "typical_power_w": announcing.typical_power_w,
    }
    figures = {
        home: {
            "at_once": figures_of(said, 0, now) | {"ece": calibration_error(said.probability[:, 0], said.truth_on)},
            "corrected": corrected_figures(said, column, later, hold_s)
            | {"ece": calibration_error(said.probability[:, column], said.truth_on)},
            "always_zero_mae_w": float(said.truth_w.mean()),
        }
        for home, said in homes
    }
    return entry, figures


def finished(workshop: Workshop, recipe: Recipe, with_folds: bool) -> tuple[list[Trained], list[dict[str, Any]], dict[str, Any]]:
    """The networks trained on all homes, the appliances' entries in the card, and the figures in homes left out."""
    both = [fitted(workshop, part, with_folds) for part in recipe.parts]
    entries, figures = list[dict[str, Any]](), dict[str, Any]()
    for _, folds in both:
        for name, homes in folds.items():
            entry, figures[name] = chosen(recipe, name, homes)
            entries.append(entry)
    return [network for network, _ in both], entries, figures
