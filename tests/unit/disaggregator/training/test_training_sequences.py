"""What the networks are trained on: activations, variations, features. Runs where NumPy and pyarrow are; no TensorFlow."""

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from services.disaggregator.training import activations, augment, calibrate, courses, features, kettles, packs, population
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
    longer = courses.stretch(piece, 4 / 3)
    assert len(longer) == 8
    assert longer.mean() == pytest.approx(piece.mean(), rel=1e-6)


def test_a_meter_of_half_the_speed_tells_means_and_holds_them() -> None:
    """A pair's mean comes with its last sample, and stands for the next one too."""
    assert courses.halved(np.array([1, 3, 10, 20, 5, 5], np.float32)).tolist() == [1, 2, 2, 15, 15, 5]


def test_kettles_are_read_off_the_mains() -> None:
    """An even 2.8 kW for two minutes is a kettle; a shower and an hour of heating are none; 2 kW for two minutes may be one."""
    mains_w = np.full(3000, 200, np.float32)
    for start, samples, power_w in ((100, 20, 2800), (500, 40, 9000), (900, 600, 2800), (2000, 20, 2000)):
        mains_w[start : start + samples] += power_w
    power_w = kettles.recognised(mains_w, 6)
    assert power_w[100:120].tolist() == [2800] * 20
    assert not power_w[[50, 300, 510, 1000, 1800, 2500]].any()
    assert np.isnan(power_w[2000:2020]).all()


def test_another_fridge_takes_the_place_of_the_homes_own() -> None:
    """Where a fridge is swapped, its power and what runs change together, and the mains falls to what else there is."""
    fridge_w = np.where(np.arange(48 * 60) % 60 < 20, 90, 0).astype(np.float32)
    recording = Recording("UK-DALE 1", "ukdale_house1_60s", 60, 0.0, fridge_w + 300, {"fridge": fridge_w})
    mixture = augment.Mixture(heater_share=0.0, mains_power=(1.0, 1.0), base_w=0.0, swap_share=1.0, swap_power_w=(140.0, 140.0))
    batch = augment.Sequences([recording], [], ("fridge",), mixture, 512, np.random.default_rng(1)).draw(4)
    on = batch.on[..., 0] > 0
    assert np.median(batch.power_w[..., 0][on]) == pytest.approx(140, rel=0.01)
    np.testing.assert_allclose(np.median(batch.mains_w[~on & (batch.weight[..., 0] > 0)]), 300, atol=5)


def test_the_last_days_are_counted_without_gaps() -> None:
    """A recording of two days with a gap between gives the second, and as much of the first as is asked for."""
    recording = home()
    recording.mains_w[20 * HOUR : 30 * HOUR] = np.nan
    assert len(packs.latest(recording, 0.5).mains_w) == 12 * HOUR
    assert packs.latest(recording, 1.0).days == pytest.approx(1.0, abs=0.001)


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
    ages = features.window_ages((0, 2, 20), whole=True)
    for see in (lambda power: features.over_sequences(power, 30), lambda power: features.look_back(power, ages)):
        assert np.array_equal(see(power_w)[:, :changed_from], see(changed)[:, :changed_from])


def test_a_warped_run_keeps_its_phases_but_not_their_lengths() -> None:
    """Heater blocks stay as strong and as many; how long each takes is another each time, within the factor."""
    piece = np.array([60] * 20 + [2000] * 20 + [50] * 40 + [2000] * 20 + [30] * 20, np.float32)
    random = np.random.default_rng(3)
    lengths = set[int]()
    for _ in range(20):
        changed = courses.warped(piece, 2.0, random)
        hot = activations.runs(changed > 1900)
        assert 1 <= len(hot) <= 2
        assert changed.max() == pytest.approx(2000, rel=1e-5)
        assert len(piece) / 2 - 6 <= len(changed) <= 2 * len(piece) + 6
        lengths.add(len(changed))
    assert len(lengths) > 10


@pytest.mark.parametrize(("power_w", "least_minutes"), [(900, 15), (1600, 15), (2200, 8), (3200, 8), (9000, 0.4)])
def test_heaters_that_are_put_in_are_no_kettles(power_w: float, least_minutes: float) -> None:
    """What draws as much as a kettle or a microwave is on for longer than either; only a shower is short."""
    random = np.random.default_rng(4)
    minutes = [courses.heating_minutes(power_w, random, rooms_share=0.2) for _ in range(500)]
    assert min(minutes) >= least_minutes
    assert max(minutes) > 200


def test_a_heater_is_put_in_with_its_power() -> None:
    """The mains rises by one power where it is on, and stays elsewhere."""
    random = np.random.default_rng(4)
    for _ in range(100):
        mains_w = np.full(4 * HOUR, 300, np.float32)
        courses.add_heater(mains_w, random, 30, rooms_share=0.2)
        assert mains_w.min() >= 300
        assert len(np.unique(mains_w)) <= 2


def test_wandering_has_no_steps() -> None:
    """From one half minute to the next it changes by a small part of what it comes to."""
    random = np.random.default_rng(5)
    for _ in range(50):
        mains_w = np.zeros(8 * HOUR, np.float32)
        courses.add_wandering(mains_w, random, 30)
        assert mains_w.min() >= 0
        assert 0 < mains_w.max() <= 1500
        assert np.abs(np.diff(mains_w)).max() <= 0.8 * mains_w.max()


def test_edges_lie_between_samples() -> None:
    """On from 30 to 90 s and from 150 to 200 s, in samples of a minute."""
    assert courses.share_on(np.array([30.0, 90.0, 150.0, 200.0]), 5, 60).tolist() == pytest.approx([0.5, 0.5, 0.5, 20 / 60, 0])


def test_what_cycles_draws_more_than_a_fridge() -> None:
    """It is on and off in turn, for hours, at one power, and its edges are seen to be anywhere within a sample."""
    random, partial = np.random.default_rng(6), 0
    for _ in range(100):
        mains_w = np.zeros(1024, np.float32)
        courses.add_cycler(mains_w, random, 60)
        power_w = float(mains_w.max())
        assert 260 * 0.95 <= power_w <= 600 * 1.05
        starts = len(activations.runs(mains_w > power_w / 2))
        assert starts <= 1024 / 8
        partial += int(((mains_w > 0.1 * power_w) & (mains_w < 0.9 * power_w)).sum())
    assert partial > 500


def test_a_bare_home_has_a_base_that_hardly_moves() -> None:
    """What is small is gone; a kettle stands out as before."""
    random = np.random.default_rng(7)
    for _ in range(20):
        others = 200 + random.uniform(0, 15, 600).astype(np.float32)
        others[300:305] += 2700
        bare = courses.bared(others, random, 60)
        still = np.delete(bare, slice(300, 305))
        assert still.std() < 3
        assert 2450 < bare[300:305].mean() - still.mean() <= 2720


def test_a_fit_makes_a_boastful_probability_true() -> None:
    """What claims .8 and is so half of the time is said with .5; half of the fit stays between."""
    random = np.random.default_rng(6)
    probability = random.choice(np.array([0.05, 0.8], np.float32), 20_000)
    truth_on = random.random(20_000) < np.where(probability > 0.5, 0.5, 0.01)
    fit = calibrate.fitted([calibrate.Evidence(probability, truth_on, np.zeros(20_000, np.float32), np.ones(20_000, np.float32))])
    at, quiet = np.array([0.8], np.float32), np.zeros(1, np.float32)
    said = [calibrate.apply(at, quiet, calibrate.shrunk(fit, share)).item() for share in (1, 0.5, 0)]
    assert said[0] == pytest.approx(0.5, abs=0.03)
    assert 0.5 < said[1] < 0.8
    assert said[2] == pytest.approx(0.8, abs=1e-4)


def test_what_is_said_while_nothing_heats_is_made_true_by_itself() -> None:
    """Where .3 is so in half of a busy hour and never in a quiet one, both are said as they are."""
    random = np.random.default_rng(7)
    probability, quiet = np.full(20_000, 0.3, np.float32), np.repeat(np.array([0, 1], np.float32), 10_000)
    truth_on = random.random(20_000) < np.where(quiet > 0, 0.01, 0.5)
    fit = calibrate.fitted([calibrate.Evidence(probability, truth_on, quiet, np.ones(20_000, np.float32))], by_quiet=True)
    said = calibrate.apply(np.full(2, 0.3, np.float32), np.array([0, 1], np.float32), fit)
    assert said == pytest.approx([0.5, 0.01], abs=0.02)


def test_how_long_nothing_has_heated() -> None:
    """A home is not quiet in the hour after a long heater block, and wholly so after four; a kettle changes nothing."""
    mains_w = np.full(8 * HOUR, 200, np.float32)
    mains_w[HOUR : HOUR + 20] = 2400
    mains_w[6 * HOUR : 6 * HOUR + 5] = 2900
    quiet = features.quiet(features.over_sequences(mains_w[None], 30))[0]
    ended = HOUR + 20
    assert not quiet[ended : ended + HOUR - 2].any()
    assert 0.4 < quiet[ended + 2 * HOUR] < 0.6
    assert quiet[ended + 4 * HOUR + 2 :].min() == 1


def test_a_home_that_runs_it_rarely_is_weighed_as_a_usual_one() -> None:
    """Half of what is said wrong where it runs a hundredth of the time is worth less than where it runs as often as usual."""
    truth_on = np.arange(10_000) < 100
    said_on = np.arange(10_000) < 200
    assert population.usual_f1("kettle", said_on, truth_on) == pytest.approx(200 / 300)
    share = population.USUAL_SHARES["dishwasher"]
    expected = 2 * share / (2 * share + (1 - share) * 100 / 9_900)
    assert population.usual_f1("dishwasher", said_on, truth_on) == pytest.approx(expected, rel=1e-4)
    assert population.weights("dishwasher", truth_on).mean() == pytest.approx(1, rel=1e-4)
