"""Probabilities into runs and events."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.disaggregator.domain.network import Head
from services.disaggregator.domain.tracking import PROBABLE_REST_S, Event, Tracker
from services.disaggregator.domain.unknown_heater import LASTING_S, PAUSE_S, UnknownHeater
from tests.support.networks import head

KETTLE = head("kettle")
CYCLE = head("dishwasher", minimum_on_s=120, minimum_off_s=300, probable_threshold=0.4)


def events_of(head: Head, probabilities: list[float], power_w: float = 2000, period_s: float = 30) -> list[Event]:
    """What is told of a run of probabilities, one each half minute."""
    tracker = Tracker(head.appliance)
    told = [tracker.step(head, number * period_s, period_s, value, power_w) for number, value in enumerate(probabilities)]
    return [event for event in told if event]


def test_a_kettle_is_announced_at_once() -> None:
    """Without a minimum duration a start is told with the first tick above the threshold, and so is the end."""
    started, finished = events_of(KETTLE, [0, 0.9, 0.9, 0.1])
    assert (started.kind, started.at_s, started.announced_s) == ("started", 30, 30)
    assert (finished.kind, finished.at_s, finished.announced_s, finished.duration_s) == ("finished", 90, 90, 60)
    assert finished.energy_kwh == 2000 * 60 / 3.6e6


def test_a_cycle_is_probable_early_and_sure_later() -> None:
    """Probable is told with the first suspicion, started once it has lasted; both give the time of the rise."""
    probable, started = events_of(CYCLE, [0, 0.45, 0.6, 0.6, 0.6, 0.6, 0.6])
    assert (probable.kind, probable.at_s, probable.announced_s) == ("probable", 30, 30)
    assert (started.kind, started.at_s, started.announced_s) == ("started", 30, 180)


def test_a_pause_belongs_to_the_run() -> None:
    """A dip shorter than the minimum off time neither ends a run nor starts another; the end is dated back."""
    told = events_of(CYCLE, [0.9] * 6 + [0.1] * 5 + [0.9] * 4 + [0.1] * 20)
    assert [event.kind for event in told] == ["probable", "started", "finished"]
    assert told[-1].at_s == 15 * 30
    assert told[-1].announced_s == 15 * 30 + 300


def test_a_short_suspicion_is_not_a_run() -> None:
    """What does not last for the minimum on time is never called started."""
    assert [event.kind for event in events_of(CYCLE, [0, 0.9, 0.9, 0.1, 0.1])] == ["probable"]


def test_probable_is_not_told_again_and_again() -> None:
    """After a suspicion that came to nothing, the next one is told only after half an hour."""
    told = events_of(CYCLE, [0.45, 0.1] * 100)
    assert all(later.announced_s - earlier.announced_s >= PROBABLE_REST_S for earlier, later in pairwise(told))


def test_between_the_thresholds_a_run_goes_on() -> None:
    """Hysteresis: a probability between off and on neither starts nor stops."""
    assert events_of(KETTLE, [0.4, 0.4, 0.4]) == []
    assert [event.kind for event in events_of(KETTLE, [0.9, 0.4, 0.4, 0.4])] == ["started"]


def start_told_with(later: list[tuple[float, bool]]) -> Event:
    """A cycle whose probability rises at 600 s and is sure at 720 s, after something else was learnt of the time before."""
    tracker = Tracker("dishwasher")
    for then_s, ran in later:
        tracker.hear_later(CYCLE, then_s, ran)
    told = [tracker.step(CYCLE, time_s, 30, 0.9, 2000) for time_s in range(600, 750, 30)]
    return next(event for event in told if event and event.kind == "started")


def test_a_start_is_dated_by_what_is_known_later() -> None:
    """A run that is known to have been going on before the rise began where it began; pauses belong to it."""
    assert start_told_with([]).at_s == 600
    assert start_told_with([(330, False), (360, True), (390, True)]).at_s == 360
    assert start_told_with([(300, True), (330, False), (450, True), (510, False)]).at_s == 300


def test_a_start_is_not_dated_into_another_run_or_an_idle_time() -> None:
    """What ran longer than a pause ago was another run; a tick that is known to have been idle came before the start."""
    assert start_told_with([(120, True), (150, False)]).at_s == 600
    assert start_told_with([(630, False)]).at_s == 630


@given(st.lists(st.floats(0, 1), max_size=200), st.sampled_from([KETTLE, CYCLE]))
def test_every_run_has_one_start_and_one_end(probabilities: list[float], head: Head) -> None:
    """Started and finished alternate, time goes forward, and nothing is dated after it is told."""
    told = events_of(head, probabilities)
    runs = [event for event in told if event.kind != "probable"]
    assert [event.kind for event in runs] == ["started", "finished"] * (len(runs) // 2) + ["started"] * (len(runs) % 2)
    assert all(earlier.at_s <= later.at_s for earlier, later in pairwise(runs))
    assert all(event.at_s <= event.announced_s for event in told)
    assert all((event.duration_s or 0) >= 0 and (event.energy_kwh or 0) >= 0 for event in told)


@given(st.lists(st.floats(0, 1), max_size=100), st.integers(0, 100))
def test_a_tracker_goes_on_where_it_was_saved(probabilities: list[float], cut: int) -> None:
    """Saved and restored between any two ticks, it tells the same events."""
    tracker, told = Tracker("dishwasher"), list[Event | None]()
    for number, value in enumerate(probabilities):
        tracker = Tracker.restore(tracker.save()) if number == cut else tracker
        told.append(tracker.step(CYCLE, number * 30, 30, value, 2000))
    assert [event for event in told if event] == events_of(CYCLE, probabilities)


def test_a_run_survives_only_a_gap_that_would_pass_for_a_pause() -> None:
    """Blind for longer than the minimum off time, a run is ended where the readings ended."""
    for blind_s, kinds in ((300.0, []), (301.0, ["finished"])):
        tracker = Tracker("dishwasher")
        for number in range(10):
            tracker.step(CYCLE, number * 30, 30, 0.9, 2000)
        event = tracker.gap(CYCLE, 270, 270 + blind_s)
        assert [found.kind for found in (event,) if found] == kinds
        assert event is None or (event.at_s, event.announced_s) == (270, 270 + blind_s)


def heater_events(powers_w: list[float], heaters: list[Tracker] | None = None) -> list[Event]:
    """What is told of a run of powers, one each half minute."""
    heater = UnknownHeater()
    told = [heater.step(number * 30, 30, power_w, heaters or []) for number, power_w in enumerate(powers_w)]
    return [event for event in told if event]


def test_a_shower_is_an_unknown_heater() -> None:
    """A large step that lasts and that nothing explains is told, and its end too, dated by the step."""
    started, finished = heater_events([200.0] * 3 + [9700.0] * 10 + [200.0] * 20)
    assert (started.appliance, started.kind, started.at_s, started.announced_s) == ("unknown_heater", "started", 90, 90 + LASTING_S)
    assert (finished.kind, finished.at_s, finished.announced_s) == ("finished", 390, 390 + PAUSE_S)
    assert finished.energy_kwh == 9500 * 300 / 3.6e6


def test_a_short_or_small_step_is_no_heater() -> None:
    """A boost of a minute, or a step below 1 kW, is not told."""
    assert heater_events([200.0, 2500.0, 2500.0, 200.0, 200.0, 200.0]) == []
    assert heater_events([200.0] + [1100.0] * 20) == []


def test_a_thermostat_makes_one_run() -> None:
    """An oven that switches its heater off for less than five minutes stays one run."""
    told = heater_events([200.0] + ([2400.0] * 6 + [250.0] * 6) * 5 + [250.0] * 20)
    assert [event.kind for event in told] == ["started", "finished"]


def test_a_step_that_a_running_appliance_may_explain_is_left_to_it() -> None:
    """A dishwasher that runs may have switched its heater on; a shower draws more than any plug allows."""
    dishwasher = Tracker("dishwasher", running=True, probability=0.9, onset_s=0.0)
    assert heater_events([200.0] + [2400.0] * 20, [dishwasher]) == []
    assert [event.kind for event in heater_events([200.0] + [9000.0] * 20, [dishwasher])] == ["started"]


def test_confidence_falls_where_known_appliances_are_likely() -> None:
    """The chance of an unknown heater is that of too few known appliances running to draw so much."""
    known = [Tracker("kettle", probability=0.25), Tracker("washing_machine", probability=0.2)]
    for rise_w, chance in ((2200.0, 0.75 * 0.8), (6000.0, 1 - 0.25 * 0.2), (9500.0, 1.0)):
        (started,) = heater_events([200.0] + [200.0 + rise_w] * 20, known)
        assert started.confidence == pytest.approx(chance)
