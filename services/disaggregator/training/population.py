"""How often appliances run in homes in general, where the few recorded homes are no measure of it."""

import numpy as np

from services.disaggregator.training.activations import Flags
from services.disaggregator.training.packs import Floats

_HOURS_A_YEAR = 8_760
USUAL_SHARES = {"dishwasher": 280 * 1.75 / _HOURS_A_YEAR}
"""Of all time. A dishwasher: the 280 runs a year by which the European label reckoned (Regulation (EU) 1059/2010), an hour and three
quarters each; the recorded homes run theirs from 1.6 to 10.3 % of the time."""


def weights(appliance: str, truth_on: Flags) -> Floats:
    """How much each sample counts [samples], so that it runs as often as usual; all the same where that is not known."""
    share, own = USUAL_SHARES.get(appliance), float(truth_on.mean())
    if share is None or not 0 < own < 1:
        return np.ones(len(truth_on), np.float32)
    return np.where(truth_on, share / own, (1 - share) / (1 - own)).astype(np.float32)


def usual_f1(appliance: str, said_on: Flags, truth_on: Flags) -> float:
    """F1 by sample as it would be in a home that runs it as often as usual."""
    weight = weights(appliance, truth_on)
    right, said, true = (float(weight[flags].sum(dtype=np.float64)) for flags in (said_on & truth_on, said_on, truth_on))
    return 2 * right / max(1e-9, said + true)
