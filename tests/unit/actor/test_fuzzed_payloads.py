"""No bytes on any topic do more than raise `MalformedPayload`."""

import contextlib
import json
import random
from typing import Any

import pytest

from hems.contracts.catalog import CATALOG
from hems.contracts.payload import MalformedPayload, Payload

PAYLOADS: tuple[type[Payload], ...] = tuple(dict.fromkeys(topic.payload for topic in CATALOG))
PER_PAYLOAD = 100_000 // len(PAYLOADS) + 1
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, -1e-320, 10**40, "", "x" * 300, "ON", "\x00", "\ud800", "NaN", "Infinity",
    "2025-01-06T07:00:00Z", "2025-01-06T07:00:00", "0000-00-00", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", 1e20,
    [], {}, [[]],    {"a": 1}, [1, "x", None],
)  # fmt: skip


def _read(payload: type[Payload], raw: bytes) -> None:
    with contextlib.suppress(MalformedPayload):
        payload.from_wire(raw)


def _names(payload: type[Payload]) -> list[str]:
    return [str(field.alias or name) for name, field in payload.model_fields.items()]


def _fuzzed(generator: random.Random, names: list[str]) -> bytes:
    raw = json.dumps({name: generator.choice(ODD) for name in names if generator.random() < 0.8}).encode()
    way = generator.random()
    if way < 0.5:
        return raw
    if way < 0.7:
        place = generator.randrange(len(raw))
        return raw[:place] + generator.randbytes(generator.randrange(4)) + raw[place + generator.randrange(4) :]
    if way < 0.85:
        return raw[: generator.randrange(len(raw))]
    return generator.randbytes(generator.randrange(40))


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.__name__)
def test_fuzzed_payloads_are_read_or_malformed(payload: type[Payload]) -> None:
    """100,000 over all payload types: odd values under the right names, torn JSON and noise."""
    generator, names = random.Random(payload.__name__), _names(payload)
    for _ in range(PER_PAYLOAD):
        _read(payload, _fuzzed(generator, names))


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.__name__)
@pytest.mark.parametrize(
    "raw",
    [b"[" * 100_000, b'{"a":' * 50_000, b'"' + b"\\ud800" * 1_000 + b'"', b"[" + b"1" * 60_000, b"", b"null", b"-", b"\xef\xbb\xbf{}"],
)
def test_monstrous_payloads_are_malformed(payload: type[Payload], raw: bytes) -> None:
    """Depth, length and half characters break no reader."""
    with pytest.raises(MalformedPayload):
        payload.from_wire(raw)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.__name__)
def test_what_is_read_can_be_said_and_read_again(payload: type[Payload]) -> None:
    """A payload that follows its contract survives the wire unchanged."""
    generator, names = random.Random(7), _names(payload)
    for _ in range(500):
        try:
            read = payload.from_wire(_fuzzed(generator, names))
        except MalformedPayload:
            continue
        assert payload.from_wire(read.to_wire()) == read
