"""`python -m services.disaggregator.training --data DIR --model NAME`: trains, judges, exports, writes the card."""

import argparse
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

from services.disaggregator.training import card
from services.disaggregator.training.build import Workshop, final, with_options
from services.disaggregator.training.export import OPSET, export, parity, state_size
from services.disaggregator.training.packs import DEMO_DAYS, DEMO_HOME, PACKS, read, resample
from services.disaggregator.training.recipes import RECIPES, Recipe

MODELS = Path(__file__).parents[1] / "model"
CACHE = Path(__file__).parents[3] / ".cache" / "trained"
PARITY_STEPS = 10_000


def main() -> None:
    """Parse the options and build one model."""
    options = parse()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    recipe = with_options(RECIPES[options.model], options.epochs, options.seed)
    build(recipe, Workshop(options.data, options.cache), options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m services.disaggregator.training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the packs (*.parquet)")
    parser.add_argument("--model", choices=sorted(RECIPES), default="uk_30s")
    parser.add_argument("--epochs", type=int, help="epochs of every network (default: the recipe's)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-folds", action="store_true", help="leave no home out: plain thresholds, no figures")
    parser.add_argument("--out", type=Path, default=MODELS, help="folder of the models")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where trained weights are kept")
    return parser.parse_args()


def build(recipe: Recipe, workshop: Workshop, options: argparse.Namespace) -> None:
    """Train every appliance's network, export them as one graph and write its card."""
    began = time.monotonic()
    built = [final(workshop, item, not options.no_folds) for item in recipe.appliances]
    networks = [trained for trained, _, _ in built]
    folder = options.out / recipe.name
    export(networks, recipe.period_s, folder / "model.onnx")
    power_w, resets = parity_input(workshop, recipe)
    worst = parity(networks, recipe.period_s, folder / "model.onnx", power_w, resets)
    print(f"parity over {PARITY_STEPS} steps: {worst:.2g}", flush=True)
    if worst > 1e-4:
        raise SystemExit("the exported graph differs from the trained networks")
    files = sorted({file for item in recipe.appliances for file in (*item.homes, *item.templates)})
    homes = sorted({PACKS[file].home for file in files})
    card.write(
        folder,
        {
            "name": recipe.name,
            "version": 1,
            "period_s": recipe.period_s,
            "state_size": state_size(networks),
            "lags_s": list(recipe.lags_s),
            "power_is": "given_on",
            "appliances": [entry for _, entry, _ in built],
            "training": {
                "homes": homes,
                "packs": files,
                "days": {file: read(workshop.data, file).days for file in files},
                "excluded_days": {DEMO_HOME: [f"{DEMO_DAYS[0]}..{DEMO_DAYS[1]}"]},
                "commands": [f"make train DATA=… (python -m services.disaggregator.training --model {recipe.name})"],
                "seeds": [options.seed],
                "duration_s": time.monotonic() - began,
            },
            "figures": {entry["name"]: figures for _, entry, figures in built},
            "data": card.citations(homes),
            "parity": {"steps": PARITY_STEPS, "max_abs_difference": worst},
            "opset": OPSET,
            "notes": recipe.notes,
        },
    )
    print(f"wrote {recipe.name} after {time.monotonic() - began:.0f} s", flush=True)


def parity_input(workshop: Workshop, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Real power samples, with a reset at every 700th."""
    recording = resample(read(workshop.data, recipe.appliances[0].homes[0]), recipe.period_s)
    power_w = recording.mains_w[np.isfinite(recording.mains_w)][:PARITY_STEPS]
    return power_w, np.arange(len(power_w)) % 700 == 0


if __name__ == "__main__":
    main()
