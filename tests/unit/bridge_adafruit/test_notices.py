"""What Adafruit IO says in plain English, and what it sends in JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.bridge_adafruit.adafruit_mqtt import read_values
from services.bridge_adafruit.domain.notices import Banned, Complaint, Throttled, read_error, read_throttle


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("me data rate limit reached, 21 seconds until throttle released", 21),
        ('"me data rate limit reached, 1 seconds until throttle released"', 1),
        ("slow down", 60),
        ("wait 999999 seconds", 3_600),
    ],
)
def test_a_throttle_says_for_how_long(text: str, seconds: float) -> None:
    """The seconds are read; without them it is a minute, and never more than an hour."""
    assert read_throttle(text) == Throttled(seconds)


def test_a_ban_is_told_from_a_complaint() -> None:
    """A ban has its length; anything else is a complaint."""
    assert read_error("MQTT account me has been banned temporarily, 30 seconds until ban is lifted") == Banned(30)
    assert read_throttle("you are banned") == Banned(60)
    assert read_error("home.x could not be created") == Complaint("home.x could not be created")


@given(st.text(max_size=400))
def test_any_text_is_some_notice(text: str) -> None:
    """Whatever is said, it is read, and no wait is longer than an hour."""
    for notice in (read_throttle(text), read_error(text)):
        assert isinstance(notice, Complaint) or 0 <= notice.seconds <= 3_600


def test_values_of_the_group() -> None:
    """Keys with or without the group's name, numbers as text; what is no such message is none."""
    assert read_values(b'{"feeds":{"home.power":"1","bulb":"ON","x":2.5,"y":null},"location":{}}', "home.") == {
        "power": "1", "bulb": "ON", "x": "2.5",
    }  # fmt: skip
    for raw in (b"", b"[]", b"ON", b'{"feeds":[]}', b"\xff", b"[" * 5_000):
        assert read_values(raw, "home.") is None


@given(st.binary(max_size=300))
def test_any_bytes_are_read(raw: bytes) -> None:
    """Whatever comes, reading it ends."""
    values = read_values(raw, "home.")
    assert values is None or all(isinstance(value, str) for value in values.values())
