"""What a model says of itself, and the one step that the domain asks of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """One appliance of a model, and when it counts as running.

    Attributes:
        threshold_on: the probability at which it starts to run.
        threshold_off: the probability below which it stops.
        threshold_corrected: the probability at which the corrected history calls it running.
        minimum_on_s: how long the probability has to last before a start is believed; 0 announces at once.
        minimum_off_s: how long it has to stay low before an end is believed; shorter pauses belong to the run.
        probable_threshold: the probability at which it is called probable, before it is sure; None says nothing early.
        hold_corrected_s: how long the corrected history goes on calling it running once the probability is lower.
        corrected_lag: which of the model's lags the corrected history is taken from.
        priority: of several models that know the appliance, the highest speaks.
        heats: it has a heater that may explain a large step of the power.
        learns_from_hindsight: what is said at once is corrected by what the home has taught (`Hindsight`).
    """

    appliance: str
    threshold_on: float
    threshold_off: float
    threshold_corrected: float
    minimum_on_s: float = 0.0
    minimum_off_s: float = 0.0
    probable_threshold: float | None = None
    hold_corrected_s: float = 0.0
    corrected_lag: int = 0
    priority: int = 0
    heats: bool = True
    learns_from_hindsight: bool = False


@dataclass(frozen=True)
class Model:
    """A network's clock, its carried state and its heads, in the order of its outputs.

    Attributes:
        identity: changes when the file does; a state is only given back to the network that made it.
        lags_s: how far back each output speaks, s; the first is 0.
    """

    name: str
    identity: str
    period_s: float
    state_size: int
    lags_s: tuple[float, ...]
    heads: tuple[Head, ...]


class Network(Protocol):
    """A stateful one-step network."""

    @property
    def model(self) -> Model:
        """What it is."""
        ...

    def step(self, power_w: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
        """One tick of several homes.

        Args:
            power_w: mean mains power over the tick just ended, [homes, 1].
            state: as returned by the last step; zeros after a reset, [homes, state_size].

        Returns:
            probability [homes, appliances, lags], watts while running [homes, appliances, lags], the next state.
        """
        ...


class LoadModels(Protocol):
    """Opens model folders."""

    def __call__(self, names: Sequence[str], /) -> tuple[Sequence[Network], Sequence[Exception]]:
        """The networks that can be used, and why the others can't."""
        ...
