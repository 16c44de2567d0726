"""Prices and intensities as others write them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recorder.domain.series import SeriesForm, UnreadableSeries, read_series

NOON_S = 1_736_164_800  # 2025-01-06T12:00:00Z


def test_octopus_agile_in_pence() -> None:
    """Standard unit rates, newest first, in pence with tax, become pounds in order; an open end lasts a month."""
    rows = [
        {"value_exc_vat": 20.0, "value_inc_vat": 21.0, "valid_from": "2025-01-06T12:30:00Z", "valid_to": None, "payment_method": None},
        {"value_exc_vat": 10.0, "value_inc_vat": 10.5, "valid_from": "2025-01-06T12:00:00Z", "valid_to": "2025-01-06T12:30:00Z"},
    ]
    found = read_series(json.dumps({"count": 2, "next": None, "previous": None, "results": rows}), "agile", 0.01)
    assert found == [(NOON_S, NOON_S + 1_800, pytest.approx(0.105)), (NOON_S + 1_800, NOON_S + 1_800 + 30 * 86_400, pytest.approx(0.21))]


_ROWS = [
    {"from": "2025-01-06T12:00Z", "to": "2025-01-06T12:30Z", "value": 0.1},
    {"from": "2025-01-06T13:30+01:00", "to": "2025-01-06T13:00Z", "value": -0.2},
]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(_ROWS),
        json.dumps({"as_of": "2025-01-06T11:00Z", "values": _ROWS}),
        "from,to,value\n2025-01-06T12:00Z,2025-01-06T12:30Z,0.1\n2025-01-06T12:30Z,2025-01-06T13:00Z,-0.2\n",
        "from,value\n2025-01-06T12:00Z,0.1\n2025-01-06T12:30Z,-0.2\n",
    ],
)
def test_the_plain_forms_say_the_same(text: str) -> None:
    """JSON as a list, JSON under `values`, CSV with and without ends."""
    assert read_series(text, "plain") == [(NOON_S, NOON_S + 1_800, 0.1), (NOON_S + 1_800, NOON_S + 3_600, -0.2)]


def test_gb_carbon_intensity_national_and_regional() -> None:
    """What was measured goes before the forecast, however deep the list lies."""
    period = {"from": "2025-01-06T12:00Z", "to": "2025-01-06T12:30Z", "intensity": {"forecast": 266, "actual": 263, "index": "moderate"}}
    assert read_series(json.dumps({"data": [period]}), "carbon_intensity_gb") == [(NOON_S, NOON_S + 1_800, 263.0)]
    regional = period | {"intensity": {"forecast": 266, "index": "moderate"}}
    wrapped = {"data": {"regionid": 13, "postcode": "SW1A", "data": [regional]}}
    assert read_series(json.dumps(wrapped), "carbon_intensity_gb") == [(NOON_S, NOON_S + 1_800, 266.0)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no values"),
        ("{", "not in the plain form"),
        ('[{"from": "2025-01-06T12:00", "to": "2025-01-06T12:30Z", "value": 1}]', "offset from UTC"),
        ('[{"from": "2025-01-06T12:00Z", "to": "2025-01-06T12:00Z", "value": 1}]', "empty or too long"),
        ('[{"from": "2025-01-06T12:00Z", "to": "2025-01-06T12:30Z", "value": 1e99}]', "no price"),
        ('[{"from": "2025-01-06T12:00Z", "to": "2025-01-06T12:30Z", "value": NaN}]', "no price"),
        ("from,value\nyesterday,1\n", "isoformat"),
    ],
)
def test_what_is_not_in_the_form_says_so(text: str, reason: str) -> None:
    """One error, with the place."""
    with pytest.raises(UnreadableSeries, match=reason):
        read_series(text, "plain")


@given(
    st.one_of(st.text(max_size=200), st.recursive(st.none() | st.integers() | st.text(max_size=5), st.lists).map(json.dumps)),
    st.sampled_from(["plain", "agile", "carbon_intensity_gb"]),
)
def test_no_text_breaks_it(text: str, form: SeriesForm) -> None:
    """Whatever an address answers, it is values or one kind of error."""
    with contextlib.suppress(UnreadableSeries):
        assert read_series(text, form)
