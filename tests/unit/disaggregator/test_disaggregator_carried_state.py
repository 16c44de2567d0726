"""Carried states as rows, and as the parts that a graph takes."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx as untyped_onnx
import pytest
from onnx import TensorProto, helper

from services.disaggregator.card import UnusableModel
from services.disaggregator.carried_state import apart, parts_of, put_together
from services.disaggregator.onnx_model import MOST_AT_ONCE, SHIPPED, load

onnx: Any = untyped_onnx

SHAPES = {"memory": ("homes", 2), "hidden": (3, "homes", 4)}


def test_a_state_is_taken_apart_and_put_together_again() -> None:
    """Each home's row holds its own part of every input, whichever axis the homes are."""
    parts = parts_of(SHAPES)
    states = np.arange(5 * 14, dtype=np.float32).reshape(5, 14)
    given = apart(parts, states)
    assert {name: values.shape for name, values in given.items()} == {"memory": (5, 2), "hidden": (3, 5, 4)}
    assert given["hidden"][:, 2].ravel().tolist() == states[2, 2:].tolist()
    back = np.zeros_like(states)
    put_together(parts, list(given.values()), back)
    assert back.tolist() == states.tolist()


def test_more_homes_than_are_asked_at_once_get_their_own_answers() -> None:
    """Past the size of one call every home is still told what it is told alone, and carries its own state on."""
    network = load(SHIPPED / "uk_30s")
    homes = MOST_AT_ONCE + 3
    powers_w = np.random.default_rng(1).gamma(1, 800, (4, homes, 1)).astype(np.float32)
    together, alone = np.zeros((homes, network.model.state_size), np.float32), np.zeros((1, network.model.state_size), np.float32)
    for power_w in powers_w:
        probability, watts, together = network.step(power_w, together)
        one = network.step(power_w[-1:], alone)
        alone = one[2]
        for there, here in zip(one, (probability[-1:], watts[-1:], together[-1:]), strict=True):
            np.testing.assert_allclose(there, here, rtol=1e-4, atol=1e-4)


def test_an_answer_is_not_changed_by_the_next_question() -> None:
    """Several homes share a network: what one was told stays as it was told."""
    network = load(SHIPPED / "uk_30s")
    state = np.zeros((1, network.model.state_size), np.float32)
    told = network.step(np.full((1, 1), 2900, np.float32), state)
    kept = [values.copy() for values in told]
    network.step(np.full((1, 1), 150, np.float32), told[2])
    assert all((before == after).all() for before, after in zip(kept, told, strict=True))
    assert not state.any()


def counter(folder: Path, kind: int = TensorProto.FLOAT) -> Path:
    """A model of someone's own: one carried `state`, the power's running sum, that says it as a probability and as watts."""
    axes = ["homes", 1]
    nodes = [
        helper.make_node("Add", ["state", "power_w"], ["state_next"]),
        helper.make_node("Sigmoid", ["state_next"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "last"], ["probability"]),
        helper.make_node("Unsqueeze", ["state_next", "last"], ["on_power_w"]),
    ]
    shapes = {"power_w": axes, "state": axes, "probability": [*axes, 1], "on_power_w": [*axes, 1], "state_next": axes}
    values = [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()]
    graph = helper.make_graph(nodes, "counter", values[:2], values[2:], [helper.make_tensor("last", TensorProto.INT64, [1], [2])])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "model.onnx")
    kettle = {"name": "kettle", "threshold_on": 0.5, "threshold_off": 0.4, "threshold_corrected": 0.5}
    card = {
        "name": "counter", "version": 1, "period_s": 30, "state_size": 1, "lags_s": [0], "appliances": [kettle],
        "sha256": hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest(),
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.mark.parametrize("homes", [1, 3])
def test_a_model_that_carries_one_state_is_taken_too(tmp_path: Path, homes: int) -> None:
    """A graph with one carried input and an axis for the lags works as one with several and none."""
    network = load(counter(tmp_path))
    power_w = np.full((homes, 1), 2, np.float32)
    state = network.step(power_w, np.zeros((homes, 1), np.float32))[2]
    probability, watts, state = network.step(power_w, state)
    assert watts.tolist() == [[[4]]] * homes
    assert probability.shape == (homes, 1, 1)
    assert state.tolist() == [[4]] * homes


def test_a_graph_that_carries_nothing_on_is_refused(tmp_path: Path) -> None:
    """An input without its `_next` among the outputs is named."""
    counter(tmp_path)
    graph = onnx.load(tmp_path / "model.onnx")
    graph.graph.input[1].name = "before"
    graph.graph.node[0].input[0] = "before"
    onnx.save(graph, tmp_path / "model.onnx")
    card = json.loads((tmp_path / "card.json").read_text())
    card["sha256"] = hashlib.sha256((tmp_path / "model.onnx").read_bytes()).hexdigest()
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(UnusableModel, match="before"):
        load(tmp_path)


def test_a_graph_of_another_precision_is_refused(tmp_path: Path) -> None:
    """What can't be fed with single precision is refused with a reason, and ends no service."""
    with pytest.raises(UnusableModel, match=r"does not take what card\.json describes"):
        load(counter(tmp_path, TensorProto.DOUBLE))
