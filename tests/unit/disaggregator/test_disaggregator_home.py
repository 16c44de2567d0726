"""One home: readings in, steps out, whatever happens in between."""

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hems.contracts.appliances import ApplianceEvent, ApplianceState
from hems.testing.clocks import START
from services.disaggregator.domain.home import Home, Step
from services.disaggregator.domain.network import Floats, Network
from tests.support.networks import Threshold, head, kettle

Readings = list[tuple[float, float]]
START_S = 1_400_000_010.0


def said(home: Home, readings: Readings) -> list[Step]:
    """All steps of some readings."""
    return [step for time_s, power_w in readings for step in home.read(time_s, power_w)]


def every(interval_s: float, powers_w: Sequence[float], start_s: float = START_S) -> Readings:
    """Regular readings."""
    return [(start_s + interval_s * number, power_w) for number, power_w in enumerate(powers_w)]


def two_clocks() -> list[Network]:
    """A fast network that knows the kettle best, and a slow one that knows it too."""
    fast = Threshold((head("kettle", priority=1),), (2000.0,), period_s=6)
    kettle_too = head("kettle", corrected_lag=1, learns_from_hindsight=True)
    slow = Threshold((kettle_too, head("dishwasher", minimum_off_s=300)), (2000.0, 1200.0), lags_s=(0.0, 60.0))
    return [slow, fast]


@st.composite
def histories(draw: st.DrawFn) -> Readings:
    """Readings at a changing pace, with gaps, repetitions and steps back."""
    elapsed = draw(st.lists(st.sampled_from([1.0, 2.5, 6.0, 6.0, 6.0, 8.0, 30.0, 60.0, 200.0, 4000.0, 0.0, -5.0]), min_size=5, max_size=80))
    readings, time_s = list[tuple[float, float]](), START_S
    for seconds in elapsed:
        time_s += seconds
        readings.append((time_s, draw(st.sampled_from([80.0, 150.0, 1300.0, 2900.0, 9500.0]))))
    return readings


@settings(max_examples=60)
@given(histories(), st.integers(0, 80))
def test_a_restart_at_any_point_changes_nothing(readings: Readings, cut: int) -> None:
    """Saved after every reading and restored after any of them, a home says exactly what it would have said."""
    home, kept, steps = Home(two_clocks()), dict[str, bytes](), list[Step]()
    for number, (time_s, power_w) in enumerate(readings):
        steps += home.read(time_s, power_w)
        kept |= home.save()
        if number == cut:
            home = Home(two_clocks())
            home.restore(kept)
    assert steps == said(Home(two_clocks()), readings)


def test_a_restart_keeps_what_the_home_was_about_to_teach() -> None:
    """The moments of the last minutes, whose hindsight is still to come, are not lost either."""
    slow = two_clocks()[0]
    home = Home([slow])
    for tick in range(4):
        home.read(START_S + 30.0 * tick, 2900.0 if tick == 3 else 100.0)
    kept = home.save()
    restored = Home([slow])
    restored.restore(kept)
    taught = [[network.save_learnt() for network in each.networks] for each in (home, restored)]
    assert taught[0] == taught[1]
    assert taught[0][0]["kettle"]["hindsight"]["awaited"]
    assert all(voice.lessons is network.lessons[voice.head.appliance] for network in restored.networks for voice in network.voices)


@settings(max_examples=60)
@given(histories(), st.integers(0, 80))
def test_what_comes_later_changes_nothing_said_before(readings: Readings, cut: int) -> None:
    """Causality: other readings from a moment on leave every step before it as it was."""
    cut = min(cut, len(readings) - 1)
    others = [*readings[:cut], *((time_s, power_w + 4000) for time_s, power_w in readings[cut:])]
    until_s = readings[cut][0]
    before = [[step for step in said(Home(two_clocks()), each) if step.time_s < until_s] for each in (readings, others)]
    assert before[0] == before[1]


@given(histories())
def test_runs_are_told_once_each(readings: Readings) -> None:
    """For every appliance started and finished alternate, over gaps and changes of pace too."""
    events = [event for step in said(Home(two_clocks()), readings) for event in step.events]
    for name in ("kettle", "dishwasher", "unknown_heater"):
        kinds = [event.kind for event in events if event.appliance == name and event.kind != "probable"]
        assert kinds == ["started", "finished"] * (len(kinds) // 2) + ["started"] * (len(kinds) % 2)


def test_late_and_repeated_readings_are_dropped_and_counted() -> None:
    """A reading that is not later than the last one changes nothing."""
    home, clean = Home([kettle()]), Home([kettle()])
    readings = every(30, [100, 2900, 2900, 100])
    steps = said(home, [*readings[:2], readings[1], readings[0], *readings[2:]])
    assert steps == said(clean, readings)
    assert home.take_counts()["dropped_readings"] == 2
    assert home.take_counts() == {}


def test_a_gap_resets_and_is_never_filled() -> None:
    """After more than 30 s without a reading no tick is made up, and the network has forgotten."""
    home = Home([kettle(lags_s=(0, 60))])
    before, after = every(6, [100] * 20), every(6, [2900] * 8, START_S + 120 + 31)
    steps = said(home, before + after)
    assert not [step for step in steps if before[-1][0] < step.time_s < after[0][0]]
    assert home.take_counts()["resets"] == 1
    assert steps[-1].corrections == []  # too soon after the reset to know better of anything


def test_a_run_that_a_gap_swallowed_ends_where_the_readings_ended() -> None:
    """A kettle that was on when the meter fell silent is finished, dated by its last reading, once readings are back."""
    home = Home([kettle()])
    steps = said(home, every(30, [100, 2900, 2900]) + every(30, [100, 100], START_S + 7200))
    finished = [event for step in steps for event in step.events if event.kind == "finished"]
    assert [(event.at_s, event.announced_s) for event in finished] == [(START_S + 60, START_S + 7200)]
    assert finished[0].duration_s == 30


def test_the_finest_clock_that_the_readings_suffice_for_speaks() -> None:
    """Fast readings: the fast network says kettle; half-minute ones: the slow network does, with no network guessing between."""
    fast = said(Home(two_clocks()), every(6, [100] * 10 + [2900] * 5))
    assert {step.network for step in fast if any(event.appliance == "kettle" for event in step.events)} == {1}
    slow = said(Home(two_clocks()), every(30, [100] * 10 + [2900] * 5))
    assert {step.network for step in slow} == {0}
    assert [event.appliance for step in slow for event in step.events if event.kind == "started"] == ["kettle", "dishwasher"]


def test_minute_readings_are_held_where_no_coarser_model_is_there() -> None:
    """A half-minute model alone takes minute readings, twice each."""
    steps = said(Home([kettle()]), every(60, [100, 2900, 100]))
    assert [(step.time_s - START_S, step.mains_w) for step in steps] == [(0, 100), (30, 100), (60, 2900), (90, 2900), (120, 100)]


def test_an_appliance_draws_no_more_than_its_home() -> None:
    """The power said of an appliance is bounded by the mains, except where the home exports."""

    class Greedy(Threshold):
        def step(self, power_w: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
            probability, watts, state = super().step(power_w, state)
            return probability * 0 + 1, watts * 0 + 2700, state

    steps = said(Home([Greedy((head("kettle"),), (0.0,))]), every(30, [900, 5000, -400]))
    assert [step.power_w[0] for step in steps] == [900, 2700, 2700]


@given(st.lists(st.tuples(st.floats(), st.floats(), st.floats(-1e6, 1e6)), min_size=2, max_size=60))
@example([(0.0, 0.0, power_w) for power_w in (-668_999.0, *[0.0] * 6, 331_002.0)])
def test_whatever_a_network_answers_what_is_said_can_be_said(answers: list[tuple[float, float, float]]) -> None:
    """No answer of a network, however odd, makes an event or a state that breaks its contract."""

    class Odd(Threshold):
        def step(self, power_w: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
            probability, watts = (np.full((1, 1, 1), value, np.float64) for value in next(answered))
            return probability, watts, state  # type: ignore[return-value]

    answered = ((probability, watts) for probability, watts, _ in answers)
    home = Home([Odd((head("kettle"),), (0.0,))])
    for step in said(home, every(30, [power_w for _, _, power_w in answers])):
        for appliance in home.appliances:
            ApplianceState(observed_at=START, running=appliance.running, power_w=appliance.power_w, confidence=appliance.confidence)
        for event in step.events:
            told = {"duration_s": event.duration_s, "energy_kwh": event.energy_kwh}
            ApplianceEvent(id="1", kind=event.kind, at=START, announced_at=START, confidence=event.confidence, **told)


def test_a_broken_answer_says_nothing() -> None:
    """NaN from a network counts as not running, and is counted."""

    class Broken(Threshold):
        def step(self, power_w: Floats, state: Floats) -> tuple[Floats, Floats, Floats]:
            probability, watts, state = super().step(power_w, state)
            return probability * math.nan, watts, state

    home = Home([Broken((head("kettle"),), (0.0,))])
    assert [step.probability[0] for step in said(home, every(30, [3000, 3000]))] == [0, 0]
    assert home.take_counts()["broken_answers"] == 2


def test_corrections_say_what_a_later_tick_knows() -> None:
    """The head of a lag speaks of that much earlier, as soon as enough ticks have passed since the last reset."""
    steps = said(Home([kettle(lags_s=(0, 60))]), every(30, [100, 2900, 100, 100, 100, 100]))
    corrected = {(number - c.ticks_ago): (c.running, c.power_w) for number, step in enumerate(steps) for c in step.corrections}
    assert corrected[1] == (True, pytest.approx(2900))
    assert corrected[2] == (False, 0)


def test_a_corrected_run_is_held_over_a_pause() -> None:
    """Once the late probability is low, the corrected history goes on for as long as it is held, and draws nothing."""
    cycle = Threshold((head("dishwasher", corrected_lag=1, hold_corrected_s=60),), (2000.0,), lags_s=(0, 60))
    steps = said(Home([cycle]), every(30, [100, 2900, 100, 2900, 100, 100, 100, 100, 100, 100]))
    corrected = {(number - c.ticks_ago): (c.running, round(c.power_w)) for number, step in enumerate(steps) for c in step.corrections}
    held = [corrected.get(number, (False, 0)) for number in range(1, 8)]
    assert held == [(True, 2900), (True, 0), (True, 2900), (True, 0), (True, 0), (False, 0), (False, 0)]


def test_another_model_file_starts_from_a_reset_and_runs_go_on() -> None:
    """A network whose file has changed is not given a foreign state; running appliances survive the exchange."""
    home = Home([kettle()])
    said(home, every(30, [100, 2900, 2900]))
    changed = Home([kettle(period_s=30, lags_s=(0, 60))])
    saved = {key: value.replace(b"threshold/30", b"threshold/29") for key, value in home.save().items()}
    changed.restore(saved)
    events = [event for step in said(changed, every(30, [2900, 100, 100], START_S + 90)) for event in step.events]
    assert [event.kind for event in events] == ["finished"]


def test_a_state_of_another_version_is_refused() -> None:
    """What can't be read is an error, not a guess."""
    home = Home([kettle()])
    with pytest.raises((KeyError, ValueError, TypeError)):
        home.restore({key: json.dumps({"form": 99}).encode() for key in Home.KEYS})
