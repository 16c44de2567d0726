"""Many homes in one process: each says what it would say alone."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.disaggregator.domain.home import Home, Step
from services.disaggregator.domain.many import ManyHomes, Reading
from services.disaggregator.domain.network import Network
from services.disaggregator.onnx_model import load_all
from services.disaggregator.recording import read
from services.disaggregator.settings import DisaggregatorSettings
from tests.support.networks import Threshold, head

DEMO = Path(__file__).parents[3] / "services/replay/demo/home.parquet"
START_S = 1_400_000_010.0
AHEAD_S = 120.0


def two_clocks() -> list[Network]:
    """A fast network that knows the kettle best, and a slow one that knows it too."""
    fast = Threshold((head("kettle", priority=1),), (2000.0,), period_s=6)
    slow = Threshold((head("kettle"), head("dishwasher", minimum_off_s=300)), (2000.0, 1200.0), lags_s=(0.0, 60.0))
    return [slow, fast]


def alone(networks: list[Network], readings: list[Reading]) -> list[Step]:
    """What a home says that is the only one."""
    home = Home(networks)
    return [step for reading in readings for step in home.read(reading.time_s, reading.power_w)]


@st.composite
def streets(draw: st.DrawFn) -> list[list[Reading]]:
    """Batches of readings of some homes, each at a changing pace of its own, with gaps, repetitions and steps back."""
    elapsed = st.sampled_from([1.0, 2.5, 6.0, 6.0, 6.0, 8.0, 30.0, 60.0, 200.0, 4000.0, 0.0, -5.0])
    powers = st.sampled_from([80.0, 150.0, 1300.0, 2900.0, 9500.0])
    at_s = {f"home{number}": START_S + 7.3 * number for number in range(draw(st.integers(1, 5)))}
    batches: list[list[Reading]] = []
    for _ in range(draw(st.integers(1, 12))):
        batch: list[Reading] = []
        for home in draw(st.lists(st.sampled_from(sorted(at_s)), max_size=12)):
            at_s[home] += draw(elapsed)
            batch.append(Reading(home, at_s[home], draw(powers)))
        batches.append(batch)
    return batches


@settings(max_examples=80)
@given(streets(), st.data())
def test_each_home_says_what_it_would_say_alone(batches: list[list[Reading]], data: st.DataObject) -> None:
    """Whatever comes in one batch, and whichever homes are let go in between and restored from what was saved."""
    networks = two_clocks()
    homes, kept, said = ManyHomes(networks), dict[str, dict[str, bytes]](), dict[str, list[Step]]()
    for batch in batches:
        for name in {reading.home for reading in batch}:
            if name not in homes:
                assert homes.admit(name, kept.get(name, {}), START_S + 1e9, AHEAD_S) is None
        for reading, steps in zip(batch, homes.read(batch), strict=True):
            said.setdefault(reading.home, []).extend(steps)
        for name in {reading.home for reading in batch}:
            kept.setdefault(name, {}).update(homes[name].home.save())
        homes.let_go(data.draw(st.sets(st.sampled_from(sorted(kept)))) if kept else ())
    for name, steps in said.items():
        assert steps == alone(networks, [reading for batch in batches for reading in batch if reading.home == name])


def test_real_models_say_the_same_in_company() -> None:
    """Fourteen homes of the shipped recording, at other times of it and other paces: equal events, and equal figures but for rounding."""
    networks, refused = load_all(DisaggregatorSettings().models)
    assert not refused
    demo, homes = read(DEMO), ManyHomes(networks)
    streams: dict[str, list[Reading]] = {}
    for number in range(14):
        first = int(demo.times_s.searchsorted(datetime(2015, 1, 5, 6, tzinfo=UTC).timestamp() + 1_700 * number))
        part = slice(first, first + 900)
        shift_s, scale, name = float(np.round(3.7 * number, 1)), 1 + 0.02 * number, f"home{number}"
        streams[name] = [
            Reading(name, time_s + shift_s, power_w * scale)
            for time_s, power_w in zip(demo.times_s[part].tolist(), demo.mains_w[part].tolist(), strict=True)
            if power_w == power_w
        ]
        homes.admit(name, {}, START_S + 1e9, AHEAD_S)
    said: dict[str, list[Step]] = {name: [] for name in streams}
    for place in range(0, 900, 3):
        batch = [reading for stream in streams.values() for reading in stream[place : place + 3]]
        for reading, steps in zip(batch, homes.read(batch), strict=True):
            said[reading.home].extend(steps)
    events = 0
    for name, stream in streams.items():
        expected = alone(list(networks), stream)
        assert [step.running for step in said[name]] == [step.running for step in expected]
        assert [[event[:4] for event in step.events] for step in said[name]] == [[event[:4] for event in step.events] for step in expected]
        np.testing.assert_allclose([step.probability for step in said[name]], [step.probability for step in expected], atol=1e-4)
        np.testing.assert_allclose([step.power_w for step in said[name]], [step.power_w for step in expected], atol=0.1)
        events += sum(len(step.events) for step in expected)
    assert events > 20


def test_a_state_that_can_not_be_used_begins_anew_and_says_so() -> None:
    """One of another version, and one that lies in the future; both homes work afterwards."""
    homes = ManyHomes(two_clocks())
    homes.admit("left", {}, START_S, AHEAD_S)
    homes.read([Reading("left", START_S + 5_000, 100.0)])
    saved = homes["left"].home.save()
    assert "future" in str(homes.admit("early", saved, START_S, AHEAD_S))
    assert "read" in str(homes.admit("strange", {Home.KEYS[0]: b"{}"}, START_S, AHEAD_S))
    assert homes.admit("left", saved, START_S + 5_000, AHEAD_S) is None
    assert [homes[name].home.reading_s for name in ("early", "strange", "left")] == [None, None, START_S + 5_000]


def test_silent_homes_and_too_many_are_to_be_let_go() -> None:
    """Those heard before a moment, and of too many those heard least lately."""
    homes = ManyHomes(two_clocks())
    for number in range(6):
        homes.admit(f"home{number}", {}, START_S, AHEAD_S)
        homes.read([Reading(f"home{number}", START_S + 10 * number, 100.0)])
    homes.read([Reading("home0", START_S + 100, 100.0)])
    assert homes.silent(before_s=START_S + 25, most=100) == ["home1", "home2"]
    assert homes.silent(before_s=0, most=4) == ["home1", "home2"]
    homes.let_go(["home1"])
    assert len(homes) == 5
    assert "home1" not in homes


@pytest.mark.parametrize(("elapsed_s", "follows"), [(6.0, True), (8.0, True), (12.0, False)])
def test_a_hole_is_told_by_the_meters_interval(elapsed_s: float, follows: bool) -> None:
    """One interval, even a slow one, is no hole; two are."""
    homes = ManyHomes(two_clocks())
    homes.admit("home", {}, START_S, AHEAD_S)
    assert homes.follows("home", None, START_S + 1_000)
    homes.read([Reading("home", START_S + 6 * number, 100.0) for number in range(3)])
    assert homes.follows("home", None, START_S + 12 + elapsed_s) == follows
    assert homes.follows("home", START_S + 18, START_S + 18 + elapsed_s) == follows
