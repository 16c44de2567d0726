"""A network asked about many stretches of a recording at once says what it says tick by tick."""

import numpy as np
import pytest

from services.disaggregator.domain.home import Home
from services.disaggregator.domain.in_lanes import SHORTEST_LANE, Answers, Flags, answers
from services.disaggregator.domain.network import Floats, Model, Network
from services.disaggregator.history import Times, disaggregate
from services.disaggregator.onnx_model import SHIPPED, load
from tests.support.networks import head

START_S = 1_400_000_010.0


class Carrying:
    """Carries what is hard to guess: a count that nothing but a surge resets, and the size of the last surge."""

    model = Model("carrying", "carrying/1", 30, 2, (0,), (head("kettle"),))

    def __init__(self) -> None:
        self.asked: list[int] = []

    def step(self, power_w: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
        """One tick of several homes."""
        self.asked.append(len(power_w))
        surge = power_w[:, 0] > 5000
        count, last_w = np.where(surge, 0, state[:, 0] + 1), np.where(surge, power_w[:, 0], state[:, 1])
        probability = (1 / (1 + count))[:, None, None]
        return probability.astype(np.float32), last_w[:, None, None].astype(np.float32), np.stack([count, last_w], 1).astype(np.float32)


def ignored(_share: float) -> None:
    """Progress that nobody follows."""


def one_by_one(network: Network, power_w: Floats, resets: Flags) -> Answers:
    """As the service asks."""
    return answers(network, power_w, resets, ignored, most_lanes=1)


def home_w(samples: int, seed: int) -> Floats:
    """A fridge, kettles and now and then an hour of heating."""
    chance = np.random.default_rng(seed)
    kettle = np.repeat(chance.random(samples // 5 + 1) < 0.02, 5)[:samples]
    heater = np.repeat(chance.random(samples // 120 + 1) < 0.03, 120)[:samples]
    fridge = np.arange(samples) // 40 % 2
    return (100 + 90 * fridge + 2700 * kettle + 2000 * heater + chance.normal(0, 5, samples)).astype(np.float32)


@pytest.mark.parametrize("surges", [0, 3])
def test_what_is_carried_through_reaches_every_lane(surges: int) -> None:
    """A count that runs through all lanes is right in the last one too, and not by stepping one lane after another."""
    ticks = 12 * SHORTEST_LANE
    power_w = np.full(ticks, 100, np.float32)
    power_w[np.random.default_rng(4).choice(ticks // 2, surges, replace=False)] = 6000
    resets = np.zeros(ticks, np.bool_)
    network = Carrying()
    said = answers(network, power_w, resets, ignored)
    expected = one_by_one(Carrying(), power_w, resets)
    np.testing.assert_allclose(said.probability, expected.probability, rtol=1e-5)
    assert said.on_power_w.tolist() == expected.on_power_w.tolist()
    assert sum(network.asked) < 4 * ticks


def test_a_broken_network_comes_to_an_end() -> None:
    """A state that turns into NaN is not asked for again and again."""

    class Broken(Carrying):
        def step(self, power_w: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
            probability, watts, state = super().step(power_w, state)
            return probability, watts, np.full_like(state, np.nan)

    network, ticks = Broken(), 6 * SHORTEST_LANE
    answers(network, np.full(ticks, 100, np.float32), np.zeros(ticks, np.bool_), ignored)
    assert sum(network.asked) < 3 * ticks


def test_no_ticks_are_no_answers() -> None:
    """A recording that is too short to tell anything is answered with nothing."""
    said = answers(Carrying(), np.zeros(0, np.float32), np.zeros(0, np.bool_), ignored)
    assert said.probability.shape == (0, 1, 1)


def test_the_shipped_model_says_the_same_in_lanes() -> None:
    """A day and a bit with resets at some ticks, and a last lane that isn't full: every answer is that of one tick after another."""
    network, ticks = load(SHIPPED / "uk_30s"), 3 * SHORTEST_LANE + 77
    power_w, resets = home_w(ticks, 1), np.random.default_rng(2).random(ticks) < 5e-4
    said, expected = answers(network, power_w, resets, ignored), one_by_one(network, power_w, resets)
    assert said.probability.shape == expected.probability.shape
    np.testing.assert_allclose(said.probability, expected.probability, atol=2e-4)
    np.testing.assert_allclose(said.on_power_w, expected.on_power_w, rtol=1e-3, atol=0.5)


def test_all_ticks_are_told_once() -> None:
    """The shares told of a first pass come to the whole."""
    told: list[float] = []
    answers(Carrying(), home_w(3000, 1), np.zeros(3000, np.bool_), told.append)
    assert sum(told) == pytest.approx(1)


def recorded(days: float) -> tuple[Times, Floats]:
    """Half-minute readings with two gaps, one of which is long; some come at another pace."""
    samples = int(days * 2880)
    times_s = START_S + 30 * np.arange(samples, dtype=np.float64)
    times_s[samples // 3 :] += 12.0
    times_s[samples // 2 :] += 7200.0
    return times_s, home_w(samples, 3)


def test_the_history_of_the_shipped_models_is_what_the_service_said() -> None:
    """Reading by reading through the service's home, and the recording at once: the same rows and the same events."""
    networks = [load(SHIPPED / name) for name in ("uk_30s", "fridge_60s")]
    times_s, mains_w = recorded(1.1)
    history, home = disaggregate(networks, times_s, mains_w), Home(networks)
    steps = [step for time_s, power_w in zip(times_s.tolist(), mains_w.tolist(), strict=True) for step in home.read(time_s, power_w)]
    last = {step.time_s: step for step in steps if step.network is not None}
    assert history.times_s.tolist() == sorted(last)
    said = [last[time_s] for time_s in history.times_s.tolist()]
    np.testing.assert_allclose(history.probability, [step.probability for step in said], atol=2e-4)
    assert history.running.tolist() == [step.running for step in said]
    told = [event for step in steps for event in step.events]
    assert [event[:4] for event in history.events] == [event[:4] for event in told]
    assert len(told) > 10


def test_nothing_said_depends_on_what_comes_later() -> None:
    """Another future, with other gaps, leaves every row before it as it was, however the recording is cut up."""
    networks = [load(SHIPPED / "uk_30s")]
    times_s, mains_w = recorded(1.1)
    at = len(times_s) * 2 // 3
    other_w, other_s = mains_w.copy(), times_s.copy()
    other_w[at:], other_s[at + 50 :] = home_w(len(mains_w) - at, 9) + 3000, other_s[at + 50 :] + 500
    longer_s = np.concatenate([other_s, other_s[-1] + 30 + 30 * np.arange(2 * SHORTEST_LANE)])
    longer_w = np.concatenate([other_w, home_w(2 * SHORTEST_LANE, 11)])
    before, after = disaggregate(networks, times_s, mains_w), disaggregate(networks, longer_s, longer_w)
    assert after.times_s[:at].tolist() == before.times_s[:at].tolist()
    np.testing.assert_allclose(after.probability[:at], before.probability[:at], atol=2e-4)
    assert after.running[:at].tolist() == before.running[:at].tolist()
    np.testing.assert_allclose(after.power_w[:at], before.power_w[:at], rtol=1e-3, atol=0.5)
