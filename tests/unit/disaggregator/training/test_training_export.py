"""The exported graph is the network that was trained. Runs where TensorFlow is: `.cache/training/bin/python -m pytest`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

import onnx
import tensorflow as tf

from services.disaggregator.training import augment, calibrate, export, features, graph, network, stages, train
from services.disaggregator.training.recipes import RECIPES
from services.disaggregator.training.train import Plan

pytestmark = pytest.mark.filterwarnings("ignore")


def untrained(plan: Plan) -> export.Trained:
    """Two members with random weights, and a calibration of their own."""
    shape = (len(plan.appliances), len(plan.shape.lags))
    members = [network.build(plan.shape) for _ in range(2)]
    return export.Trained(plan, members, calibrate.Fit(*(np.full(shape, value, np.float32) for value in (0.9, -0.1, -0.7))))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(RECIPES))
def test_keras_and_onnx_agree_over_ten_thousand_steps(name: str, tmp_path: Path) -> None:
    """The file stepped 10,000 times, resets among them, says what Keras says of the whole sequences: no output is off by more than 1e-4."""
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
    apart = [export.Trained(plan, [member], together.fit) for member in together.models]
    logits = []
    for trained in (together, *apart):
        state = [np.zeros([size or 1 for size in shape], np.float32) for shape in graph.state_shapes([trained]).values()]
        probability = graph.one_step([trained])(tf.constant([[800.0]]), *state)["probability"].numpy()
        logits.append(np.log(probability / (1 - probability)))
    np.testing.assert_allclose(logits[0], (logits[1] + logits[2]) / 2, atol=1e-4)


def test_networks_of_different_sizes_share_a_graph(tmp_path: Path) -> None:
    """A smaller network is filled up with cells that stay empty: what it says is what it says alone."""
    large = RECIPES["fridge_60s"].parts[0].plan
    small = replace(large, shape=replace(large.shape, units=(24, 40), dense=20))
    networks = [untrained(large), untrained(small)]
    path = tmp_path / "model.onnx"
    export.export(networks, path)
    power_w = (100 + 2400 * (np.random.default_rng(5).random(600) < 0.2)).astype(np.float32)
    assert export.parity(networks, path, power_w, np.arange(600) == 300) <= 1e-4


def test_the_graph_has_no_loop_and_names_what_it_carries(tmp_path: Path) -> None:
    """One product a layer for all networks, no loop, inputs and outputs by name; each carried part comes back as its next."""
    networks = [untrained(part.plan) for part in RECIPES["uk_30s"].parts]
    export.export(networks, tmp_path / "model.onnx")
    held = onnx.load(tmp_path / "model.onnx").graph
    operators = [node.op_type for node in held.node]
    assert operators.count("Tanh") == len(networks[0].plan.shape.units)
    assert not {"Loop", "Scan", "If", "LSTM"} & set(operators)
    carried = ["memory", "hidden0", "cell0", "hidden1", "cell1"]
    assert [value.name for value in held.input] == ["power_w", *carried]
    assert [value.name for value in held.output] == ["probability", "on_power_w", *(f"{name}_next" for name in carried)]


@pytest.mark.parametrize("period_s", [6, 30, 60])
def test_the_stages_show_the_features(period_s: int) -> None:
    """What the graph sees sample by sample are the features and the window that the networks were trained on."""
    random = np.random.default_rng(2)
    power_w = (random.gamma(1, 600, 1500) * (random.random(1500) < 0.3) + 150).astype(np.float32)
    power_w[200:240], power_w[700:900], power_w[1000], power_w[1001] = 2600, 2900, -40, 20_000
    lags = (0, 2, 20)
    matrices = stages.stages(period_s, features.window_ages(lags))
    memory, seen = np.zeros((1, matrices.memory_size), np.float32), list[np.ndarray]()
    for power in power_w:
        shown, memory = graph.look(matrices, tf.constant([[power]], tf.float32), memory)
        seen.append(shown.numpy()[0] * matrices.scales)
    shown = np.array(seen)
    np.testing.assert_allclose(shown[:, matrices.features], features.over_sequences(power_w[None], period_s)[0], atol=2e-5)
    np.testing.assert_allclose(shown[:, matrices.window], features.look_back(power_w[None], features.window_ages(lags))[0], atol=2e-5)


def test_after_a_gap_nothing_is_carried() -> None:
    """Cut into parts that begin anew, a sequence is seen as so many short ones; the first samples of a lag count for nothing in each."""
    plan = RECIPES["fridge_60s"].parts[0].plan
    random = np.random.default_rng(8)
    mains_w = random.uniform(50, 900, (2, 64)).astype(np.float32)
    ones = np.ones((2, 64, 1), np.float32)
    whole = train.tensors(augment.Batch(mains_w, 80 * ones, ones, ones), plan, 32)
    half = train.tensors(augment.Batch(mains_w[:, 32:], 80 * ones[:, 32:], ones[:, 32:], ones[:, 32:]), plan)
    for got, expected in zip((*whole.inputs, whole.on, whole.weight), (*half.inputs, half.on, half.weight), strict=True):
        assert np.array_equal(got[:, 32:], expected)
    assert whole.weight[0, :, -1].sum() == 2 * (32 - plan.shape.lags[-1])
