"""Which models exist: their clock, lags and appliances, and what each is trained on and how."""

from dataclasses import dataclass, replace

from services.disaggregator.training.augment import Mixture, Variation
from services.disaggregator.training.network import Shape
from services.disaggregator.training.thresholds import OFF_SHARES, Thresholds
from services.disaggregator.training.train import Plan


@dataclass(frozen=True)
class Announcing:
    """How one appliance's probability becomes running; thresholds come from homes left out.

    What `learns_from_hindsight` is corrected by what the home teaches, as the service does it, before thresholds are chosen.
    `off_shares`: of the threshold to start, from which the one to stop is chosen; a single home is no measure of it.
    """

    corrected_lag_s: int
    minimum_on_s: int = 0
    minimum_off_s: int = 0
    typical_power_w: float = 0
    false_a_day: float = 1.0
    learns_from_hindsight: bool = False
    off_shares: tuple[float, ...] = OFF_SHARES

    @property
    def unjudged(self) -> Thresholds:
        """Where no home was left out to choose from."""
        return Thresholds(0.5, 0.3, self.minimum_on_s, self.minimum_off_s)


@dataclass(frozen=True)
class Part:
    """One network of a model.

    `homes` are trained on whole, `templates` give activations only. `judges` are left out in turn, with every other
    pack of the same home, to choose thresholds and calibration. The released network is the mean of `members` that
    differ in their seed; the ones that the judges hear are single.
    """

    plan: Plan
    homes: tuple[str, ...]
    judges: tuple[str, ...]
    templates: tuple[str, ...] = ()
    members: int = 1


@dataclass(frozen=True)
class Recipe:
    """One ONNX file: networks that share a clock and lags."""

    name: str
    period_s: int
    lags_s: tuple[int, ...]
    parts: tuple[Part, ...]
    announcing: dict[str, Announcing]
    notes: str = (
        "The demo home, REFIT 2, is one that was trained on; the days that the demo replays were not. The figures are of homes "
        "that had no part in the judged networks, nor in their thresholds and calibration; `make bench-accuracy DATA=DIR "
        "ARGS='--days 60 --cards'` writes them, over the last 60 days of each pack. The released networks are trained on all homes, their "
        "thresholds and calibration fitted on what networks said of homes that they had not seen. REFIT 2 is a hard home: it has a "
        "2.1-kW hob, a 10-kW shower, heaters that run for days, and a meter that ends at 6 kW."
    )


REFIT = ("refit_house2_30s", "refit_house20_30s")
TEMPLATES = ("ukdale_house1_6s_2days", "ukdale_house5_6s_1day")
LAGS_30S = (0, 2, 20)
HEATER_BLOCKS = (4, 5, 14, 15)
"""Features: length of the last heater block, and the time since it. They help with dishwashers, and are recited elsewhere."""

KETTLE = Variation(0.1, 0.0, 0.8, 6, peak_w=(2200, 3050))
MICROWAVE = Variation(0.3, 0.0, 0.8, 6, peak_w=(500, 1700))
DISHWASHER = Variation(0.5, 0.4, 0.8, 2, (0.75, 1.35), (1700, 2500), 0.5, 2.0)
WASHING_MACHINE = Variation(0.35, 0.2, 0.8, 2, (0.8, 1.25), (1600, 2500), 0.0, 1.4)
BESIDE_SHORT_LOADS = tuple(
    (name, replace(variation, peak_w=(1800, 2350)))
    for name, variation in (("washing_machine", WASHING_MACHINE), ("dishwasher", DISHWASHER))
)

SHORT_LOADS = Part(
    Plan(
        ("kettle", "microwave"),
        30,
        Shape(2, (32, 32), 48, LAGS_30S, whole_window=True),
        Mixture(
            {"microwave": MICROWAVE, "kettle": KETTLE},
            around_share=0.7,
            heater_share=0.3,
            distractors=BESIDE_SHORT_LOADS,
            distract_share=0.25,
            slow_share=0.12,
        ),
        epochs=12,
        batches=96,
        streams=64,
        length=256,
        truncation=64,
        importance=(1.2, 1.0),
    ),
    (*REFIT, "ukdale_house1_60s", "ukdale_house3_60s_kettle_no_timestamps", "gjw_house1_mains_only_irregular"),
    REFIT,
    TEMPLATES,
)


def cycles(appliance: str, mixture: Mixture, homes: tuple[str, ...], blind_to: tuple[int, ...] = ()) -> Part:
    """A network for an appliance that runs for hours; each of its homes is left out in turn."""
    shape = Shape(1, (32, 32), 24, LAGS_30S, blind_to)
    plan = Plan((appliance,), 30, shape, mixture, epochs=9, batches=44, streams=24, length=1024, truncation=96)
    return Part(plan, homes, homes, TEMPLATES)


DISHWASHERS = cycles(
    "dishwasher",
    Mixture(
        {"dishwasher": DISHWASHER},
        heater_share=0.35,
        rooms_share=0.0,
        distractors=(("washing_machine", replace(WASHING_MACHINE, warp=1.0)),),
        distract_share=0.45,
        slow_share=0.15,
    ),
    (*REFIT, "ukdale_house1_60s"),
)
WASHING_MACHINES = cycles(
    "washing_machine",
    Mixture(
        {"washing_machine": WASHING_MACHINE},
        heater_share=0.35,
        wandering_share=0.2,
        distractors=(("dishwasher", DISHWASHER),),
        distract_share=0.35,
        slow_share=0.15,
    ),
    REFIT,
    HEATER_BLOCKS,
)
UK_30S = Recipe(
    "uk_30s",
    30,
    (0, 60, 600),
    (SHORT_LOADS, DISHWASHERS, WASHING_MACHINES),
    {
        "kettle": Announcing(600, 0, 0, 2700, 0.3, learns_from_hindsight=True),
        "microwave": Announcing(600, 0, 0, 1100, 1.0, learns_from_hindsight=True),
        "dishwasher": Announcing(600, 120, 300, 650, 0.3),
        "washing_machine": Announcing(600, 120, 180, 350, 0.3),
    },
)

FRIDGE_60S = Recipe(
    "fridge_60s",
    60,
    (0, 120, 600),
    (
        Part(
            Plan(
                ("fridge",),
                60,
                Shape(1, (64, 64), 32, (0, 2, 10)),
                Mixture(base_w=250.0, heater_share=0.1, cycler_share=0.2, bare_share=0.3, swap_share=0.7),
                epochs=12,
                batches=44,
                streams=24,
                length=1024,
                truncation=96,
                restart_share=0.2,
            ),
            ("ukdale_house1_60s", "refit_house2_8s", "ukdale_house5_6s_1day"),
            ("refit_house2_8s",),
        ),
    ),
    {"fridge": Announcing(600, 0, 0, 90, 50.0, off_shares=(0.6,))},
)

RECIPES = {recipe.name: recipe for recipe in (UK_30S, FRIDGE_60S)}
