"""Topics: names, filters and matching."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hems.contracts.catalog import CATALOG, MAINS, RELAY_SET_BY, TASMOTA_COMMAND
from hems.contracts.topic import Root

HOME = Root("home")
identifiers = st.from_regex(r"[a-z0-9_-]{1,32}", fullmatch=True)


def test_a_topic_stands_under_its_home() -> None:
    """The home's id is in the name, and another's device stands outside it."""
    assert MAINS.at(Root("cottage", "energy/house")) == "energy/house/cottage/mains"
    assert RELAY_SET_BY.at(HOME, relay="bulb", source="sms") == "hems/home/relay/bulb/set/sms"
    assert TASMOTA_COMMAND.at(HOME, device="plug") == "cmnd/plug/POWER"


def test_a_filter_is_open_where_nothing_is_fixed() -> None:
    """A subscription covers every parameter that is not fixed."""
    assert RELAY_SET_BY.filter(HOME) == "hems/home/relay/+/set/+"
    assert RELAY_SET_BY.filter(Root("+"), source="sms") == "hems/+/relay/+/set/sms"


@given(st.sampled_from(CATALOG), identifiers, st.data())
def test_a_name_gives_back_its_parameters(topic: object, home: str, data: st.DataObject) -> None:
    """What went into a name is read out of it, by the home itself and by whoever reads all homes."""
    assert topic in CATALOG
    one = CATALOG[CATALOG.index(topic)]
    parameters = {name: data.draw(identifiers) for name in one.parameters}
    expected = parameters if one.foreign else parameters | {"home": home}
    name = one.at(Root(home), **parameters)
    assert one.match(Root(home), name) == expected
    assert one.match(Root("+"), name) == expected


def test_no_name_is_two_topics() -> None:
    """Each topic's names match that topic alone, so that a name has one payload type."""
    for one, other in product(CATALOG, CATALOG):
        name = one.at(HOME, **dict.fromkeys(one.parameters, "x"))
        assert (other.match(HOME, name) is not None) == (one is other), (one.pattern, other.pattern)


def test_a_name_of_another_home_does_not_match() -> None:
    """A home reads nothing of its neighbour, nor of names that only look alike."""
    assert MAINS.match(HOME, "hems/neighbour/mains") is None
    assert MAINS.match(HOME, "hems/home/mains/more") is None
    assert MAINS.match(Root("a.c"), "hems/abc/mains") is None


@pytest.mark.parametrize("level", ["", "a/b", "+", "#", "a\0b"])
def test_what_can_not_be_a_level_is_refused(level: str) -> None:
    """A parameter never smuggles in another level or a wildcard."""
    with pytest.raises(ValueError, match="can't be a topic level"):
        RELAY_SET_BY.at(HOME, relay=level, source="sms")


@pytest.mark.parametrize("parameters", [{}, {"relay": "bulb"}, {"relay": "bulb", "source": "sms", "more": "x"}])
def test_missing_and_unknown_parameters_are_refused(parameters: dict[str, str]) -> None:
    """A name is built of exactly the parameters that the pattern has."""
    with pytest.raises(ValueError, match="takes"):
        RELAY_SET_BY.at(HOME, **parameters)


def test_state_is_retained_and_commands_and_events_never_are() -> None:
    """What asks for something, or tells that something happened, is not told again to whoever comes later."""
    passing = {"event", "set", "label", "result", "query", "override", "test", "mute", "message", "alert", "missed", "{source}", "{client}"}
    for topic in CATALOG:
        if topic.pattern.rpartition("/")[2] in passing:
            assert not topic.retain, topic.pattern
