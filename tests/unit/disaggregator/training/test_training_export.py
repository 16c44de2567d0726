"""The exported graph is the network that was trained. Runs where TensorFlow is: `.cache/training/bin/python -m pytest`."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

import onnx
import tensorflow as tf

from services.disaggregator.training import export, network
from services.disaggregator.training.recipes import RECIPES
from services.disaggregator.training.train import Plan

pytestmark = pytest.mark.filterwarnings("ignore")


def untrained(plan: Plan) -> export.Trained:
    """Two members with random weights, and a calibration of their own."""
    shape = (len(plan.appliances), len(plan.shape.lags))
    members = [network.build(plan.shape) for _ in range(2)]
    return export.Trained(plan, members, np.full(shape, 0.9, np.float32), np.full(shape, -0.1, np.float32))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(RECIPES))
def test_keras_and_onnx_agree_over_ten_thousand_steps(name: str, tmp_path: Path) -> None:
    """Each carries its own state over 10,000 steps, resets among them: no output differs by more than 1e-4."""
    networks = [untrained(part.plan) for part in RECIPES[name].parts]
    path = tmp_path / "model.onnx"
    export.export(networks, path)
    random = np.random.default_rng(3)
    power_w = (200 + 2500 * (random.random(10_000) < 0.1)).astype(np.float32) + random.normal(0, 20, 10_000).astype(np.float32)
    assert export.parity(networks, path, power_w, np.arange(10_000) % 700 == 0) <= 1e-4


def test_the_kernel_that_trains_is_the_layer_that_ships() -> None:
    """Outputs and gradients of the block kernel are those of the Keras layers, with a carried state."""
    shape = network.Shape(1, (5, 4), 6, (0, 2))
    model, random = network.build(shape), np.random.default_rng(1)
    features, window = (
        random.normal(size=(3, 20, size)).astype(np.float32) for size in (model.inputs[0].shape[-1], model.inputs[1].shape[-1])
    )
    states = [random.normal(size=(3, units)).astype(np.float32) * 0.3 for units in shape.units for _ in "hc"]
    answers = []
    for said in (lambda: model([features, window, *states]), lambda: network.over_time(model, shape, features, window, states)):
        with tf.GradientTape() as tape:
            outputs = said()
            loss = tf.add_n([tf.reduce_sum(tf.square(output)) for output in outputs])
        answers.append([*outputs, *tape.gradient(loss, model.trainable_variables)])
    for layers, kernel in zip(*answers, strict=True):
        np.testing.assert_allclose(layers, kernel, rtol=2e-3, atol=1e-4)


def test_members_are_averaged() -> None:
    """One step of two members says the mean of their logits, calibrated."""
    plan = RECIPES["fridge_60s"].parts[0].plan
    together = untrained(plan)
    apart = [export.Trained(plan, [member], together.slopes, together.offsets) for member in together.models]
    logits = []
    for trained in (together, *apart):
        state = np.zeros((1, sum(export.state_sizes([trained]))), np.float32)
        probability = export.one_step([trained])(tf.constant([[800.0]]), tf.constant(state))["probability"].numpy()
        logits.append(np.log(probability / (1 - probability)))
    np.testing.assert_allclose(logits[0], (logits[1] + logits[2]) / 2, atol=1e-4)


def test_the_graph_holds_plain_lstm_operators(tmp_path: Path) -> None:
    """One LSTM operator a layer, no loop, named inputs and outputs."""
    networks = [untrained(part.plan) for part in RECIPES["uk_30s"].parts]
    export.export(networks, tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("LSTM") == sum(len(one.plan.shape.units) * len(one.models) for one in networks)
    assert not {"Loop", "Scan", "If"} & set(operators)
    assert [value.name for value in graph.input] == ["power_w", "state"]
    assert [value.name for value in graph.output] == ["probability", "on_power_w", "state_next"]
