"""Which models exist: their clock, lags and appliances, and what each appliance's network is trained on and how."""

from dataclasses import dataclass, field

from services.disaggregator.training.augment import Augmentation
from services.disaggregator.training.network import Shape
from services.disaggregator.training.train import Plan


@dataclass(frozen=True)
class ApplianceRecipe:
    """One appliance's network. `homes` are trained on whole, `templates` give activations only.

    `judges` are the packs that are left out in turn (with every other pack of the same home) to choose thresholds
    and calibration.
    """

    plan: Plan
    homes: tuple[str, ...]
    judges: tuple[str, ...]
    templates: tuple[str, ...] = ()
    minimum_on_s: int = 0
    minimum_off_s: int = 0
    typical_power_w: float = 0


@dataclass(frozen=True)
class Recipe:
    """One ONNX file."""

    name: str
    period_s: int
    lags_s: tuple[int, ...]
    appliances: tuple[ApplianceRecipe, ...] = field(default=())
    notes: str = "The demo home, REFIT 2, is one that was trained on; the days that the demo replays were not."


REFIT = ("refit_house2_30s", "refit_house20_30s")
CYCLE_TEMPLATES = ("ukdale_house1_6s_2days", "ukdale_house5_6s_1day")
SHORT = Shape(units=(64,))
CYCLE = Shape(units=(48, 48))

UK_30S = Recipe(
    "uk_30s",
    30,
    (0, 600),
    (
        ApplianceRecipe(
            Plan("kettle", shape=SHORT, augmentation=Augmentation(mains_power=(0.9, 1.1))),
            REFIT, REFIT, typical_power_w=2700,
        ),
        ApplianceRecipe(
            Plan("microwave", shape=SHORT, augmentation=Augmentation(mains_power=(0.9, 1.1))),
            REFIT, REFIT, CYCLE_TEMPLATES, 0, 30, 1100,
        ),
        ApplianceRecipe(
            Plan(
                "dishwasher",
                shape=CYCLE,
                augmentation=Augmentation(
                    remove_share=0.3, insert_share=0.4, stretch=(0.75, 1.35), crop_share=0.5, power=(0.85, 1.15)
                ),
            ),
            (*REFIT, "ukdale_house1_60s"), (*REFIT, "ukdale_house1_60s"), CYCLE_TEMPLATES, 600, 1200, 650,
        ),
        ApplianceRecipe(
            Plan(
                "washing_machine",
                shape=CYCLE,
                augmentation=Augmentation(insert_share=0.2, stretch=(0.85, 1.2), power=(0.9, 1.1)),
            ),
            REFIT, REFIT, CYCLE_TEMPLATES, 300, 300, 350,
        ),
    ),
)  # fmt: skip

RECIPES = {recipe.name: recipe for recipe in (UK_30S,)}
