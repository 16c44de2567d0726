"""Takes secrets and addresses out of a text that strangers will read."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

GONE = "(taken out)"
_SHORTEST = 4
_NAMED = re.compile(
    r"""(?P<name>["']?[\w.-]*(?:password|passwd|secret|token|api_?key|aio_?key|\bkey|credential|authorization)[\w-]*["']?\s*[:=]\s*)"""
    r"""(?P<value>\(taken\ out\)|"[^"\n]*"|'[^'\n]*'|[^\s,}\]#]+)""",
    re.IGNORECASE,
)
_NOT_SECRET = re.compile(r"_file[\"']?\s*[:=]\s*$", re.IGNORECASE)
_SHAPES = (
    re.compile(r"\b(?:AC|SK|MG)[0-9a-f]{32}\b", re.IGNORECASE),
    re.compile(r"\baio_[A-Za-z0-9]{20,}\b"),
    re.compile(r"(?i)\b(?:basic|bearer)\s+[A-Za-z0-9+/=._-]{8,}"),
    re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"),
    re.compile(r"\+[1-9]\d(?:[\s().-]?\d){6,13}\b"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
)
_PLACE = re.compile(r"(?P<name>\b(?:latitude|longitude)[\"']?\s*[:=]\s*)-?\d+(?:\.\d+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Censor:
    """Knows the values that must not be seen, and the shapes that such values have.

    Attributes:
        known: secrets and addresses by their values, from the configuration, the environment and the files that hold them.
    """

    known: frozenset[str]

    @classmethod
    def of(cls, values: Iterable[str]) -> "Censor":
        """Very short values are left alone: they would be found in every word."""
        return cls(frozenset(value.strip() for value in values if len(value.strip()) >= _SHORTEST))

    def clean(self, text: str) -> str:
        """The text without them: first what is known, the longest first, then what a name or a shape gives away."""
        for value in sorted(self.known, key=len, reverse=True):
            text = text.replace(value, GONE)
        for shape in _SHAPES:
            text = shape.sub(GONE, text)
        return _PLACE.sub(rf"\g<name>{GONE}", _NAMED.sub(_without_value, text))


def _without_value(found: re.Match[str]) -> str:
    # The name of a secret's file is no secret, and says much about a fault.
    return found[0] if _NOT_SECRET.search(found["name"]) else f"{found['name']}{GONE}"
