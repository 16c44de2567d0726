"""Joins the trained networks into one stateful ONNX graph that takes a home's power and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, field
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
from services.disaggregator.training.features import MEMORY, MOST_W, advance, shown_window, window_ages
from services.disaggregator.training.network import Shape
from services.disaggregator.training.packs import Floats

OPSET = 17
TENSORFLOW = SimpleNamespace(
    minimum=tf.minimum, maximum=tf.maximum, where=tf.where, log1p=lambda x: tf.math.log(x + 1.0), abs=tf.abs, sign=tf.sign, stack=tf.stack
)


@dataclass
class Trained:
    """An appliance's network and, a lag each, the slope and offset that calibrate its logits."""

    appliance: str
    shape: Shape
    model: keras.Model
    slopes: tuple[float, ...] = field(default=())
    offsets: tuple[float, ...] = field(default=())


def ring_size(shape: Shape) -> int:
    """How many past samples the state keeps."""
    return max(max(window_ages(lag)) for lag in shape.lags)


def state_size(networks: list[Trained]) -> int:
    """Length of the state: the features' memory, past samples, then h and c of every layer."""
    return len(MEMORY) + ring_size(networks[0].shape) + sum(2 * sum(n.shape.units) for n in networks)


def one_step(networks: list[Trained], period_s: int) -> Callable[..., Any]:
    """The function that is exported: power [homes, 1] W, state [homes, N] -> probability, watts, next state."""
    ring = ring_size(networks[0].shape)

    def step(power_w: Any, state: Any) -> dict[str, Any]:
        power = tf.clip_by_value(power_w[:, 0], 0.0, MOST_W)
        features, memory = advance(power, [state[:, i] for i in range(len(MEMORY))], float(period_s), TENSORFLOW)
        past = tf.where(state[:, :1] > 0.5, state[:, len(MEMORY) : len(MEMORY) + ring], power[:, None])
        samples = tf.concat([power[:, None], past], 1)
        states_next, at = [tf.stack(memory, 1), samples[:, :ring]], len(MEMORY) + ring
        probability, watts = [], []
        for network in networks:
            size = 2 * sum(network.shape.units)
            said = _one(network, features, samples, state[:, at : at + size])
            at += size
            probability.append(said[0])
            watts.append(said[1] * rule_of(network.appliance, period_s).scale_w)
            states_next += said[2]
        return {
            "probability": tf.stack(probability, 1, name="probability"),
            "on_power_w": tf.stack(watts, 1, name="on_power_w"),
            "state_next": tf.concat(states_next, 1, name="state_next"),
        }

    return step


def _one(network: Trained, features: Any, samples: Any, state: Any) -> tuple[Any, Any, list[Any]]:
    sizes = [units for units in network.shape.units for _ in "hc"]
    states = tf.split(state, sizes, 1)
    windows = [tf.gather(samples, window_ages(lag), axis=1) for lag in network.shape.lags]
    shown = [shown_window(window, TENSORFLOW, tf.concat)[:, None] for window in windows]
    logits, watts, *states_next = network.model([features[:, None], *shown, *states], training=False)
    slopes, offsets = tf.constant(network.slopes, tf.float32), tf.constant(network.offsets, tf.float32)
    return tf.sigmoid(logits[:, 0] * slopes + offsets), watts[:, 0], states_next


def export(networks: list[Trained], period_s: int, path: Path) -> None:
    """Write the ONNX file with its inputs and outputs by name."""
    size = state_size(networks)
    signature = (
        tf.TensorSpec((None, 1), tf.float32, "power_w"),
        tf.TensorSpec((None, size), tf.float32, "state"),
    )
    graph, _ = tf2onnx.convert.from_function(
        tf.function(one_step(networks, period_s)), input_signature=signature, opset=OPSET
    )
    rename(graph, ["probability", "on_power_w", "state_next"], (len(networks), len(networks[0].shape.lags), size))
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


def parity(networks: list[Trained], period_s: int, path: Path, power_w: Floats, resets: npt.NDArray[np.bool_]) -> float:
    """Largest difference of any output between TensorFlow and ONNX over the samples, each with its own state."""
    step = tf.function(one_step(networks, period_s))
    graph, size = session(path), state_size(networks)
    state_tf = state_onnx = np.zeros((1, size), np.float32)
    worst = 0.0
    for power, reset in zip(power_w, resets, strict=True):
        if reset:
            state_tf = state_onnx = np.zeros((1, size), np.float32)
        now = np.array([[power]], np.float32)
        here = step(tf.constant(now), tf.constant(state_tf))
        there = graph.run(["probability", "on_power_w", "state_next"], {"power_w": now, "state": state_onnx})
        scale = np.array([rule_of(n.appliance, period_s).scale_w for n in networks], np.float32)[:, None]
        worst = max(worst, float(np.abs(here["probability"] - there[0]).max()))
        worst = max(worst, float((np.abs(here["on_power_w"] - there[1]) / scale).max()))
        state_tf, state_onnx = here["state_next"].numpy(), there[2]
    return worst
