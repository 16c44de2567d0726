"""ONNX files as networks: checked at the start, then stepped on one thread."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at the import: the library would report its use to its maker
import onnxruntime as untyped_onnxruntime  # pyright: ignore[reportMissingTypeStubs]

from services.disaggregator.card import Card, UnusableModel, read_card
from services.disaggregator.domain.network import Floats, Model, Network

onnxruntime: Any = untyped_onnxruntime

SHIPPED = Path(__file__).parent / "model"
_INPUTS = ("power_w", "state")
_OUTPUTS = ("probability", "on_power_w", "state_next")


class OnnxModel:
    """A network of an ONNX file."""

    def __init__(self, card: Card, session: Any) -> None:
        self.model: Model = card.model
        self._run = session.run

    def step(self, power_w: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
        """One tick of several homes, [homes, 1] and [homes, state_size]."""
        return self._run(_OUTPUTS, {"power_w": power_w, "state": state})


def load(folder: Path) -> OnnxModel:
    """The model of a folder, checked and warmed up.

    Raises:
        UnusableModel: it can't be used; the message says why.
    """
    card = read_card(folder)
    session = _session(folder / "model.onnx")
    _check_names(folder, session)
    loaded = OnnxModel(card, session)
    _warm_up(folder, card, loaded)
    return loaded


def load_all(names: Sequence[str], beside: Path = SHIPPED) -> tuple[list[Network], list[UnusableModel]]:
    """The models of these names or folders that can be used, and why the others can't."""
    networks, refused = list[Network](), list[UnusableModel]()
    for name in names:
        try:
            networks.append(load(folder_of(name, beside)))
        except UnusableModel as error:
            refused.append(error)
    return networks, refused


def folder_of(name: str, beside: Path = SHIPPED) -> Path:
    """A shipped model's folder, or the folder that a path names."""
    shipped = beside / name
    return shipped if shipped.is_dir() else Path(name).expanduser()


def _session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no public base
        raise UnusableModel(f"{path}: onnxruntime can't read it: {error}") from None


def _check_names(folder: Path, session: Any) -> None:
    for said, wanted in ((session.get_inputs(), _INPUTS), (session.get_outputs(), _OUTPUTS)):
        names = {value.name for value in said}
        if names != set(wanted):
            raise UnusableModel(f"{folder}: model.onnx has {sorted(names)} where {sorted(wanted)} are needed")


def _warm_up(folder: Path, card: Card, network: OnnxModel) -> None:
    """Two ticks of two homes show every shape, and load what onnxruntime loads late."""
    expected = (2, len(card.appliances), len(card.lags_s))
    state = np.zeros((2, card.state_size), np.float32)
    for power_w in (100.0, 3000.0):
        try:
            answer = network.step(np.full((2, 1), power_w, np.float32), state)
        except Exception as error:  # as above
            raise UnusableModel(f"{folder}: model.onnx does not take what card.json describes: {error}") from None
        shapes = tuple(part.shape for part in answer)
        if shapes != (expected, expected, (2, card.state_size)):
            raise UnusableModel(f"{folder}: model.onnx answers {shapes}; card.json describes {expected} and a state of {card.state_size}")
        if not all(np.isfinite(part).all() for part in answer):
            raise UnusableModel(f"{folder}: model.onnx answers numbers that are not finite")
        state = answer[2]
