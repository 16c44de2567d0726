"""What a check has found, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "look", "left out"]


@dataclass(frozen=True)
class Finding:
    """One line of `hems doctor`.

    Attributes:
        subject: what was looked at, in a word or two.
        verdict: all is well, a person has to look, or it was not looked at.
        says: what was found, in a sentence without its full stop.
        step: what to do next, where a person has to look.
    """

    subject: str
    verdict: Verdict
    says: str
    step: str | None = None


def well(subject: str, says: str) -> Finding:
    """All is well."""
    return Finding(subject, "ok", says)


def look(subject: str, says: str, step: str) -> Finding:
    """A person has to look here."""
    return Finding(subject, "look", says, step)


def left_out(subject: str, why: str) -> Finding:
    """This was not looked at, and why."""
    return Finding(subject, "left out", why)
