"""The exported graph is the network that was trained. Runs where TensorFlow is: `.cache/training/bin/python -m pytest`."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

import onnx

from services.disaggregator.training import export, network
from services.disaggregator.training.recipes import RECIPES
from services.disaggregator.training.train import Plan

pytestmark = pytest.mark.filterwarnings("ignore")


def untrained(plan: Plan) -> export.Trained:
    """A network with random weights and a calibration of its own."""
    shape = (len(plan.appliances), len(plan.shape.lags))
    return export.Trained(plan, network.build(plan.shape), np.full(shape, 0.9, np.float32), np.full(shape, -0.1, np.float32))


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


def test_the_graph_holds_plain_lstm_operators(tmp_path: Path) -> None:
    """One LSTM operator a layer, no loop, named inputs and outputs."""
    networks = [untrained(part.plan) for part in RECIPES["uk_30s"].parts]
    export.export(networks, tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx").graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("LSTM") == sum(len(one.plan.shape.units) for one in networks)
    assert not {"Loop", "Scan", "If"} & set(operators)
    assert [value.name for value in graph.input] == ["power_w", "state"]
    assert [value.name for value in graph.output] == ["probability", "on_power_w", "state_next"]
