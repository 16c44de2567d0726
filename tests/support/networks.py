"""A network whose answers can be worked out by hand."""

import numpy as np

from services.disaggregator.domain.network import Floats, Head, Model


class Threshold:
    """An appliance is as likely as the power lies above its level, 100 W wide; each lag speaks of that much earlier.

    The state is the last powers, newest first, so that a reset forgets them.
    """

    def __init__(
        self, heads: tuple[Head, ...], levels_w: tuple[float, ...], *, period_s: float = 30, lags_s: tuple[float, ...] = (0,)
    ) -> None:
        self._levels_w = np.array(levels_w, np.float32)[None, :, None]
        self._lags = [round(lag_s / period_s) for lag_s in lags_s]
        self.model = Model(f"threshold_{period_s:g}s", f"threshold/{period_s}", period_s, max(self._lags) + 1, lags_s, heads)

    def step(self, power_w: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
        """One tick of several homes."""
        state = np.concatenate([power_w, state[:, :-1]], axis=1)
        then_w = state[:, None, self._lags]
        probability = np.clip((then_w - self._levels_w) / 100 + 0.5, 0, 1).astype(np.float32)
        return probability, np.broadcast_to(then_w, probability.shape), state


def head(appliance: str, **changes: float | None) -> Head:
    """A head with plain thresholds."""
    settings = {"threshold_on": 0.5, "threshold_off": 0.3, "threshold_corrected": 0.5, **changes}
    return Head(appliance, **settings)  # type: ignore[arg-type]


def kettle(*, period_s: float = 30, lags_s: tuple[float, ...] = (0,)) -> Threshold:
    """Everything above 2000 W is a kettle; the corrected history comes from the last lag."""
    return Threshold((head("kettle", corrected_lag=len(lags_s) - 1),), (2000.0,), period_s=period_s, lags_s=lags_s)
