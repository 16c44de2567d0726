"""Writes the trained networks as one stateful ONNX graph, and holds it against them."""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at the import: the library would report its use to its maker
import onnxruntime
import tensorflow as tf
import tf2onnx

from services.disaggregator.training.activations import rule_of
from services.disaggregator.training.features import look_back, over_sequences, quiet
from services.disaggregator.training.graph import Trained, one_step, state_shapes, state_sizes
from services.disaggregator.training.network import predict
from services.disaggregator.training.packs import Floats

__all__ = ["OPSET", "Trained", "export", "parity", "session", "state_sizes"]

OPSET = 17
HOMES = "homes"


def export(networks: list[Trained], path: Path) -> None:
    """Write the ONNX file with its inputs, outputs and axes by name."""
    shapes = state_shapes(networks)
    signature = [tf.TensorSpec(shape, tf.float32, name) for name, shape in {"power_w": (None, 1), **shapes}.items()]
    graph, _ = tf2onnx.convert.from_function(tf.function(one_step(networks)), input_signature=signature, opset=OPSET)
    outputs = sum(network.plan.shape.outputs for network in networks)
    said = {"probability": (None, outputs), "on_power_w": (None, outputs)}
    _name(graph, said | {f"{name}_next": shape for name, shape in shapes.items()})
    onnx.checker.check_model(graph)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(graph, path)


def _name(graph: Any, outputs: dict[str, tuple[int | None, ...]]) -> None:
    """The converter calls the outputs Identity_n, sorted by their key; axes without a size are the homes."""
    converted = [value.name for value in graph.graph.output]
    for old, new in zip(converted, sorted(outputs), strict=True):
        _rename(graph.graph, old, new)
    del graph.graph.output[:]
    for name, shape in outputs.items():
        axes = [size or HOMES for size in shape]
        graph.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, axes))
    for value in graph.graph.input:
        for axis in value.type.tensor_type.shape.dim:
            if not axis.dim_value:
                axis.dim_param = HOMES


def _rename(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new


def session(path: Path) -> onnxruntime.InferenceSession:
    """One thread, sequential, no spinning: as the service runs it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def parity(networks: list[Trained], path: Path, power_w: Floats, resets: npt.NDArray[np.bool_]) -> float:
    """Largest difference between the Keras networks over whole sequences and the file stepped sample by sample.

    Args:
        networks: what was trained.
        path: what was exported.
        power_w: samples, W.
        resets: where a sequence begins.

    Returns:
        Of probabilities as they are, and of watts in units of the appliance's typical draw.
    """
    pairs = [(name, network.plan.period_s) for network in networks for name in network.plan.appliances]
    scales_w = np.array([[rule_of(name, period_s).scale_w] for name, period_s in pairs], np.float32)
    breaks = [*np.flatnonzero(resets | (np.arange(len(power_w)) == 0)).tolist(), len(power_w)]
    worst = 0.0
    for first, last in pairwise(breaks):
        probability, watts = whole(networks, power_w[first:last])
        for index, (chances, on_power_w) in enumerate(stepped(networks, path, power_w[first:last])):
            worst = max(worst, float(np.abs(chances - probability[index]).max()))
            worst = max(worst, float((np.abs(on_power_w - watts[index] * scales_w) / scales_w).max()))
    return worst


def whole(networks: list[Trained], power_w: Floats) -> tuple[Floats, Floats]:
    """What the Keras networks say of one sequence: calibrated probability, scaled watts, [samples, appliances, lags]."""
    probability, watts = list[Floats](), list[Floats]()
    for network in networks:
        plan = network.plan
        features = over_sequences(power_w[None], plan.period_s)
        inputs, fit = (features, look_back(power_w[None], plan.shape.ages)), network.fit
        said = [predict(model, plan.shape, *inputs) for model in network.models]
        logits = (
            np.mean([logits[0] for logits, _ in said], 0) * fit.slope + fit.offset + quiet(features)[0, :, None, None] * fit.quiet_offset
        )
        probability.append(1 / (1 + np.exp(-logits)))
        watts.append(np.log1p(np.exp(np.mean([_before_softplus(drawn[0]) for _, drawn in said], 0))))
    return np.concatenate(probability, 1), np.concatenate(watts, 1)


def _before_softplus(values: Floats) -> Floats:
    return np.log(np.expm1(np.maximum(values, np.finfo(np.float32).tiny)))


def stepped(networks: list[Trained], path: Path, power_w: Floats) -> Iterator[tuple[Floats, Floats]]:
    """What the file says of one sequence, sample by sample: probability and watts, [appliances, lags]."""
    graph, size = session(path), (-1, len(networks[0].plan.shape.lags))
    state = {name: np.zeros([axis or 1 for axis in shape], np.float32) for name, shape in state_shapes(networks).items()}
    names = ["probability", "on_power_w", *(f"{name}_next" for name in state)]
    for power in power_w:
        chances, on_power_w, *carried = graph.run(names, {"power_w": np.array([[power]], np.float32), **state})
        state = dict(zip(state, carried, strict=True))
        yield chances.reshape(size), on_power_w.reshape(size)
