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
    """What a network is made of; `lags` in samples; `blind_to` features (columns) it is not shown.

    Its heads see all of the recent samples where `whole_window`, else those round the moments that they speak of.
    """

    appliances: int = 4
    units: tuple[int, ...] = (64, 64)
    dense: int = 64
    lags: tuple[int, ...] = (0, 2, 20)
    blind_to: tuple[int, ...] = ()
    whole_window: bool = False

    @property
    def ages(self) -> list[int]:
        """How many samples ago lies what the heads see."""
        return window_ages(self.lags, self.whole_window)

    @property
    def outputs(self) -> int:
        """Probabilities (and as many watts) that it says at every sample."""
        return self.appliances * len(self.lags)


def build(shape: Shape) -> keras.Model:
    """Inputs: features [b, t, FEATURES], recent samples [b, t, 2 * window], then h and c [b, units] of every layer.

    Outputs: logits [b, t, appliances * lags], watts in units of the appliance's scale, then h and c of every layer.
    """
    features = keras.Input((None, FEATURES), name="features")
    window = keras.Input((None, 2 * len(shape.ages)), name="window")
    states = [keras.Input((units,), name=f"{kind}{layer}") for layer, units in enumerate(shape.units) for kind in "hc"]
    x: Any = features
    states_next: list[Any] = []
    for layer, units in enumerate(shape.units):
        lstm = keras.layers.LSTM(units, return_sequences=True, return_state=True, name=f"lstm{layer}")
        x, h, c = lstm(x, initial_state=states[2 * layer : 2 * layer + 2])
        states_next += [h, c]
    joined = keras.layers.Concatenate(name="joined")([x, window])
    dense = keras.layers.Dense(shape.dense, activation="relu", name="dense")(joined)
    logits = keras.layers.Dense(shape.outputs, name="logits")(dense)
    watts = keras.layers.Dense(shape.outputs, activation="softplus", name="watts")(dense)
    return keras.Model([features, window, *states], [logits, watts, *states_next])


def blindfold(model: keras.Model, shape: Shape) -> None:
    """Weigh with zero what the network was not shown."""
    kernel = model.get_layer("lstm0").cell.kernel
    seen = np.ones((FEATURES, 1), np.float32)
    seen[list(shape.blind_to)] = 0
    kernel.assign(kernel * seen)


def zero_states(shape: Shape, count: int) -> list[Any]:
    """The state of a reset for `count` sequences."""
    return [tf.zeros((count, units)) for units in shape.units for _ in "hc"]


def over_time(model: keras.Model, shape: Shape, features: Any, window: Any, states: list[Any]) -> list[Any]:
    """What the model says of sequences, its LSTM layers run by TensorFlow's block kernel: the same sums, several times faster.

    The kernel has no ONNX twin, so the export goes through the layers themselves.
    """
    x, states_next = features, list[Any]()
    for layer in range(len(shape.units)):
        x, *carried = _block(model.get_layer(f"lstm{layer}"), x, *states[2 * layer : 2 * layer + 2])
        states_next += carried
    joined = tf.concat([x, window], -1)
    dense = model.get_layer("dense")(joined)
    return [model.get_layer("logits")(dense), model.get_layer("watts")(dense), *states_next]


def _block(lstm: keras.layers.LSTM, x: Any, h: Any, c: Any) -> tuple[Any, Any, Any]:
    """The kernel's second version is faster to call, but TensorFlow gives it the first one's gradient: a wrong one."""
    x, peephole = tf.transpose(x, (1, 0, 2)), tf.zeros((lstm.units,))
    weights = tf.concat([lstm.cell.kernel.value, lstm.cell.recurrent_kernel.value], 0)
    run = tf.raw_ops.BlockLSTM(
        seq_len_max=tf.cast(tf.shape(x)[0], tf.int64), x=x, cs_prev=c, h_prev=h, w=_in_its_order(weights),
        b=_in_its_order(lstm.cell.bias.value), wci=peephole, wcf=peephole, wco=peephole, forget_bias=0.0, cell_clip=-1.0,
    )  # fmt: skip
    return tf.transpose(run.h, (1, 0, 2)), run.h[-1], run.cs[-1]


def _in_its_order(gates: Any) -> Any:
    """Keras: input, forget, candidate, output; the kernel: input, candidate, forget, output."""
    into, forget, candidate, out = tf.split(gates, 4, -1)
    return tf.concat([into, candidate, forget, out], -1)


def predict(model: keras.Model, shape: Shape, features: Floats, window: Floats) -> tuple[Floats, Floats]:
    """Logits and scaled watts [b, t, appliances, lags] of whole sequences that start from a reset."""
    call = _caller(model, shape)
    states = zero_states(shape, len(features))
    parts: list[tuple[Floats, Floats]] = []
    for first in range(0, features.shape[1], 512):
        piece = [tf.constant(values[:, first : first + 512]) for values in (features, window)]
        logits, watts, *states = call(*piece, states)
        parts.append((logits.numpy(), watts.numpy()))
    size = (*features.shape[:2], shape.appliances, len(shape.lags))
    logits, watts = (np.concatenate([part[index] for part in parts], 1).reshape(size) for index in (0, 1))
    return logits, watts


def _caller(model: keras.Model, shape: Shape) -> Any:
    if not hasattr(model, "fast_call"):
        model.fast_call = tf.function(lambda *inputs: over_time(model, shape, *inputs), reduce_retracing=True)
    return model.fast_call
