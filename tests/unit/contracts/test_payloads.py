"""Payloads: what is read, what is refused, and what stands on the wire."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hems.contracts.appliances import event_id
from hems.contracts.catalog import CATALOG
from hems.contracts.energy import Series
from hems.contracts.health import BrokerUptime, ServiceHealth, ServiceStatus, TasmotaPower, TasmotaPresence
from hems.contracts.mains import Mains
from hems.contracts.payload import MalformedPayload, Payload
from hems.contracts.relays import RelayCommand

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAYLOADS = tuple(dict.fromkeys(topic.payload for topic in CATALOG))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["ON", "home", NOON.isoformat()]) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def objects(payload: type[Payload]) -> st.SearchStrategy[bytes]:
    """JSON objects with the payload's own fields, and anything in them."""
    names = [field.alias or name for name, field in payload.model_fields.items()]
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, JUNK)).map(lambda fields: json.dumps(fields).encode())


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=500)
@given(st.sampled_from(PAYLOADS), st.data())
def test_any_bytes_are_read_or_refused(payload: type[Payload], data: st.DataObject) -> None:
    """Whatever comes is a payload that says the same when written, or is refused with one line; nothing else happens."""
    raw = data.draw(st.binary(max_size=99) | JUNK.map(lambda value: json.dumps(value).encode()) | objects(payload))
    try:
        read = payload.from_wire(raw)
    except MalformedPayload as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017  either outcome is right
    else:
        assert payload.from_wire(read.to_wire()) == read


def test_a_name_that_is_no_text_is_not_repeated_as_it_is() -> None:
    """A refusal names what is wrong; a line break or an escape in a name would break the line that it is logged in."""
    with pytest.raises(MalformedPayload, match=r"work\.") as refused:
        ServiceHealth.from_wire(b'{"work":{"\\n":null}}')
    assert str(refused.value).isprintable()


def test_a_reading_on_the_wire() -> None:
    """Compact JSON, units in the names, UTC with an offset, and no field without a value."""
    reading = Mains(measured_at=NOON.astimezone(timezone(timedelta(hours=1))), power_w=123.4, quality="estimated")
    assert reading.to_wire() == b'{"measured_at":"2026-03-01T12:00:00+00:00","power_w":123.4,"quality":"estimated"}'


def test_unknown_fields_are_ignored() -> None:
    """A reader of today reads what a later version says."""
    assert Mains.from_wire(b'{"measured_at":"2026-03-01T12:00:00Z","power_w":1,"quality":"measured","later":{}}').power_w == 1


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"power_w": float("nan")}, "payload|power_w"),
        ({"power_w": 1e7}, "power_w"),
        ({"power_w": None}, "power_w"),
        ({"measured_at": "2026-03-01T12:00:00"}, "measured_at"),
        ({"quality": "guessed"}, "quality"),
    ],
)
def test_a_reading_that_breaks_the_contract_is_refused_by_the_field(change: dict[str, Any], where: str) -> None:
    """Numbers are finite and possible, times have an offset; the refusal names the field."""
    good = {"measured_at": "2026-03-01T12:00:00Z", "power_w": 1.0, "quality": "measured"}
    assert Mains.from_wire(json.dumps(good).encode())
    with pytest.raises(MalformedPayload, match=where):
        Mains.from_wire(json.dumps(good | change).encode())


@pytest.mark.parametrize(("raw", "state"), [(b"ON", "ON"), (b"1", "ON"), (b" OFF\n", "OFF"), (b"0", "OFF"), (b'{"state":"ON"}', "ON")])
def test_a_relay_takes_what_people_type(raw: bytes, state: str) -> None:
    """The four bare forms mean what they say."""
    assert RelayCommand.from_wire(raw).state == state


@pytest.mark.parametrize("raw", [b"TOGGLE", b"on", b"2", b"", b'{"state":"TOGGLE"}', b'{"state":"ON","for_s":0}', b"true"])
def test_a_relay_refuses_the_rest(raw: bytes) -> None:
    """TOGGLE needs an id, a lease needs a length, and nothing is guessed."""
    with pytest.raises(MalformedPayload):
        RelayCommand.from_wire(raw)


@pytest.mark.parametrize("payload", [payload for payload in PAYLOADS if payload.plain])
def test_the_plain_form_is_the_declared_one(payload: type[Payload]) -> None:
    """What the schema declares as the plain form is read; and where it is the only form, it is what is written."""
    for word in payload.plain.replace("[0-9]+", "42").split("|"):
        read = payload.from_wire(word.encode())
        if not payload.is_json:
            assert read.to_wire().decode() == word
            assert re.fullmatch(payload.plain, word)


def test_plain_words_of_others_are_refused() -> None:
    """A status, a plug's state, its presence and the broker's uptime have no other words."""
    for payload in (ServiceStatus, TasmotaPower, TasmotaPresence, BrokerUptime):
        with pytest.raises(MalformedPayload):
            payload.from_wire(b"perhaps")


def test_a_series_says_from_and_to() -> None:
    """On the wire the ends of a value's time are `from` and `to`."""
    value = {"from": "2026-03-01T12:00:00Z", "to": "2026-03-01T12:30:00Z", "value": 0.2}
    wire = json.dumps({"as_of": "2026-03-01T12:00:00Z", "unit": "GBP/kWh", "values": [value]}).encode()
    assert Series.from_wire(wire).values[0].end - NOON == timedelta(minutes=30)
    assert set(json.loads(Series.from_wire(wire).to_wire())["values"][0]) == {"from", "to", "value"}


def test_an_event_said_twice_has_one_id() -> None:
    """An event's id follows from home, appliance, kind and the moment, however its offset is written; it differs where they do."""
    first = event_id("home", "kettle", "started", NOON)
    assert first == event_id("home", "kettle", "started", NOON.astimezone(timezone(timedelta(hours=-5))))
    others = {
        event_id("home", "kettle", "finished", NOON),
        event_id("cottage", "kettle", "started", NOON),
        event_id("home", "kettle", "started", NOON + timedelta(seconds=1)),
    }
    assert len(others | {first}) == 4
