"""What Adafruit IO sends: values of the group's feeds, and in plain English notices on `{user}/throttle` and `{user}/errors`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*s(?:ec(?:ond)?s?)?\b")
_BANNED = re.compile(r"\bban", re.IGNORECASE)
_LONGEST_S = 3_600.0
_UNSAID_S = 60.0


@dataclass(frozen=True)
class Values:
    """What feeds of the group show now, by their keys in it."""

    values: Mapping[str, str]


@dataclass(frozen=True)
class Throttled:
    """Nothing may be said for a while; what was said last was not taken."""

    seconds: float


@dataclass(frozen=True)
class Banned:
    """Every client of the account is shut out for a while."""

    seconds: float


@dataclass(frozen=True)
class Complaint:
    """Something was not taken."""

    text: str


Notice = Throttled | Banned | Complaint


def read_throttle(text: str) -> Throttled | Banned:
    """`… data rate limit reached, 21 seconds until throttle released`; a minute, where no seconds are said."""
    return Banned(_seconds(text)) if _BANNED.search(text) else Throttled(_seconds(text))


def read_error(text: str) -> Banned | Complaint:
    """A ban, or anything else that went wrong."""
    return Banned(_seconds(text)) if _BANNED.search(text) else Complaint(text[:300])


def _seconds(text: str) -> float:
    found = _SECONDS.search(text)
    return min(float(found[1]), _LONGEST_S) if found else _UNSAID_S
