"""Who may call a hook, and what a call may say."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest

from hems.testing.clocks import START
from services.bridge_adafruit.domain.hooks import Admitted, Call, Gate, Hook, Refusal, SwitchRelay, signature
from services.bridge_adafruit.domain.instant import Instant
from services.bridge_adafruit.openapi import DESCRIPTION

API: Any = OpenAPI.from_dict({**DESCRIPTION, "servers": [{"url": "http://127.0.0.1"}]})
SECRET = "a secret of more than sixteen characters"
OPEN = Hook("good-night", SwitchRelay("bulb", "OFF"), SECRET)
SIGNED = Hook("grid", SwitchRelay("heater", "OFF"), SECRET, signed=True)


def at(seconds: float) -> Instant:
    """So many seconds after the start."""
    return Instant(START + timedelta(seconds=seconds), seconds)


def gate() -> Gate:
    """Two hooks."""
    return Gate({hook.name: hook for hook in (OPEN, SIGNED)})


def signed(nonce: str = "n1", *, seconds: float = 0, body: bytes = b"", hook: str = "grid", secret: str = SECRET) -> Call:
    """A call that is signed then."""
    timestamp = str(int(at(seconds).at.timestamp()))
    return Call(hook, "10.0.0.1", body, signature=signature(secret, timestamp, nonce, body), timestamp=timestamp, nonce=nonce)


def test_the_secret_opens_its_hook() -> None:
    """The right secret, with no body or an empty object, is let in."""
    door = gate()
    for body in (b"", b" ", b"{}"):
        assert door.judge(Call("good-night", "10.0.0.1", body, secret=SECRET), at(0)) == Admitted(OPEN)


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (Call("good-night", "a"), 401),
        (Call("good-night", "a", secret="wrong"), 403),
        (Call("good-night", "a", secret="wröng\ud800"), 403),
        (Call("open-the-door", "a", secret=SECRET), 404),
        (Call("x" * 1_000, "a", secret=SECRET), 404),
        (Call("grid", "a", secret=SECRET), 401),
        (Call("grid", "a", signature="sha256=0", timestamp="1", nonce=None), 401),
        (Call("grid", "a", signature="sha256=0", timestamp="1", nonce="n" * 65), 401),
        (Call("grid", "a", signature="sha256=0", timestamp="1", nonce="n"), 403),
        (signed(secret="another secret of some length"), 403),
        (signed(seconds=-301), 403),
        (signed(seconds=301), 403),
        (Call("good-night", "a", b"{", secret=SECRET), 422),
        (Call("good-night", "a", b"[]", secret=SECRET), 422),
        (Call("good-night", "a", b"\xff", secret=SECRET), 422),
        (Call("good-night", "a", b"[" * 10_000, secret=SECRET), 422),
        (Call("good-night", "a", b'{"id": 3}', secret=SECRET), 422),
        (Call("good-night", "a", b'{"id": ""}', secret=SECRET), 422),
        (Call("good-night", "a", b'{"state": "ON"}', secret=SECRET), 422),
    ],
)
def test_what_is_not_proven_or_not_understood_is_refused(call: Call, status: int) -> None:
    """Each refusal has the status that a client expects, and a sentence."""
    refusal = gate().judge(call, at(0))
    assert isinstance(refusal, Refusal)
    assert refusal.status == status
    assert refusal.error


def test_a_signature_counts_once() -> None:
    """The same nonce again is refused, for as long as its timestamp could be taken; another is let in."""
    door = gate()
    assert isinstance(door.judge(signed("n1", seconds=300), at(0)), Admitted)
    for seconds in (1, 300, 590):
        replay = door.judge(signed("n1", seconds=300), at(seconds))
        assert isinstance(replay, Refusal)
        assert replay.status == 403
    assert isinstance(door.judge(signed("n2", seconds=590), at(590)), Admitted)


def test_a_signature_covers_the_body() -> None:
    """A body that was changed on its way is refused."""
    call = signed(body=b'{"id": "a"}')
    changed = Call(call.hook, call.source, b'{"id": "b"}', signature=call.signature, timestamp=call.timestamp, nonce=call.nonce)
    refusal = gate().judge(changed, at(0))
    assert isinstance(refusal, Refusal)
    assert refusal.status == 403


def test_ten_a_minute_and_source() -> None:
    """The eleventh call in a minute is told when to come back; another source is not held up; then it may come again."""
    door = gate()
    for second in range(10):
        assert isinstance(door.judge(Call("good-night", "a", secret=SECRET), at(second)), Admitted)
    refusal = door.judge(Call("good-night", "a", secret=SECRET), at(10))
    assert isinstance(refusal, Refusal)
    assert refusal.status == 429
    assert refusal.retry_after_s is not None
    assert 49 <= refusal.retry_after_s <= 51
    assert isinstance(door.judge(Call("good-night", "b", secret=SECRET), at(10)), Admitted)
    assert isinstance(door.judge(Call("good-night", "a", secret=SECRET), at(10 + refusal.retry_after_s)), Admitted)


def test_an_id_acts_once() -> None:
    """A caller that tries again with its id is told that it was done; of a hook that failed, the id may act later."""
    door = gate()
    call = Call("good-night", "a", json.dumps({"id": "x"}).encode(), secret=SECRET)
    assert door.judge(call, at(0)) == Admitted(OPEN)
    door.done(OPEN, call.body)
    assert door.judge(call, at(1)) == Admitted(OPEN, repeated=True)
    door.undone(OPEN, call.body)
    assert door.judge(call, at(2)) == Admitted(OPEN)


calls = st.builds(
    Call,
    hook=st.sampled_from(["good-night", "grid", ""]) | st.text(max_size=80),
    source=st.sampled_from(["a", "b"]) | st.uuids().map(str),
    body=st.sampled_from([b"", b"{}"]) | st.binary(max_size=200),
    secret=st.none() | st.text(max_size=60),
    signature=st.none() | st.text(max_size=80),
    timestamp=st.none() | st.text(max_size=20) | st.just(str(int(START.timestamp()))),
    nonce=st.none() | st.text(max_size=70),
)


@given(st.lists(calls, max_size=60))
def test_nothing_without_the_secret_comes_in(many: list[Call]) -> None:
    """Whatever is sent, no call without the secret is let in, and each refusal is one of the described."""
    door = gate()
    for number, call in enumerate(many):
        verdict = door.judge(call, at(number))
        assert isinstance(verdict, Refusal)
        assert verdict.status in (401, 403, 404, 422, 429)


names = st.sampled_from(["id", "state", "for"]) | st.text(max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=70),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "state", "for"]) | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
bodies = st.one_of(
    st.just(b""),
    st.binary(min_size=1, max_size=40),
    values.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries({}, optional={"id": st.text(max_size=70)}).map(lambda value: json.dumps(value).encode()),
)


@given(bodies)
def test_the_description_and_the_gate_agree_on_bodies(body: bytes) -> None:
    """What the OpenAPI description allows is let in with the right secret, and what it does not allow is a 422."""
    described = MockRequest("http://127.0.0.1", "POST", "/hooks/good-night", data=body or None, content_type="application/json")
    allowed = not body.strip() or not list(API.iter_request_errors(described))
    verdict = gate().judge(Call("good-night", "a", body, secret=SECRET), at(0))
    assert verdict == Admitted(OPEN) if allowed else isinstance(verdict, Refusal) and verdict.status == 422
