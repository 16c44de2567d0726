"""One step of all networks of a model, as it is exported: power and carried state in, answers and next state out.

The layers' cells are written out in plain operations rather than called: the networks' layers of one depth are one
batched matrix product, where an LSTM operator for each would be dearer at one home. Their numbers are the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from services.disaggregator.training.activations import rule_of
from services.disaggregator.training.calibrate import Fit
from services.disaggregator.training.features import MOST_W, SINCE, quiet_logs
from services.disaggregator.training.packs import Floats
from services.disaggregator.training.stages import Stages, stages
from services.disaggregator.training.train import Plan

LEAST = 1e-7
"""Of a sigmoid, before its logarithm is taken: it may round to 0."""


@dataclass
class Trained:
    """Networks of one plan whose answers are averaged, and what calibrates their logits, [appliances, lags] each."""

    plan: Plan
    models: list[keras.Model]
    fit: Fit


class Layer(NamedTuple):
    """One depth of all networks: what weighs the input and the hidden state, [networks, from, 4 units].

    The bias is None where the input holds a constant, as that of the first layer does. The candidate's weights are
    doubled, so that all four gates take the same function: tanh x = 2 sigmoid 2x - 1.
    """

    kernel: Floats
    recurrent: Floats
    bias: Floats | None


class Heads(NamedTuple):
    """From the last hidden states and what is seen to the answers [homes, 2 * appliances * lags]: calibrated logits, then watts.

    The networks' heads are one: their weights stand in blocks, members' means and calibration folded in. The watts' weights are
    negative: see `one_step`.
    """

    dense: Floats
    dense_bias: Floats
    answers: Floats
    answers_bias: Floats
    scales_w: Floats


def members(networks: list[Trained]) -> list[keras.Model]:
    """All networks, one after another."""
    return [model for network in networks for model in network.models]


def state_shapes(networks: list[Trained]) -> dict[str, tuple[int | None, ...]]:
    """The parts of the carried state, where None stands for the homes: all zeros is a reset."""
    shapes: dict[str, tuple[int | None, ...]] = {"memory": (None, _stages(networks).memory_size)}
    for number, units in enumerate(_units(networks)):
        shapes |= {f"{kind}{number}": (len(members(networks)), None, units) for kind in ("hidden", "cell")}
    return shapes


def state_sizes(networks: list[Trained]) -> list[int]:
    """Numbers that a home carries from step to step, part by part."""
    return [int(np.prod([size or 1 for size in shape])) for shape in state_shapes(networks).values()]


def one_step(networks: list[Trained]) -> Callable[..., dict[str, Any]]:
    """The function that is exported: power [homes, 1] W, then the state's parts -> probability, watts, the next parts.

    All networks share the clock and the lags; their appliances follow one another, [homes, appliances * lags].
    """
    seen = _stages(networks)
    layers, heads, units = _layers(networks, seen), _heads(networks, seen), _units(networks)[-1]
    size = len(members(networks)) * units

    def step(power_w: Any, memory: Any, *states: Any) -> dict[str, Any]:
        window, memory_next = look(seen, power_w, memory)
        x, carried = window[:, seen.features[0] : seen.features[-1] + 2], {"memory_next": memory_next}
        for number, layer in enumerate(layers):
            hidden, cell = states[2 * number : 2 * number + 2]
            before = tf.matmul(hidden, layer.recurrent)
            gates = tf.matmul(x, layer.kernel) + (before if layer.bias is None else before + layer.bias)
            x, cell = _cell(gates, cell)
            carried |= {f"hidden{number}_next": x, f"cell{number}_next": cell}
        last = tf.reshape(tf.transpose(x, (1, 0, 2)), (-1, size))
        dense = tf.nn.relu(tf.matmul(tf.concat([last, window], 1), heads.dense) + heads.dense_bias)
        # onnxruntime's softplus takes four times as long as its sigmoid and logarithm: softplus x = -log sigmoid -x.
        probability, off = tf.split(tf.sigmoid(tf.matmul(dense, heads.answers) + heads.answers_bias), 2, 1)
        return {"probability": probability, "on_power_w": tf.math.log(tf.maximum(off, LEAST)) * -heads.scales_w, **carried}

    return step


def look(seen: Stages, power_w: Any, memory: Any) -> tuple[Any, Any]:
    """What the networks see, [homes, seen], not yet scaled, and the memory of the next sample."""
    power = tf.minimum(tf.nn.relu(power_w), MOST_W)
    columns = power * _product(memory, *seen.times_power) + _product(memory, *seen.plus)
    kept = tf.nn.relu(_product(tf.cast(columns > seen.thresholds, tf.float32), *seen.conditions))
    columns = tf.minimum(tf.maximum(columns, seen.lowest), seen.highest) * kept
    logs, plain = tf.math.log(_product(columns, *seen.under_log)), tf.minimum(_product(columns, *seen.plain), seen.most_plain)
    return tf.concat([logs, plain], 1), _product(columns, *seen.memory_next)


def _product(values: Any, weights: Floats, constant: Floats) -> Any:
    return tf.matmul(values, weights) + constant


def _cell(gates: Any, cell: Any) -> tuple[Any, Any]:
    into, forget, candidate, out = tf.split(tf.sigmoid(gates), 4, -1)
    cell = forget * cell + into * (2.0 * candidate - 1.0)
    return out * tf.tanh(cell), cell


def _stages(networks: list[Trained]) -> Stages:
    plan = networks[0].plan
    return stages(plan.period_s, _ages(networks))


def _ages(networks: list[Trained]) -> list[int]:
    """Of all samples that any network's heads see."""
    return sorted({age for network in networks for age in network.plan.shape.ages})


def _units(networks: list[Trained]) -> list[int]:
    """Of each depth: the largest of any network; the others are filled up with cells that stay 0."""
    depths = {len(network.plan.shape.units) for network in networks}
    if len(depths) > 1:
        raise ValueError("networks of one model need the same number of layers")
    return [max(units) for units in zip(*(network.plan.shape.units for network in networks), strict=True)]


def _layers(networks: list[Trained], seen: Stages) -> list[Layer]:
    (kernel, recurrent, bias), *others = (_layer(networks, number, units) for number, units in enumerate(_units(networks)))
    # The first layer's bias is the weight of the constant that is seen; its input's scales go into its weights.
    scaled = kernel * seen.scales[seen.features][:, None]
    return [Layer(np.concatenate([scaled, bias], 1), recurrent, None), *(Layer(*weights) for weights in others)]


def _layer(networks: list[Trained], number: int, units: int) -> tuple[Floats, Floats, Floats]:
    weights = [model.get_layer(f"lstm{number}").get_weights() for model in members(networks)]
    inputs = max(kernel.shape[0] for kernel, _, _ in weights)
    kernels = np.stack([_filled(kernel, inputs, units) for kernel, _, _ in weights])
    recurrents = np.stack([_filled(recurrent, units, units) for _, recurrent, _ in weights])
    return kernels, recurrents, np.stack([_filled(bias[None], 1, units) for _, _, bias in weights])


def _filled(weights: Floats, rows: int, units: int) -> Floats:
    """One network's weights of four gates, zeros where it is smaller than others; the candidate's doubled."""
    gates = weights.reshape(len(weights), 4, -1) * np.array([1, 1, 2, 1], np.float32)[:, None]
    return np.pad(gates, ((0, rows - len(weights)), (0, 0), (0, units - gates.shape[2]))).reshape(rows, -1)


def _heads(networks: list[Trained], seen: Stages) -> Heads:
    dense, dense_bias = _dense(networks, seen)
    slopes, offsets, quiet_offsets = (
        np.concatenate([np.ravel(each) for each in parts]) for parts in zip(*(network.fit for network in networks), strict=True)
    )
    logits, bias = _averaged(networks, "logits")
    watts, watts_bias = _averaged(networks, "watts")
    answers = np.concatenate([logits * slopes, -watts], 1)
    if quiet_offsets.any():
        units, units_bias = _quiet(seen, len(dense))
        dense, dense_bias = np.concatenate([dense, units], 1), np.concatenate([dense_bias, units_bias])
        by_quiet = np.concatenate([quiet_offsets, np.zeros_like(quiet_offsets)])
        answers = np.concatenate([answers, [by_quiet, -by_quiet]])
    scales_w = np.concatenate([_scales(network.plan) for network in networks])
    answers_bias = np.concatenate([bias * slopes + offsets, -watts_bias])
    return Heads(dense, dense_bias, answers.astype(np.float32), answers_bias, scales_w)


def _quiet(seen: Stages, rows: int) -> tuple[Floats, Floats]:
    """Two rectified units whose difference is `features.quiet`: weights [rows, 2] and biases."""
    begins, whole = quiet_logs()
    units = np.zeros((rows, 2), np.float32)
    units[rows - len(seen.scales) + seen.features[SINCE]] = 1 / (whole - begins)
    return units, np.array([-begins, -whole], np.float32) / np.float32(whole - begins)


def _dense(networks: list[Trained], seen: Stages) -> tuple[Floats, Floats]:
    """Every member's own hidden state in a block, what is seen shared by all."""
    units = _units(networks)[-1]
    own = [network.plan.shape.units[-1] for network in networks for _ in network.models]
    weights = [model.get_layer("dense").get_weights() for model in members(networks)]
    hidden = [np.pad(kernel[:size], ((0, units - size), (0, 0))) for size, (kernel, _) in zip(own, weights, strict=True)]
    window = np.zeros((len(seen.scales), sum(part.shape[1] for part in hidden)), np.float32)
    ages = _ages(networks)
    shown = [_shown(network.plan.shape.ages, ages) for network in networks for _ in network.models]
    parts = [_spread(kernel[size:], place, 2 * len(ages)) for size, place, (kernel, _) in zip(own, shown, weights, strict=True)]
    window[seen.window] = np.concatenate(parts, 1)
    return np.concatenate([_blocks(hidden), window * seen.scales[:, None]]), np.concatenate([bias for _, bias in weights])


def _shown(own: list[int], ages: list[int]) -> list[int]:
    """Where a network's own window, as it is and its logarithms, lies in that of all."""
    places = [ages.index(age) for age in own]
    return [*places, *(len(ages) + place for place in places)]


def _spread(kernel: Floats, places: list[int], rows: int) -> Floats:
    """The rows of a matrix at these places, zeros elsewhere."""
    spread = np.zeros((rows, kernel.shape[1]), np.float32)
    spread[places] = kernel
    return spread


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
