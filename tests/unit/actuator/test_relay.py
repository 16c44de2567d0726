"""One relay's own timers: what they must never bring back."""

import pytest

from hems.contracts.relays import Level, RelayCommand, Source
from services.actuator.domain.admission import Instant, Request
from services.actuator.domain.relay import Answer, Relay
from services.actuator.domain.rules import RelayRules
from tests.unit.actuator.relay_world import START

HEATER = RelayRules(safe="OFF", silent_after_s=30, allow=frozenset({"local", "load_manager"}), person_holds_s=0)


def _say(relay: Relay, state: Level, now_s: float, for_s: float | None = None, source: Source = "local") -> Answer:
    return relay.command(Request(RelayCommand(state=state, for_s=for_s), source), Instant(now_s, START))


def _levels(relay: Relay) -> list[Level]:
    return [change.level for change in relay.take_changes()]


def test_a_lease_that_ends_in_silence_does_not_even_click() -> None:
    """Held off while the broker died, a relay that would rest on stays safe: it does not go on for a moment."""
    relay = Relay(HEATER, 0.0)
    _say(relay, "ON", 0.0)
    _say(relay, "OFF", 1.0, for_s=60, source="load_manager")
    assert _levels(relay) == ["ON", "OFF"]
    relay.step(61.5)
    relay.step(62.0)
    assert _levels(relay) == []
    relay.heard(63.0)
    relay.step(63.0)
    assert relay.level == "OFF", "nobody has asked for it since"


@pytest.mark.parametrize("limit", ["its longest time", "silence"])
def test_what_a_limit_has_ended_is_not_where_a_later_lease_ends(limit: str) -> None:
    """`resting: last` after a retreat is the safe state: ten minutes asked for are ten minutes."""
    rules = RelayRules(safe="OFF", max_away_s=100) if limit == "its longest time" else RelayRules(safe="OFF", silent_after_s=100)
    relay = Relay(rules, 0.0)
    _say(relay, "ON", 0.0)
    relay.step(101.0)
    assert relay.level == "OFF"
    _say(relay, "ON", 1_000.0, for_s=10)
    relay.step(1_010.0)
    assert relay.level == "OFF"


def test_a_hand_at_the_device_counts_as_the_last_command() -> None:
    """Who switches it off there does not find it on after a later lease."""
    relay = Relay(RelayRules(safe="OFF"), 0.0)
    _say(relay, "ON", 0.0)
    relay.observe("OFF", 10.0)
    _say(relay, "ON", 20.0, for_s=10)
    relay.step(30.0)
    assert relay.level == "OFF"
