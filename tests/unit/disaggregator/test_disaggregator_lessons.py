"""What people's words teach: of appliances that run for hours an offset, of short loads examples; and how it is forgotten."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.disaggregator.domain.hindsight import Hindsight
from services.disaggregator.domain.home import Home
from services.disaggregator.domain.lessons import Lessons
from services.disaggregator.domain.odds import logistic, logit
from services.disaggregator.domain.teaching import Word, offset
from tests.support.networks import Threshold, head

WORDS = st.lists(st.builds(Word, st.floats(-8, 8), st.booleans()), max_size=12)


def heard(lessons: Lessons, probability: float, *, running: bool = False, ticks: int = 20, first: int = 0) -> None:
    """Ticks at which the network is so sure."""
    for tick in range(first, first + ticks):
        lessons.at_once(30.0 * tick, probability, [300.0])
        lessons.note(running)


def test_words_move_a_probability_that_was_too_low() -> None:
    """Missed each time at .1, and told so five times: it is called at .1 from then on."""
    lessons = Lessons()
    for _ in range(5):
        heard(lessons, 0.1)
        assert lessons.tell("on")
    assert lessons.corrected(0.1) > 0.25
    assert lessons.at_once(1e5, 0.1, [300.0]) == lessons.corrected(0.1)


def test_one_word_moves_nothing() -> None:
    """A slip of the finger is kept, and waits for a second word."""
    lessons = Lessons()
    heard(lessons, 0.1)
    assert lessons.tell("on")
    assert lessons.corrected(0.1) == 0.1


def test_words_that_contradict_each_other_move_nothing() -> None:
    """On at .4 and off at .4: what one says of the other is no better than what the network says."""
    assert offset([Word(logit(0.4), number % 2 == 0) for number in range(6)]) == pytest.approx(0.0, abs=0.2)


@given(WORDS)
def test_an_offset_only_holds_where_it_foretells_each_word_better_from_the_others(words: list[Word]) -> None:
    """However the words fall, it is finite, and towards what most of them say."""
    added = offset(words)
    assert abs(added) < 10
    surprise = sum(word.ran - logistic(word.log_odds) for word in words)
    assert added * surprise >= 0


def test_wrong_speaks_of_the_last_run_also_when_it_is_over() -> None:
    """Said to run at .8 and told that it was wrong, twice, an hour later: .8 is less from then on."""
    lessons = Lessons()
    for number in range(2):
        heard(lessons, 0.8, running=True, first=400 * number)
        heard(lessons, 0.02, ticks=120, first=400 * number + 20)
        assert lessons.tell("wrong")
    assert lessons.corrected(0.8) < 0.7


def test_a_word_that_speaks_of_nothing_is_not_heeded() -> None:
    """Nothing was announced, nothing was read: nothing to learn from."""
    assert not Lessons().tell("wrong")
    assert not Lessons().tell("on")


def test_forget_takes_everything_back() -> None:
    """Afterwards it says what the network says, with hindsight and without."""
    for lessons in (Lessons(), Lessons(Hindsight())):
        for _ in range(4):
            heard(lessons, 0.1)
            lessons.tell("on")
        assert lessons.tell("forget")
        assert lessons.at_once(1e5, 0.1, [300.0]) == pytest.approx(0.1, abs=1e-5)
        assert not lessons.words


def test_what_people_taught_survives_a_restart() -> None:
    """Saved as JSON and restored, the words move the probability as before."""
    lessons = Lessons()
    for _ in range(5):
        heard(lessons, 0.1)
        lessons.tell("on")
    restored = Lessons.restore(json.loads(json.dumps(lessons.save())))
    assert restored.corrected(0.1) == pytest.approx(lessons.corrected(0.1))


def test_a_short_loads_words_are_examples() -> None:
    """Told a few times that a step of 1.2 kW is no kettle, the home calls it one no more, and the kettle still."""
    lessons = Lessons(Hindsight())
    for number in range(4):
        for begin, power_w in ((2_000 * number, 1_200.0), (2_000 * number + 1_000, 2_800.0)):
            lessons.at_once(begin, 0.5, [150.0] * 12 + [150.0 + power_w])
            lessons.note(True)
            lessons.tell("wrong" if power_w == 1_200 else "on")
            lessons.note(False)
    assert lessons.at_once(1e6, 0.5, [150.0] * 12 + [1_350.0]) < 0.3
    assert lessons.at_once(1e6 + 30, 0.5, [150.0] * 12 + [2_950.0]) > 0.6


def test_a_home_is_taught_by_the_appliances_name() -> None:
    """A dishwasher that was missed twice is found the third time, also after a restart; one that no model knows is not heeded."""
    home = Home([Threshold((head("dishwasher", corrected_lag=1),), (2_030.0,), lags_s=(0.0, 60.0))])
    kept = dict[str, bytes]()
    for number in range(300):
        home.read(1.4e9 + 30 * number, 2_010.0 if number % 100 > 40 else 150.0)
        if number % 100 == 70:
            assert home.trackers[0].running == (number == 270)
            assert number == 270 or home.be_told("dishwasher", "on")
        kept |= home.save()
        if number == 200:
            home = Home([Threshold((head("dishwasher", corrected_lag=1),), (2_030.0,), lags_s=(0.0, 60.0))])
            home.restore(kept)
    assert home.be_told("sauna", "on") is None
