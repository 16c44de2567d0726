"""Recorded mains through the streaming code, and the judging of what it says."""

import math
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from services.disaggregator.domain.home import Home
from services.disaggregator.domain.network import Floats
from services.disaggregator.domain.tracking import Event
from services.disaggregator.evaluation.edge_rule import EdgeRule
from services.disaggregator.evaluation.judge import judge
from services.disaggregator.evaluation.picture import picture
from services.disaggregator.evaluation.scores import calibration, energy_scores, event_scores, matched, sample_scores
from services.disaggregator.evaluation.text import table
from services.disaggregator.evaluation.truth import RULES, Run, rule_of, running, runs
from services.disaggregator.history import Times, disaggregate
from services.disaggregator.recording import UnusableRecording, read, write_history
from tests.support.networks import Threshold, head, kettle

START_S = 1_400_000_010.0


def times(count: int, interval_s: float = 30) -> Times:
    """Regular times."""
    return START_S + interval_s * np.arange(count, dtype=np.float64)


def watts(*values: float) -> Floats:
    """A column."""
    return np.array(values, np.float32)


def test_each_sample_on_the_period_is_a_row() -> None:
    """Half-minute data: a row a sample, at its time, with what is said with it; in a gap nothing is said."""
    mains_w = watts(100, 2900, math.nan, math.nan, 100, 2900)
    history = disaggregate([kettle()], times(6), mains_w)
    assert history.times_s.tolist() == times(6).tolist()
    assert history.running[:, 0].tolist() == [False, True, False, False, False, True]
    assert np.isnan(history.probability[:, 0]).tolist() == [False, False, True, True, False, False]
    assert [(event.kind, event.at_s - START_S) for event in history.events] == [("started", 30), ("finished", 30), ("started", 150)]


def test_a_recording_says_what_the_stream_said() -> None:
    """Row by row the history equals what one reading after another says, at any pace."""
    random = np.random.default_rng(7)
    times_s = START_S + np.cumsum(random.choice([1.0, 6.0, 7.5, 200.0], 400, p=[0.3, 0.4, 0.28, 0.02]))
    mains_w = random.choice([100, 900, 2900], 400).astype(np.float32)
    networks = [kettle(), Threshold((head("microwave"),), (800.0,), period_s=6)]
    history = disaggregate(networks, times_s, mains_w)
    home = Home(networks)
    steps = [step for time_s, power_w in zip(times_s.tolist(), mains_w.tolist(), strict=True) for step in home.read(time_s, power_w)]
    last = {step.time_s: step for step in steps if step.network is not None}
    assert history.times_s.tolist() == sorted(last)
    for row, time_s in enumerate(history.times_s.tolist()):
        assert history.running[row].tolist() == last[time_s].running
        assert history.probability[row].tolist() == pytest.approx(last[time_s].probability)
    assert list(history.events) == [event for step in steps for event in step.events]


def test_the_corrected_history_is_known_later_and_stands_at_its_own_time() -> None:
    """Corrected columns at t come from the tick a lag after t; the last lag before a gap keeps what was said."""

    class Late(Threshold):
        """Says nothing at once, and the truth a minute later."""

        def step(self, power_w: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
            probability, power, state = super().step(power_w, state)
            probability = probability.copy()
            probability[:, :, 0] = 0
            return probability, power, state

    network = Late((head("kettle", corrected_lag=1),), (2000.0,), lags_s=(0, 60))
    history = disaggregate([network], times(7), watts(100, 2900, 100, 100, 2900, 2900, 2900))
    assert not history.running.any()
    assert history.running_corrected[:, 0].tolist() == [False, True, False, False, True, False, False]
    assert history.power_w_corrected[:, 0].tolist() == [0, 2900, 0, 0, 2900, 0, 0]


def test_truth_merges_gaps_then_drops_short_runs() -> None:
    """A dishwasher's pauses belong to it, and what stays short is none; ends are the first sample that is off."""
    power_w = np.zeros(400, np.float32)
    power_w[10:50] = power_w[80:120] = 100  # 20 min, 15 min pause, 20 min
    power_w[300:340] = 100  # alone for 20 min
    found = runs(times(400), power_w, RULES["dishwasher"], 30)
    assert found == [Run(START_S + 300, START_S + 3600)]
    assert running(times(400), found).nonzero()[0].tolist() == list(range(10, 120))


def test_a_kettle_has_another_threshold_on_fast_data() -> None:
    """Half-minute means hide a kettle's draw: 1000 W there, 2000 W on six-second data."""
    assert (rule_of("kettle", 30).on_above_w, rule_of("kettle", 6).on_above_w) == (1000, 2000)


def test_sample_scores_by_hand() -> None:
    """One right, one false, one missed of four: F1 0.5; MAE and SAE of their watts."""
    said_on, truth_on = np.array([True, True, False, False]), np.array([True, False, True, False])
    scores = sample_scores(said_on, watts(100, 100, 0, 0), truth_on, watts(200, 0, 300, 0))
    assert (scores.f1, scores.precision, scores.recall, scores.mcc) == (0.5, 0.5, 0.5, 0)
    assert (scores.mae_w, scores.sae) == (125, 0.6)


def test_events_are_matched_one_to_one() -> None:
    """A second announcement of the same run finds no partner."""
    assert matched([10, 20, 95, 300], [12, 100, 200], 10, 10) == [(0, 0), (2, 1)]


def test_event_scores_by_hand() -> None:
    """Two runs: one told late but dated right, once again within it, one missed, one announcement out of nothing."""
    truth = [Run(1000, 8000), Run(20_000, 27_000)]
    events = [
        Event("dishwasher", "started", 1100, 1600, 0.9),
        Event("dishwasher", "finished", 4000, 4300, 0.9),
        Event("dishwasher", "started", 5000, 5600, 0.9),
        Event("dishwasher", "finished", 8100, 9000, 0.9),
        Event("dishwasher", "started", 50_000, 50_600, 0.9),
    ]
    scores = event_scores(events, truth, 300, days=2)
    assert (scores.true, scores.said) == (2, 3)
    assert scores.starts_f1 == pytest.approx(2 / 5)
    assert scores.stops_f1 == pytest.approx(2 / 4)
    assert (scores.delay_median_s, scores.false_a_day, scores.flicker_a_day) == (600, 0.5, 0.5)


def test_a_start_that_is_told_too_late_does_not_count() -> None:
    """Dated right but told more than a quarter of an hour after the start."""
    event = Event("dishwasher", "started", 1000, 1000 + 901, 0.9)
    assert event_scores([event], [Run(1000, 8000)], 300, days=1).starts_f1 == 0
    assert event_scores([event._replace(announced_s=1900)], [Run(1000, 8000)], 300, days=1).starts_f1 == 1


def test_energy_errors_of_two_days_do_not_cancel() -> None:
    """1 kWh too much on one day and too little on the next is 1 kWh a day."""
    times_s = np.repeat([0.0, 86_400.0], 1) + 43_200
    scores = energy_scores(times_s, 3600, watts(2000, 0), watts(1000, 1000))
    assert (scores.error_kwh_a_day, scores.error_share) == (1, 1)


def test_calibration_compares_what_was_stated_with_what_was_so() -> None:
    """Of four samples at 0.75 two were so: the error is 0.25."""
    found = calibration(watts(0.75, 0.75, 0.75, 0.75), np.array([True, True, False, False]))
    assert (found.ece, found.stated, found.observed, found.samples) == (0.25, (0.75,), (0.5,), (4,))


def a_day() -> tuple[Times, dict[str, Floats]]:
    """A day at 10 s: a kettle each hour and a microwave between, over 150 W."""
    times_s = times(8640, 10)
    phase = np.arange(8640) % 360
    kettle_w = np.where((phase >= 60) & (phase < 78), 2800, 0).astype(np.float32)
    microwave_w = np.where((phase >= 200) & (phase < 230), 1200, 0).astype(np.float32)
    return times_s, {"mains": kettle_w + microwave_w + 150, "kettle": kettle_w, "microwave": microwave_w}


def test_a_home_is_judged_beside_the_plain_answers(tmp_path: Path) -> None:
    """Every metered appliance gets its scores beside zero, mean and edge rule; text and picture show them."""
    times_s, columns = a_day()
    network = Threshold((head("kettle"), head("microwave")), (2000.0, 9000.0))
    judgement = judge("home", [network], times_s, columns["mains"], columns)
    verdicts = {verdict.appliance: verdict for verdict in judgement.verdicts}
    assert verdicts["kettle"].causal.f1 > 0.9
    assert verdicts["kettle"].events.starts_f1 == pytest.approx(1)
    assert verdicts["kettle"].edge.samples.f1 > 0.9
    assert (verdicts["microwave"].causal.f1, verdicts["microwave"].events.said) == (0, 0)
    assert verdicts["microwave"].zero.samples.mae_w == verdicts["microwave"].causal.mae_w == pytest.approx(1200 / 12, rel=0.02)
    text = table(judgement)
    assert all(word in text for word in ("kettle, 1.0 days", "edge rule", "always zero", "mean", "expected calibration error"))
    drawn = ET.fromstring(picture(judgement, verdicts["kettle"]))  # noqa: S314
    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 5


def test_the_edge_rule_follows_its_rise_and_fall() -> None:
    """A rise of a kettle's size starts a kettle, and the fall ends it, for each home by itself."""
    rule, state, on = EdgeRule(("kettle",), 30), np.zeros((2, 5), np.float32), list[list[float]]()
    for here_w, there_w in ((100, 100), (2900, 200), (2900, 2300), (150, 2300), (150, 100)):
        probability, _, state = rule.step(np.array([[here_w], [there_w]], np.float32), state)
        on.append(probability[:, 0, 0].tolist())
    assert on == [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]


def test_a_recording_is_written_and_read_again(tmp_path: Path) -> None:
    """The file has a time and five columns an appliance, and reads back to the microsecond."""
    history = disaggregate([kettle()], times(4) + 0.25, watts(100, 2900, 2900, 100))
    write_history(tmp_path / "said.parquet", history)
    with pytest.raises(UnusableRecording, match="no column 'mains'"):
        read(tmp_path / "said.parquet")
