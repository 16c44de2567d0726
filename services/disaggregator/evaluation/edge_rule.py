"""The plain rule that a network has to beat: a rise of the right size starts an appliance, its fall ends it."""

from dataclasses import dataclass

import numpy as np

from services.disaggregator.domain.network import Floats, Head, Model

_FALL_SHARE = 0.6


@dataclass(frozen=True)
class Edge:
    """A rise of `least_w` to `most_w`; on after `least_s`, ended by the fall or `most_s`, and held on for `holds_s` after."""

    appliance: str
    least_w: float
    most_w: float
    least_s: float
    most_s: float
    holds_s: float = 0.0


EDGES = (
    Edge("kettle", 1300, 3300, 0, 360),
    Edge("microwave", 600, 1800, 0, 900),
    Edge("dishwasher", 1600, 2600, 360, 2400, 3000),
    Edge("washing_machine", 1600, 2600, 360, 1800, 3600),
    Edge("fridge", 50, 250, 0, 3600),
)


class EdgeRule:
    """The rule as a network: its state is the last power, and per appliance the rise, its age and what is left to hold."""

    def __init__(self, appliances: tuple[str, ...], period_s: float) -> None:
        self._edges = [edge for edge in EDGES if edge.appliance in appliances]
        heads = tuple(Head(edge.appliance, 0.5, 0.5, 0.5) for edge in self._edges)
        self.model = Model("edge_rule", f"edge_rule/{period_s}", period_s, 2 + 3 * len(heads), (0.0,), heads)

    def step(self, power_w: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
        """One tick of several homes."""
        homes = [self._step(power, kept) for (power,), kept in zip(power_w.tolist(), state.tolist(), strict=True)]
        on, drawn_w, state_next = zip(*homes, strict=True)
        return np.array(on, np.float32)[:, :, None], np.array(drawn_w, np.float32)[:, :, None], np.array(state_next, np.float32)

    def _step(self, power_w: float, kept: list[float]) -> tuple[list[float], list[float], list[float]]:
        step_w = power_w - kept[1] if kept[0] else 0.0
        on, drawn_w, state_next = list[float](), list[float](), [1.0, power_w]
        for number, edge in enumerate(self._edges):
            rise_w, age_s, left_s = self._follow(edge, step_w, *kept[2 + 3 * number : 5 + 3 * number])
            on.append(float(left_s > 0 or (rise_w > 0 and age_s >= edge.least_s)))
            drawn_w.append(rise_w)
            state_next += (rise_w, age_s, left_s)
        return on, drawn_w, state_next

    def _follow(self, edge: Edge, step_w: float, rise_w: float, age_s: float, left_s: float) -> tuple[float, float, float]:
        period_s = self.model.period_s
        if rise_w > 0 and step_w > -_FALL_SHARE * rise_w and age_s < edge.most_s:
            age_s += period_s
        else:
            rise_w, age_s = step_w if edge.least_w <= step_w <= edge.most_w else 0.0, 0.0
        held = rise_w > 0 and age_s >= edge.least_s
        return rise_w, age_s, edge.holds_s if held else max(left_s - period_s, 0.0)
