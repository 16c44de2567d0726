"""What telling appliances apart costs, on one thread: a step of each shipped model beside the ancestor's way, and a year.

The ancestor ran a window of 20 samples through four LSTM layers of 131 units for every sample and every home. Weights
do not change what it costs; here they are drawn at random.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from services.disaggregator.domain.in_lanes import MOST_LANES
from services.disaggregator.domain.network import Floats
from services.disaggregator.history import disaggregate
from services.disaggregator.onnx_model import SHIPPED, OnnxModel, load, onnxruntime
from services.disaggregator.settings import DisaggregatorSettings

_WINDOW, _UNITS, _LAYERS = 20, 131, 4
_STEPS = 2_000
_HOMES = (64, 1_000)
_DAYS = 365
_PERIOD_S = 30
_SERVICE = """
import resource
import services.disaggregator.__main__
from services.disaggregator.domain.home import Home
from services.disaggregator.onnx_model import load_all
from services.disaggregator.settings import DisaggregatorSettings

home = Home(load_all(DisaggregatorSettings().models)[0])
for tick in range(3_000):
    home.read(30.0 * tick, 100.0 + 2_500 * (tick % 90 < 6))
    home.save()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def main() -> None:
    """Measure, and print."""
    theirs_us = spent_us(ancestor_step(1), _STEPS // 10)
    print(f"the ancestor's way, one home                {theirs_us:8.1f} µs a sample")
    for folder in sorted(path.parent for path in SHIPPED.glob("*/card.json")):
        _model(load(folder), theirs_us)
    _memory()
    _year([load(SHIPPED / name) for name in DisaggregatorSettings().models])


def _model(model: OnnxModel, theirs_us: float) -> None:
    name = model.model.name
    for homes in (1, *_HOMES):
        ours_us = spent_us(_step(model, homes), _STEPS if homes == 1 else 100) / homes
        print(
            f"{name:<12} {homes:>5} homes at once             {ours_us:8.2f} µs a sample and home: {theirs_us / ours_us:.0f} times cheaper"
        )


def _step(model: OnnxModel, homes: int) -> Callable[[], None]:
    power_w = np.random.default_rng(1).uniform(50, 4_000, (homes, 1)).astype(np.float32)
    state = np.zeros((homes, model.model.state_size), np.float32)

    def step() -> None:
        nonlocal state
        state = model.step(power_w, state)[2]

    return step


def ancestor_step(homes: int) -> Callable[[], None]:
    """One sample of so many homes: the window of each through all layers."""
    session = onnxruntime.InferenceSession(_ancestor().SerializeToString(), _options(), providers=["CPUExecutionProvider"])
    window = np.random.default_rng(1).uniform(0, 1, (_WINDOW, homes, 1)).astype(np.float32)
    return lambda: session.run(None, {"window": window})


def _ancestor() -> Any:
    chance = np.random.default_rng(0)
    nodes: list[Any] = []
    weights: list[Any] = []
    source = "window"
    for layer in range(_LAYERS):
        width = 1 if layer == 0 else _UNITS
        for name, shape in (("W", (1, 4 * _UNITS, width)), ("R", (1, 4 * _UNITS, _UNITS)), ("B", (1, 8 * _UNITS))):
            weights.append(numpy_helper.from_array(chance.normal(0, 0.05, shape).astype(np.float32), f"{name}{layer}"))
        nodes.append(
            helper.make_node("LSTM", [source, *(f"{name}{layer}" for name in "WRB")], [f"all{layer}", f"last{layer}"], hidden_size=_UNITS)
        )
        nodes.append(helper.make_node("Squeeze", [f"all{layer}", "direction"], [f"out{layer}"]))
        source = f"out{layer}"
    weights.append(numpy_helper.from_array(np.array([1], np.int64), "direction"))
    weights.append(numpy_helper.from_array(chance.normal(0, 0.05, (_UNITS, 1)).astype(np.float32), "dense"))
    nodes.append(helper.make_node("MatMul", [f"last{_LAYERS - 1}", "dense"], ["on"]))
    graph = helper.make_graph(
        nodes, "ancestor", [helper.make_tensor_value_info("window", TensorProto.FLOAT, [_WINDOW, "homes", 1])],
        [helper.make_tensor_value_info("on", TensorProto.FLOAT, [1, "homes", 1])], weights,
    )  # fmt: skip
    return onnx.helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def spent_us(step: Callable[[], None], count: int) -> float:
    """The median, µs: what else runs on the machine disturbs single steps."""
    spent: list[float] = []
    for _ in range(count):
        began_s = time.perf_counter()
        step()
        spent.append(time.perf_counter() - began_s)
    return float(np.median(spent)) * 1e6


def _memory() -> None:
    """Of a process that holds what the service holds: its code, the models, and a home that was heard for a while."""
    done = subprocess.run([sys.executable, "-c", _SERVICE], capture_output=True, text=True, check=True)
    print(f"memory of the service                       {int(done.stdout) / 1024:8.0f} MiB")


def _year(networks: list[OnnxModel]) -> None:
    """`hems disaggregate` on a year at 30 s, without its files, and the service's own way: one reading after another."""
    names, samples = ", ".join(network.model.name for network in networks), _DAYS * 86_400 // _PERIOD_S
    for what, heats in (("a home that heats for long on most days", True), ("a home that never heats for long", False)):
        cpu_s, rows = _disaggregated(networks, _home_w(samples, heats))
        print(f"a year at {_PERIOD_S} s through {names}: {cpu_s:.0f} s of one core, {rows:,} rows ({what})")
    cpu_s, rows = _disaggregated(networks, _home_w(samples // 12, True), most_lanes=1)
    print(f"a month of it, the networks asked tick by tick: {cpu_s:.0f} s of one core, {rows:,} rows; {cpu_s / rows * 1e6:.0f} µs a row")
    print(f"most memory of all that: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def _disaggregated(networks: list[OnnxModel], mains_w: Floats, most_lanes: int = MOST_LANES) -> tuple[float, int]:
    times_s = 1.7e9 + _PERIOD_S * np.arange(len(mains_w), dtype=np.float64)
    began_s = time.process_time()
    said = disaggregate(networks, times_s, mains_w, most_lanes=most_lanes)
    return time.process_time() - began_s, len(said.times_s)


def _home_w(samples: int, heats: bool) -> Floats:
    """A fridge, kettles, a base load; and an hour of a heater now and then."""
    place, chance = np.arange(samples), np.random.default_rng(2)
    kettle = np.repeat(chance.random(samples // 5 + 1) < 0.02, 5)[:samples]
    heater = np.repeat(chance.random(samples // 120 + 1) < 0.03, 120)[:samples] & heats
    return (120 + 90 * (place // 50 % 2) + 2_700 * kettle + 2_000 * heater + chance.normal(0, 4, samples)).astype(np.float32)
