"""Models with one home left out of everything: training, thresholds, calibration. What a released model is judged by.

The released thresholds were chosen on homes that their networks had not seen, but by those homes' truth; here the
home that is judged has no say in them either.
"""

from typing import Any

from services.disaggregator.training.build import Folds, Workshop, calibrated, chosen, files_without, left_out
from services.disaggregator.training.export import Trained
from services.disaggregator.training.packs import PACKS
from services.disaggregator.training.progress import tell
from services.disaggregator.training.recipes import Recipe


def homes_of(recipe: Recipe) -> list[str]:
    """The homes that are left out in turn."""
    return list(dict.fromkeys(PACKS[judge].home for part in recipe.parts for judge in part.judges))


def said_of_all(workshop: Workshop, recipe: Recipe) -> Folds:
    """What is said of each of these homes by networks that never saw it."""
    return {name: said for part in recipe.parts for name, said in left_out(workshop, part).items()}


def fold(workshop: Workshop, recipe: Recipe, home: str, said: Folds) -> tuple[list[Trained], list[dict[str, Any]]]:
    """The networks that are judged on this home, as if it had never been recorded, and their appliances' entries in the card."""
    networks, entries = list[Trained](), list[dict[str, Any]]()
    for part in recipe.parts:
        if home not in {PACKS[judge].home for judge in part.judges}:
            continue
        tell(f"{', '.join(part.plan.appliances)}: without {home}")
        model = workshop.network(part.plan, *files_without(part, home))
        others = {name: [(judge, each) for judge, each in said[name] if judge != home] for name in part.plan.appliances}
        network, heard = calibrated(part.plan, [model], others)
        networks.append(network)
        entries += [chosen(recipe, name, heard[name])[0] for name in part.plan.appliances]
    return networks, entries
