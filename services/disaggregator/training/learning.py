"""What a home would have taught while it was judged: the service's own learning, over a whole recording."""

from collections import deque

import numpy as np
import numpy.typing as npt

from services.disaggregator.domain.hindsight import Hindsight
from services.disaggregator.training.packs import Floats


def learnt(probability: Floats, mains_w: Floats, place: npt.NDArray[np.int64], lag: int) -> Floats:
    """Probabilities [samples, lags] whose first column is corrected, sample by sample, by what their last one has taught before.

    `place` says where the samples lie in their recording: after a gap nothing of what was awaited comes. `lag` in samples.
    """
    hindsight, recent_w = Hindsight(), deque[float](maxlen=lag + 1)
    at_once, later, power_w, out = probability[:, 0].tolist(), probability[:, -1].tolist(), mains_w.tolist(), probability.copy()
    begins = np.diff(place, prepend=place[:1]) > 1
    for sample, begin in enumerate(begins.tolist()):
        if begin:
            recent_w.clear()
            hindsight.forget_awaited()
        recent_w.append(power_w[sample])
        if len(recent_w) > lag:
            hindsight.hear_later(float(sample - lag), later[sample - lag])
        out[sample, 0] = hindsight.heed(float(sample), at_once[sample], recent_w)
    return out
