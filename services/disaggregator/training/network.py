"""The network of one appliance: LSTM layers, then for each lag a small head for probability and for watts."""

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

    units: tuple[int, ...] = (48, 48)
    dense: int = 32
    lags: tuple[int, ...] = (0, 20)


def build(shape: Shape) -> keras.Model:
    """Inputs: features [b, t, FEATURES], a window [b, t, w] a lag, then h and c [b, units] a layer.

    Outputs: logits [b, t, lags], watts in units of the appliance's scale [b, t, lags], then h and c a layer.
    """
    features = keras.Input((None, FEATURES), name="features")
    windows = [keras.Input((None, 2 * len(window_ages(lag))), name=f"window_{lag}") for lag in shape.lags]
    states = [keras.Input((units,), name=f"{kind}{layer}") for layer, units in enumerate(shape.units) for kind in "hc"]
    x: Any = features
    states_next: list[Any] = []
    for layer, units in enumerate(shape.units):
        lstm = keras.layers.LSTM(units, return_sequences=True, return_state=True, name=f"lstm{layer}")
        x, h, c = lstm(x, initial_state=states[2 * layer : 2 * layer + 2])
        states_next += [h, c]
    heads = [_head(x, window, shape, lag) for window, lag in zip(windows, shape.lags, strict=True)]
    logits, watts = (keras.layers.Concatenate(name=name)(list(parts)) for name, parts in _named(heads))
    return keras.Model([features, *windows, *states], [logits, watts, *states_next])


def _named(heads: list[tuple[Any, Any]]) -> list[tuple[str, list[Any]]]:
    return [("logits", [head[0] for head in heads]), ("watts", [head[1] for head in heads])]


def _head(x: Any, window: Any, shape: Shape, lag: int) -> tuple[Any, Any]:
    joined = keras.layers.Concatenate(name=f"joined_{lag}")([x, window])
    dense = keras.layers.Dense(shape.dense, activation="relu", name=f"dense_{lag}")(joined)
    logit = keras.layers.Dense(1, name=f"logit_{lag}")(dense)
    watts = keras.layers.Dense(1, activation="softplus", name=f"watts_{lag}")(dense)
    return logit, watts


def zero_states(shape: Shape, count: int) -> list[Any]:
    """The state of a reset for `count` sequences."""
    return [tf.zeros((count, units)) for units in shape.units for _ in "hc"]


def predict(model: keras.Model, shape: Shape, features: Floats, windows: list[Floats]) -> tuple[Floats, Floats]:
    """Logits and scaled watts [b, t, lags] of whole sequences that start from a reset."""
    call = _caller(model)
    states = zero_states(shape, len(features))
    parts: list[tuple[Floats, Floats]] = []
    for first in range(0, features.shape[1], 512):
        piece = [tf.constant(values[:, first : first + 512]) for values in (features, *windows)]
        logits, watts, *states = call([*piece, *states])
        parts.append((logits.numpy(), watts.numpy()))
    return np.concatenate([part[0] for part in parts], 1), np.concatenate([part[1] for part in parts], 1)


def _caller(model: keras.Model) -> Any:
    if not hasattr(model, "fast_call"):
        model.fast_call = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
    return model.fast_call
