"""Model folders: the shipped one works, bad ones are refused with a reason."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.disaggregator.card import UnusableModel, read_card
from services.disaggregator.onnx_model import SHIPPED, load, load_all

UK_30S = SHIPPED / "uk_30s"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped model, to spoil."""
    for name in ("card.json", "model.onnx"):
        (tmp_path / name).write_bytes((UK_30S / name).read_bytes())
    return tmp_path


def change_card(folder: Path, **changes: Any) -> None:
    """Write other values into the copy's card."""
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | changes))


def test_the_shipped_model_says_numbers_that_mean_something() -> None:
    """Probabilities lie in 0..1, watts are not negative, and a state is carried."""
    network = load(UK_30S)
    state = np.zeros((1, network.model.state_size), np.float32)
    for power_w in (150.0, 2900.0, 2900.0, 150.0):
        probability, watts, state_next = network.step(np.full((1, 1), power_w, np.float32), state)
        assert ((probability >= 0) & (probability <= 1)).all()
        assert (watts >= 0).all()
        assert (state_next != state).any()
        state = state_next


def test_homes_in_one_batch_do_not_see_each_other() -> None:
    """Stepping homes together says what stepping each alone says."""
    network = load(UK_30S)
    random = np.random.default_rng(1)
    powers_w = random.gamma(1, 800, (50, 3, 1)).astype(np.float32)
    together = np.zeros((3, network.model.state_size), np.float32)
    alone = [together[:1].copy() for _ in range(3)]
    for power_w in powers_w:
        probability, _, together = network.step(power_w, together)
        for home in range(3):
            one, _, alone[home] = network.step(power_w[home : home + 1], alone[home])
            np.testing.assert_allclose(probability[home], one[0], atol=1e-4)


def test_a_bad_model_is_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    """Of two names the good one is loaded, and the other is refused with where and why."""
    networks, refused = load_all(["uk_30s", str(tmp_path / "mine")])
    assert [network.model.name for network in networks] == ["uk_30s"]
    assert [str(reason) for reason in refused] == [
        f"{tmp_path / 'mine'}: there is no card.json; a model is a folder that holds model.onnx and card.json"
    ]


def test_another_file_than_the_cards_is_refused(folder: Path) -> None:
    """A model file that does not have the card's checksum is refused."""
    (folder / "model.onnx").write_bytes(b"something else")
    with pytest.raises(UnusableModel, match=r"is not the file that card\.json describes"):
        load(folder)


def test_a_file_that_is_no_model_is_refused(folder: Path) -> None:
    """Bytes that onnxruntime can't read are refused, even with the right checksum."""
    (folder / "model.onnx").write_bytes(b"something else")
    change_card(folder, sha256=hashlib.sha256(b"something else").hexdigest())
    with pytest.raises(UnusableModel, match="onnxruntime can't read it"):
        load(folder)


def test_a_card_that_is_not_json_is_refused(folder: Path) -> None:
    """The reason names the file."""
    (folder / "card.json").write_text("{")
    with pytest.raises(UnusableModel, match=r"card\.json: this is not JSON"):
        read_card(folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"period_s": 0}, "period_s"),
        ({"lags_s": [30, 600]}, "the first is 0"),
        ({"lags_s": [0, 900]}, "within 600 s"),
        ({"power_is": "net"}, "power_is"),
        ({"appliances": []}, "appliances"),
        ({"name": "My Model"}, "name"),
    ],
)
def test_a_card_that_breaks_the_rules_is_refused(folder: Path, changes: dict[str, Any], reason: str) -> None:
    """Each mistake is named by its key."""
    change_card(folder, **changes)
    with pytest.raises(UnusableModel, match=reason):
        read_card(folder)


@pytest.mark.parametrize(("key", "wrong"), [("threshold_off", 0.99), ("corrected_lag_s", 45)])
def test_an_appliance_that_breaks_the_rules_is_refused(folder: Path, key: str, wrong: float) -> None:
    """A threshold out of order, or a lag that the model does not have."""
    card = json.loads((folder / "card.json").read_text())
    card["appliances"][0] |= {"threshold_on": 0.5, key: wrong}
    change_card(folder, appliances=card["appliances"])
    with pytest.raises(UnusableModel, match=key):
        read_card(folder)


def test_a_card_that_does_not_fit_the_graph_is_refused(folder: Path) -> None:
    """Another state size or number of appliances than the graph's is found by the warm-up."""
    card = json.loads((folder / "card.json").read_text())
    change_card(folder, state_size=card["state_size"] + 1)
    with pytest.raises(UnusableModel, match=r"does not take|answers"):
        load(folder)
    change_card(folder, state_size=card["state_size"], appliances=card["appliances"][:-1])
    with pytest.raises(UnusableModel, match="answers"):
        load(folder)
