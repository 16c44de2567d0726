"""The network: shared LSTM layers, one dense layer, then probability and watts of every appliance at every lag."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from services.disaggregator.training.features import FEATURES, window_ages
from services.disaggregator.training.packs import Floats


@dataclass(frozen=True)
class Shape:
    """What a network is made of; `lags` in samples."""

    appliances: int = 4
    units: tuple[int, ...] = (64, 64)
    dense: int = 64
    lags: tuple[int, ...] = (0, 2, 20)
    dropout: float = 0.0

    @property
    def outputs(self) -> int:
        """Probabilities (and as many watts) that it says at every sample."""
        return self.appliances * len(self.lags)


def build(shape: Shape) -> keras.Model:
    """Inputs: features [b, t, FEATURES], recent samples [b, t, 2 * window], then h and c [b, units] of every layer.

    Outputs: logits [b, t, appliances * lags], watts in units of the appliance's scale, then h and c of every layer.
    """
    features = keras.Input((None, FEATURES), name="features")
    window = keras.Input((None, 2 * len(window_ages(shape.lags))), name="window")
    states = [keras.Input((units,), name=f"{kind}{layer}") for layer, units in enumerate(shape.units) for kind in "hc"]
    x: Any = features
    states_next: list[Any] = []
    for layer, units in enumerate(shape.units):
        lstm = keras.layers.LSTM(units, return_sequences=True, return_state=True, name=f"lstm{layer}")
        x, h, c = lstm(x, initial_state=states[2 * layer : 2 * layer + 2])
        states_next += [h, c]
    joined = keras.layers.Concatenate(name="joined")([x, window])
    if shape.dropout:
        joined = keras.layers.Dropout(shape.dropout)(joined)
    dense = keras.layers.Dense(shape.dense, activation="relu", name="dense")(joined)
    logits = keras.layers.Dense(shape.outputs, name="logits")(dense)
    watts = keras.layers.Dense(shape.outputs, activation="softplus", name="watts")(dense)
    return keras.Model([features, window, *states], [logits, watts, *states_next])


def zero_states(shape: Shape, count: int) -> list[Any]:
    """The state of a reset for `count` sequences."""
    return [tf.zeros((count, units)) for units in shape.units for _ in "hc"]


def predict(model: keras.Model, shape: Shape, features: Floats, window: Floats) -> tuple[Floats, Floats]:
    """Logits and scaled watts [b, t, appliances, lags] of whole sequences that start from a reset."""
    call = _caller(model)
    states = zero_states(shape, len(features))
    parts: list[tuple[Floats, Floats]] = []
    for first in range(0, features.shape[1], 512):
        piece = [tf.constant(values[:, first : first + 512]) for values in (features, window)]
        logits, watts, *states = call([*piece, *states])
        parts.append((logits.numpy(), watts.numpy()))
    size = (*features.shape[:2], shape.appliances, len(shape.lags))
    logits, watts = (np.concatenate([part[index] for part in parts], 1).reshape(size) for index in (0, 1))
    return logits, watts


def _caller(model: keras.Model) -> Any:
    if not hasattr(model, "fast_call"):
        model.fast_call = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
    return model.fast_call
