"""What the networks are trained on: activations, variations, features. Runs where NumPy and pyarrow are; no TensorFlow."""

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from services.disaggregator.training import activations, augment, features, packs
from services.disaggregator.training.packs import Floats, Recording

HOUR = 120
"""Samples of 30 s."""


def home(seconds_in: int = 0) -> Recording:
    """Two days of 200 W with a kettle every four hours, in the demo's home from the eve of the demo's days."""
    mains_w = np.full(48 * HOUR, 200, np.float32)
    kettle_w = np.zeros_like(mains_w)
    for start in range(HOUR, len(mains_w), 4 * HOUR):
        kettle_w[start : start + 5] = 2700
    start_s = 1420329600.0 - 86_400 + seconds_in
    return Recording("REFIT 2", "refit_house2_30s", 30, start_s, mains_w + kettle_w, {"kettle": kettle_w})


def test_short_pauses_are_merged_before_short_runs_are_dropped() -> None:
    """A dishwasher that pauses for ten minutes is one run; a minute of it alone is none."""
    power_w = np.zeros(6 * HOUR, np.float32)
    power_w[10:50], power_w[70:120], power_w[500:502] = 2000, 60, 2000
    assert activations.activations(power_w, activations.RULES["dishwasher"], 30) == [(10, 120)]


def test_the_days_of_the_demo_are_a_gap() -> None:
    """From the first of the demo's days on nothing is known of the home that it replays."""
    recording = packs.cut_demo(home())
    assert np.isfinite(recording.mains_w[: 24 * HOUR]).all()
    assert np.isnan(recording.mains_w[24 * HOUR :]).all()


def test_stretching_keeps_the_mean_power() -> None:
    """A run that takes a third longer draws the same power on average."""
    piece = np.array([2000, 2000, 100, 100, 2000, 50], np.float32)
    longer = augment.stretch(piece, 4 / 3)
    assert len(longer) == 8
    assert longer.mean() == pytest.approx(piece.mean(), rel=1e-6)


def test_sequences_say_what_runs_in_them() -> None:
    """Whatever was put in, taken out or scaled: where the kettle is on, the mains holds its power."""
    variation = augment.Variation(0.5, 0.5, 1.0, 3, (0.9, 1.1), (1900, 3100))
    mixture = augment.Mixture({"kettle": variation})
    random = np.random.default_rng(1)
    batch = augment.Sequences([home()], [], ("kettle",), mixture, 4 * HOUR, random).draw(32)
    on = (batch.on[..., 0] > 0) & (batch.weight[..., 0] > 0)
    assert on.any()
    assert (batch.mains_w[on] >= batch.power_w[..., 0][on] * 0.99).all()


@pytest.mark.parametrize("changed_from", [1, 100, 250])
def test_features_never_look_ahead(changed_from: int) -> None:
    """Samples to come change nothing of what was seen before."""
    random = np.random.default_rng(2)
    power_w: Floats = random.uniform(50, 4000, (2, 300)).astype(np.float32)
    changed = power_w.copy()
    changed[:, changed_from:] = 9000
    for see in (lambda power: features.over_sequences(power, 30), lambda power: features.look_back(power, (0, 2, 20))):
        assert np.array_equal(see(power_w)[:, :changed_from], see(changed)[:, :changed_from])
