"""ONNX files as networks: checked at the start, then stepped on one thread."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at the import: the library would report its use to its maker
import onnxruntime as untyped_onnxruntime  # pyright: ignore[reportMissingTypeStubs]

from services.disaggregator.card import Card, UnusableModel, read_card
from services.disaggregator.carried_state import Part, apart, parts_of, put_together
from services.disaggregator.domain.network import Floats, Model, Network

onnxruntime: Any = untyped_onnxruntime

SHIPPED = Path(__file__).parent / "model"
MOST_AT_ONCE = 512
"""Homes in one call: what more of them leave between two operations outgrows the processor's cache."""
POWER, SAID, NEXT = "power_w", ("probability", "on_power_w"), "_next"

Answer = tuple[Floats, Floats, Floats]


class OnnxModel:
    """A network of an ONNX file. Not for several threads at once."""

    def __init__(self, card: Card, one: Any, several: Any, parts: Sequence[Part]) -> None:
        self.model: Model = card.model
        self._run = several.run
        self._parts = parts
        self._said = [*SAID, *(part.name + NEXT for part in parts)]
        self._size = (len(card.appliances), len(card.lags_s))
        self._one = _OneHome(one, parts, card.state_size, self._size)

    def step(self, power_w: Floats, state: Floats) -> Answer:
        """One tick of several homes, [homes, 1] and [homes, state_size]."""
        homes = len(power_w)
        if homes == 1:
            return self._one.step(power_w, state)
        said, state_next = np.empty((2, homes, *self._size), np.float32), np.empty_like(state)
        for first in range(0, homes, MOST_AT_ONCE):
            some = slice(first, first + MOST_AT_ONCE)
            self._several(power_w[some], state[some], said[:, some], state_next[some])
        return said[0], said[1], state_next

    def _several(self, power_w: Floats, state: Floats, said: Floats, state_next: Floats) -> None:
        """Ask for as many homes as are asked at once; the answer goes into `said` and `state_next`."""
        probability, on_power_w, *carried = self._run(self._said, {POWER: power_w, **apart(self._parts, state)})
        said[0], said[1] = probability.reshape(said[0].shape), on_power_w.reshape(said[1].shape)
        put_together(self._parts, carried, state_next)


class _OneHome:
    """Steps one home through memory that onnxruntime knows already: naming it anew for each step takes longer than it."""

    def __init__(self, session: Any, parts: Sequence[Part], state_size: int, size: tuple[int, int]) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._power_w = np.zeros((1, 1), np.float32)
        self._state, self._state_next = np.zeros((2, 1, state_size), np.float32)
        self._probability, self._on_power_w = (np.zeros((1, *size), np.float32) for _ in SAID)
        self._bind(self._binding.bind_input, POWER, self._power_w, (1, 1))
        shapes = {value.name: value.shape for value in session.get_outputs()}
        for name, said in zip(SAID, (self._probability, self._on_power_w), strict=True):
            self._bind(self._binding.bind_output, name, said, said.shape if len(shapes[name]) == said.ndim else (1, said.size))
        for part in parts:
            self._bind(self._binding.bind_input, part.name, self._state[:, part.place], part.sized(1))
            self._bind(self._binding.bind_output, part.name + NEXT, self._state_next[:, part.place], part.sized(1))

    def _bind(self, bind: Any, name: str, memory: Floats, shape: Sequence[int]) -> None:
        """With one home every part is one piece of its state, whatever its axes."""
        bind(name, "cpu", 0, np.float32, shape, memory.ctypes.data)

    def step(self, power_w: Floats, state: Floats) -> Answer:
        """One tick, [1, 1] and [1, state_size]."""
        self._power_w[0, 0] = power_w[0, 0]
        self._state[:] = state
        self._session.run_with_iobinding(self._binding)
        return self._probability.copy(), self._on_power_w.copy(), self._state_next.copy()


def load(folder: Path) -> OnnxModel:
    """The model of a folder, checked and warmed up.

    Raises:
        UnusableModel: it can't be used; the message says why.
    """
    card = read_card(folder)
    # A session that has seen several numbers of homes plans its memory anew each time: one home alone has its own.
    one, several = (_session(folder / "model.onnx") for _ in range(2))
    parts = _checked(folder, card, one)
    try:
        loaded = OnnxModel(card, one, several, parts)
        finite = _warm_up(card, loaded)
    except Exception as error:  # onnxruntime's own exceptions share no public base
        raise UnusableModel(f"{folder}: model.onnx does not take what card.json describes: {error}") from None
    if not finite:
        raise UnusableModel(f"{folder}: model.onnx answers numbers that are not finite")
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
    except Exception as error:  # as above
        raise UnusableModel(f"{path}: onnxruntime can't read it: {error}") from None


def _checked(folder: Path, card: Card, session: Any) -> list[Part]:
    """The carried inputs of a graph whose names and sizes are those that the card tells of."""
    given, said = ({value.name: tuple(value.shape) for value in values} for values in (session.get_inputs(), session.get_outputs()))
    carried = {name: shape for name, shape in given.items() if name != POWER}
    wanted = {POWER, *carried}, {*SAID, *(name + NEXT for name in carried)}
    if (set(given), set(said)) != wanted or not carried:
        named = f"{sorted(given)} -> {sorted(said)}"
        raise UnusableModel(f"{folder}: model.onnx has {named}; needed are {POWER} and STATE -> {', '.join(SAID)} and STATE{NEXT}")
    parts = parts_of(carried)
    size = sum(part.size for part in parts)
    if size != card.state_size:
        raise UnusableModel(f"{folder}: model.onnx does not take a state of {card.state_size}, as card.json describes, but of {size}")
    outputs = len(card.appliances) * len(card.lags_s)
    for name in SAID:
        if math.prod(axis for axis in said[name][1:] if isinstance(axis, int)) != outputs:
            raise UnusableModel(f"{folder}: model.onnx answers {name} {said[name]}; card.json describes {outputs} numbers a home")
    return parts


def _warm_up(card: Card, network: OnnxModel) -> bool:
    """Two ticks of two homes and of one show every shape, and load what onnxruntime loads late. Tells whether all was finite."""
    finite = True
    for homes in (2, 1):
        state = np.zeros((homes, card.state_size), np.float32)
        for power_w in (100.0, 3000.0):
            answer = network.step(np.full((homes, 1), power_w, np.float32), state)
            finite = finite and all(np.isfinite(part).all() for part in answer)
            state = answer[2]
    return finite
