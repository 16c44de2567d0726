"""Joins the trained networks into one stateful ONNX graph that takes a home's power and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx

from services.disaggregator.training.activations import rule_of
from services.disaggregator.training.features import MEMORY, MOST_W, advance, baseline_next, shown_window, window_ages
from services.disaggregator.training.packs import Floats
from services.disaggregator.training.train import Plan

OPSET = 17
TENSORFLOW = SimpleNamespace(
    minimum=tf.minimum,
    maximum=tf.maximum,
    log=tf.math.log,
    abs=tf.abs,
    concat=tf.concat,
    number=lambda flags: tf.cast(flags, tf.float32),
)


@dataclass
class Trained:
    """Networks of one plan whose answers are averaged, and slope and offset that calibrate their logits, [appliances, lags]."""

    plan: Plan
    models: list[keras.Model]
    slopes: Floats
    offsets: Floats

    @property
    def carried(self) -> list[int]:
        """Sizes of h and c of every layer, one member after another."""
        return [units for _ in self.models for units in self.plan.shape.units for _ in "hc"]


def ring_of(networks: list[Trained]) -> int:
    """How many past samples the state keeps."""
    return max(max(window_ages(network.plan.shape.lags)) for network in networks)


def state_sizes(networks: list[Trained]) -> list[int]:
    """The state's parts: the features' memory, the baseline with past samples, then h and c of every layer."""
    return [*MEMORY, 1 + ring_of(networks), *(size for network in networks for size in network.carried)]


def one_step(networks: list[Trained]) -> Callable[..., Any]:
    """The function that is exported: power [homes, 1] W, state [homes, N] -> probability, watts, next state.

    All networks share the clock and the lags; their appliances follow one another.
    """
    ring, sizes = ring_of(networks), state_sizes(networks)
    period_s, lags = networks[0].plan.period_s, len(networks[0].plan.shape.lags)
    heads = _heads(networks)
    outputs = (-1, sum(network.plan.shape.appliances for network in networks), lags)

    def step(power_w: Any, state: Any) -> dict[str, Any]:
        power = tf.clip_by_value(power_w, 0.0, MOST_W)
        *memory, past, rest = tf.split(state, [*sizes[: len(MEMORY) + 1], sum(sizes[len(MEMORY) + 1 :])], 1)
        features, memory, (baseline, past) = advance(power, tuple(memory), past, float(period_s), TENSORFLOW)
        states = tf.split(rest, sizes[len(MEMORY) + 1 :], 1)
        samples = tf.concat([power, past[:, 1:]], 1)
        window = shown_window(_recent(samples, window_ages(networks[0].plan.shape.lags)), TENSORFLOW)
        hidden, states_next = [], []
        for model in _members(networks):
            h, carried = _recurrent(model, features[:, None], states)
            states, states_next, hidden = states[len(carried) :], states_next + carried, [*hidden, h]
        logits, watts = heads(tf.concat([*hidden, window], 1))
        carried = [*memory, baseline_next(baseline, period_s), samples[:, :ring], *states_next]
        return {
            "probability": tf.reshape(tf.sigmoid(logits), outputs),
            "on_power_w": tf.reshape(watts, outputs),
            "state_next": tf.concat(carried, 1),
        }

    return step


def _members(networks: list[Trained]) -> list[keras.Model]:
    return [model for network in networks for model in network.models]


def _recurrent(model: keras.Model, x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
    carried: list[Any] = []
    while f"lstm{len(carried) // 2}" in {layer.name for layer in model.layers}:
        first = len(carried)
        x, h, c = model.get_layer(f"lstm{first // 2}")(x, initial_state=states[first : first + 2], training=False)
        carried += [h, c]
    return carried[-2], carried


def _heads(networks: list[Trained]) -> Callable[[Any], tuple[Any, Any]]:
    """From all recurrent outputs and the recent samples to calibrated logits and watts [homes, appliances * lags].

    The networks' heads become one: their weights stand in blocks, members' means, calibration and scale folded in.
    """
    dense, dense_bias = _dense(networks)
    slopes, offsets = (np.concatenate([getattr(n, name).reshape(-1) for n in networks]) for name in ("slopes", "offsets"))
    kernel, bias = _averaged(networks, "logits")
    watts, watts_bias = _averaged(networks, "watts")
    scales_w = np.concatenate([_scales(network.plan) for network in networks])
    kernel, bias = kernel * slopes, bias * slopes + offsets

    def heads(joined: Any) -> tuple[Any, Any]:
        hidden = tf.nn.relu(tf.matmul(joined, dense) + dense_bias)
        return tf.matmul(hidden, kernel) + bias, tf.nn.softplus(tf.matmul(hidden, watts) + watts_bias) * scales_w

    return heads


def _dense(networks: list[Trained]) -> tuple[Floats, Floats]:
    """Every member's own hidden state in a block, the recent samples shared by all."""
    sizes = [network.plan.shape.units[-1] for network in networks for _ in network.models]
    weights = [model.get_layer("dense").get_weights() for model in _members(networks)]
    seen = _blocks([kernel[:size] for size, (kernel, _) in zip(sizes, weights, strict=True)])
    windows = np.concatenate([kernel[size:] for size, (kernel, _) in zip(sizes, weights, strict=True)], 1)
    return np.concatenate([seen, windows]), np.concatenate([bias for _, bias in weights])


def _averaged(networks: list[Trained], layer: str) -> tuple[Floats, Floats]:
    """The networks in blocks; a network's members stand one below another, so that their means come out."""
    kernels, biases = list[Floats](), list[Floats]()
    for network in networks:
        weights = [model.get_layer(layer).get_weights() for model in network.models]
        kernels.append(np.concatenate([kernel for kernel, _ in weights]) / np.float32(len(weights)))
        biases.append(np.mean([bias for _, bias in weights], 0, np.float32))
    return _blocks(kernels), np.concatenate(biases)


def _scales(plan: Plan) -> Floats:
    scales_w = [rule_of(name, plan.period_s).scale_w for name in plan.appliances]
    return np.repeat(scales_w, len(plan.shape.lags)).astype(np.float32)


def _blocks(parts: list[Floats]) -> Floats:
    """The matrices along the diagonal of one, zeros elsewhere."""
    rows, columns = ([part.shape[axis] for part in parts] for axis in (0, 1))
    whole = np.zeros((sum(rows), sum(columns)), np.float32)
    for index, part in enumerate(parts):
        row, column = sum(rows[:index]), sum(columns[:index])
        whole[row : row + rows[index], column : column + columns[index]] = part
    return whole


def _recent(samples: Any, ages: list[int]) -> Any:
    """The samples of these ages, by slices of neighbours."""
    breaks = [index for index in range(1, len(ages)) if ages[index] != ages[index - 1] + 1]
    groups = [ages[first:last] for first, last in zip([0, *breaks], [*breaks, len(ages)], strict=True)]
    return tf.concat([samples[:, group[0] : group[-1] + 1] for group in groups], 1)


def export(networks: list[Trained], path: Path) -> None:
    """Write the ONNX file with its inputs and outputs by name."""
    size = sum(state_sizes(networks))
    signature = (tf.TensorSpec((None, 1), tf.float32, "power_w"), tf.TensorSpec((None, size), tf.float32, "state"))
    step = tf.function(one_step(networks))
    graph, _ = tf2onnx.convert.from_function(step, input_signature=signature, opset=OPSET)
    appliances = sum(network.plan.shape.appliances for network in networks)
    sizes = (appliances, len(networks[0].plan.shape.lags), size)
    rename(graph, ["probability", "on_power_w", "state_next"], sizes)
    onnx.checker.check_model(graph)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, path)


def rename(graph: Any, names: list[str], sizes: tuple[int, int, int]) -> None:
    """Name inputs, outputs and axes (the converter calls the outputs Identity_n); refuse loops."""
    if any(node.op_type in ("Loop", "Scan") for node in graph.graph.node):
        raise ValueError("the graph holds a loop: an LSTM was not recognised by the converter")
    appliances, lags, size = sizes
    shapes = {"probability": ("homes", appliances, lags), "on_power_w": ("homes", appliances, lags), "state_next": ("homes", size)}
    for old in list(graph.graph.output):
        _rename_output(graph.graph, old.name, old.name.split(":")[0])
    order = _order(graph, names)
    del graph.graph.output[:]
    for name in names:
        _rename_output(graph.graph, order[name], name)
        graph.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shapes[name]))
    for value in graph.graph.input:
        value.type.tensor_type.shape.dim[0].dim_param = "homes"


def _rename_output(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new


def _order(graph: Any, names: list[str]) -> dict[str, str]:
    """Structured outputs come sorted by their key."""
    said = [value.name.split(":")[0] for value in graph.graph.output]
    return dict(zip(sorted(names), said, strict=True))


def session(path: Path) -> onnxruntime.InferenceSession:
    """One thread, sequential, no spinning: as the service runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def parity(networks: list[Trained], path: Path, power_w: Floats, resets: npt.NDArray[np.bool_]) -> float:
    """Largest difference of any output between TensorFlow and ONNX over the samples, each with its own state.

    Probabilities as they are, watts in units of the appliance's typical draw.
    """
    step, graph = tf.function(one_step(networks)), session(path)
    pairs = [(name, network.plan.period_s) for network in networks for name in network.plan.appliances]
    scales_w = np.array([[rule_of(name, period_s).scale_w] for name, period_s in pairs], np.float32)
    zeros = np.zeros((1, sum(state_sizes(networks))), np.float32)
    state_tf = state_onnx = zeros
    worst = 0.0
    for power, reset in zip(power_w, resets, strict=True):
        if reset:
            state_tf = state_onnx = zeros
        now = np.array([[power]], np.float32)
        here = step(tf.constant(now), tf.constant(state_tf))
        there = graph.run(["probability", "on_power_w", "state_next"], {"power_w": now, "state": state_onnx})
        worst = max(worst, float(np.abs(here["probability"] - there[0]).max()))
        worst = max(worst, float((np.abs(here["on_power_w"] - there[1]) / scales_w).max()))
        state_tf, state_onnx = here["state_next"].numpy(), there[2]
    return worst
