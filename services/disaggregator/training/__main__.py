"""`python -m services.disaggregator.training --data DIR --model NAME`: trains, judges, exports, writes the card."""

import argparse
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from services.disaggregator.training import card
from services.disaggregator.training.build import Workshop, files_without, finished, fitted
from services.disaggregator.training.export import OPSET, Trained, export, parity, state_sizes
from services.disaggregator.training.folds import fold, homes_of, said_of_all
from services.disaggregator.training.packs import DEMO_DAYS, DEMO_HOME, PACKS, read, resample
from services.disaggregator.training.progress import tell
from services.disaggregator.training.recipes import RECIPES, Part, Recipe

MODELS = Path(__file__).parents[1] / "model"
CACHE = Path(__file__).parents[3] / ".cache" / "trained"
PARITY_STEPS = 10_000
Made = tuple[list[Trained], list[dict[str, Any]]]
"""A model's networks, and its appliances' entries in the card."""


def main() -> None:
    """Parse the options and build one model."""
    options = parse()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    recipe = RECIPES[options.model]
    parts = [replace(part, plan=replace(part.plan, seed=options.seed)) for part in recipe.parts]
    if options.epochs:
        parts = [replace(part, plan=replace(part.plan, epochs=options.epochs)) for part in parts]
    if options.leave_out:
        parts = [without(part, options.leave_out) for part in parts]
        options.no_folds = True  # leaving out a second home may leave none
    recipe = replace(recipe, parts=tuple(parts))
    if options.part:
        fitted(Workshop(options.data, options.cache), parts[options.part - 1], not options.no_folds)
        return
    (build_folds if options.folds else build)(recipe, Workshop(options.data, options.cache), options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m services.disaggregator.training", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", help="folder of the packs (*.parquet)")
    parser.add_argument("--data", type=Path, help="the same, by name")
    parser.add_argument("--model", choices=sorted(RECIPES), default="uk_30s")
    parser.add_argument("--epochs", type=int, help="epochs of every network (default: the recipe's)")
    parser.add_argument("--part", type=int, help="only train this network of the model (1 is the first), for the cache")
    parser.add_argument("--leave-out", metavar="HOME", help='such as "REFIT 2": to judge with `hems evaluate`; give --out too')
    parser.add_argument(
        "--folds", type=Path, metavar="FOLDER", help="write a model for each home left out instead, as `make bench-accuracy` takes them"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-folds", action="store_true", help="leave no home out: plain thresholds, no figures")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder of the models")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where trained weights are kept")
    options = parser.parse_args()
    options.data = options.data or options.folder
    if options.data is None:
        parser.error("say where the packs are: --data DIR")
    return options


def without(part: Part, home: str) -> Part:
    """The part as it would be if this home had never been recorded."""
    homes, templates, judges = (
        tuple(file for file in files if PACKS[file].home != home) for files in (part.homes, part.templates, part.judges)
    )
    return replace(part, homes=homes, templates=templates, judges=judges)


def build(recipe: Recipe, workshop: Workshop, options: argparse.Namespace) -> None:
    """Train every appliance's network, export them as one graph and write its card."""
    began = time.monotonic()
    networks, entries, figures = finished(workshop, recipe, not options.no_folds)
    files = sorted({file for part in recipe.parts for file in (*part.homes, *part.templates)})
    about = {"figures": figures, "training": told_of(recipe, workshop, options, files) | {"duration_s": time.monotonic() - began}}
    write(recipe, workshop, (networks, entries), about, options.cache, options.out / recipe.name)
    tell(f"wrote {recipe.name} after {time.monotonic() - began:.0f} s")


def build_folds(recipe: Recipe, workshop: Workshop, options: argparse.Namespace) -> None:
    """A model for each home that is left out, with its card."""
    said = said_of_all(workshop, recipe)
    for home in homes_of(recipe):
        networks, entries = fold(workshop, recipe, home, said)
        files = sorted({file for part in recipe.parts for kind in files_without(part, home) for file in kind})
        command = f"python -m services.disaggregator.training --data DIR --model {recipe.name} --folds FOLDER"
        about = {"left_out": home, "training": told_of(recipe, workshop, options, files) | {"commands": [command]}}
        folder = options.folds / recipe.name / home.lower().replace(" ", "_")
        write(recipe, workshop, (networks, entries), about, options.cache, folder)
        tell(f"wrote {folder}")


def told_of(recipe: Recipe, workshop: Workshop, options: argparse.Namespace, files: list[str]) -> dict[str, Any]:
    """What a card says of the training."""
    return {
        "homes": sorted({PACKS[file].home for file in files}),
        "packs": files,
        "days": {file: read(workshop.data, file).days for file in files},
        "excluded_days": {DEMO_HOME: [f"{DEMO_DAYS[0]}..{DEMO_DAYS[1]}"]},
        "commands": [f"python -m services.disaggregator.training --data DIR --model {recipe.name}"],
        "plans": [asdict(part.plan) for part in recipe.parts],
        "seeds": [options.seed],
    }


def write(recipe: Recipe, workshop: Workshop, made: Made, about: dict[str, Any], cache: Path, folder: Path) -> None:
    """Export, hold the graph against the networks, and put it and its card in place."""
    networks, entries = made
    new = cache / f"{recipe.name}.new"
    export(networks, new / "model.onnx")
    worst = parity(networks, new / "model.onnx", *parity_input(workshop, recipe))
    tell(f"parity over {PARITY_STEPS} steps: {worst:.2g}")
    if worst > 1e-4:
        raise SystemExit("the exported graph differs from the trained network")
    content = {
        "name": recipe.name,
        "version": "1",
        "period_s": recipe.period_s,
        "state_size": sum(state_sizes(networks)),
        "lags_s": list(recipe.lags_s),
        "power_is": "given_on",
        "appliances": entries,
        "calibration": [
            {"appliances": net.plan.appliances, **{part: each.tolist() for part, each in net.fit._asdict().items()}} for net in networks
        ],
        **about,
        "data": card.citations(about["training"]["homes"]),
        "parity": {"steps": PARITY_STEPS, "max_abs_difference": worst},
        "opset": OPSET,
        "notes": recipe.notes if "left_out" not in about else "Not for use: it serves to judge the released model on the home left out.",
    }
    card.write(new, content)
    release(new, folder)


def release(made: Path, folder: Path) -> None:
    """Put both files in place together: a service that starts meanwhile finds them matching but for an instant."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("model.onnx", "card.json"):
        shutil.move(made / name, folder / name)


def parity_input(workshop: Workshop, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Real power samples, with a reset at every 700th."""
    recording = resample(read(workshop.data, recipe.parts[0].homes[0]), recipe.period_s)
    power_w = recording.mains_w[np.isfinite(recording.mains_w)][:PARITY_STEPS]
    return power_w, np.arange(len(power_w)) % 700 == 0


if __name__ == "__main__":
    main()
