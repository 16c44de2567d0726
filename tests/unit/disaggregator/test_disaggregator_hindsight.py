"""What a home teaches: what is known of a moment later corrects what is said of the next one at once."""

import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.disaggregator.domain.hindsight import LEAST, Hindsight
from services.disaggregator.domain.home import Home
from services.disaggregator.domain.network import Floats
from tests.support.networks import Threshold, head

LAG = 20
KETTLE_W, HEATER_W = 2700.0, 2100.0


def rises(hindsight: Hindsight, count: int, truth: Callable[[float], float]) -> None:
    """Something heats for two minutes, then not for ten, again and again: the network finds both as likely at once."""
    for number in range(count):
        step_w = (KETTLE_W, HEATER_W)[number % 2]
        begin_s = 1_000.0 * number
        recent_w = [150.0] * 12
        for tick in range(4):
            recent_w.append(150.0 + step_w)
            hindsight.heed(begin_s + 30 * tick, 0.5, recent_w)
        for tick in range(4):
            hindsight.hear_later(begin_s + 30 * tick, truth(step_w))


def at_once(hindsight: Hindsight, step_w: float) -> float:
    """What is said when so much is switched on."""
    return hindsight.heed(1e9, 0.5, [150.0] * 12 + [150.0 + step_w])


def test_it_learns_which_step_is_the_kettles() -> None:
    """After twenty runs of each, what the network could not tell apart is told apart at once."""
    hindsight = Hindsight()
    rises(hindsight, 40, lambda step_w: 0.97 if step_w == KETTLE_W else 0.03)
    assert at_once(hindsight, KETTLE_W) > 0.85
    assert at_once(hindsight, HEATER_W) < 0.15


@given(st.floats(0, 1), st.lists(st.floats(0, 12_000), min_size=1, max_size=21))
def test_who_has_learnt_nothing_says_what_the_network_says(probability: float, recent_w: list[float]) -> None:
    """On the first day nothing is changed."""
    assert Hindsight().heed(0.0, probability, recent_w) == pytest.approx(probability, abs=2e-5)


def test_what_foretells_worse_than_the_network_is_not_heeded() -> None:
    """Where what was learnt turns out wrong, the network's own word holds again."""
    hindsight = Hindsight()
    rises(hindsight, 40, lambda step_w: 0.97 if step_w == KETTLE_W else 0.03)
    drawn = random.Random(4)
    rises(hindsight, 400, lambda _: drawn.choice((0.02, 0.98)))
    assert at_once(hindsight, KETTLE_W) == 0.5


def test_an_unlikely_moment_costs_and_changes_nothing() -> None:
    """Most ticks are quiet: they are neither corrected nor remembered."""
    hindsight = Hindsight()
    assert hindsight.heed(0.0, LEAST / 2, [150.0]) == LEAST / 2
    assert not hindsight.changed


def test_hindsight_of_a_moment_before_a_gap_teaches_nothing() -> None:
    """What is heard after a gap speaks of other moments."""
    hindsight = Hindsight()
    hindsight.heed(0.0, 0.5, [150.0, 2_850.0])
    hindsight.forget_awaited()
    hindsight.changed = False
    hindsight.hear_later(0.0, 1.0)
    assert not hindsight.changed


def test_what_was_learnt_survives_a_restart() -> None:
    """Saved as JSON and restored, it says the same, and goes on learning from the moments that it awaited."""
    before = Hindsight()
    rises(before, 10, lambda step_w: 0.97 if step_w == KETTLE_W else 0.03)
    at_once(before, KETTLE_W)
    after = Hindsight.restore(json.loads(json.dumps(before.save())))
    for one in (before, after):
        one.hear_later(1e9, 0.97)
    assert at_once(after, KETTLE_W) == pytest.approx(at_once(before, KETTLE_W), abs=1e-6)


def test_a_home_learns_what_its_network_cannot_know() -> None:
    """A network that is sure of a kettle later only: after a month of teas the home says it at once, of the kettle alone."""
    knows = head("kettle", corrected_lag=1, learns_from_hindsight=True)
    home = Home([Unsure((knows,), (KETTLE_W,), lags_s=(0.0, 30.0 * LAG))])
    powers_w = [150.0, *[150.0 + KETTLE_W] * 3, *[150.0] * 30, *[150.0 + HEATER_W] * 3, *[150.0] * 30]
    steps = [step for number, power_w in enumerate(powers_w * 40) for step in home.read(1.4e9 + 30 * number, power_w)]
    last = steps[-len(powers_w) :]
    assert max(step.probability[0] for step in last if step.mains_w > KETTLE_W) > 0.9
    assert max(step.probability[0] for step in last if step.mains_w < KETTLE_W) < 0.2
    assert {step.mains_w for step in last if step.running[0]} == {150.0 + KETTLE_W}


class Unsure(Threshold):
    """At once everything that heats is as likely as not."""

    def step(self, power_w: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
        """As the threshold, but for what is said at once."""
        probability, watts, state = super().step(power_w, state)
        probability[:, :, 0] = 0.45 * (power_w > 1_000)
        return probability, watts, state
