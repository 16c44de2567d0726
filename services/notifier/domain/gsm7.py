"""Plain text for SMS: the default alphabet of 3GPP TS 23.038 (GSM 7-bit), and how many segments a text takes."""

import unicodedata

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("^{}\\[~]|€")
"""Two septets each: an escape goes before them."""
_REPLACED = {"‘": "'", "’": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "−": "-", "·": "-", "⁄": "/", "\t": " "}  # noqa: RUF001

_SINGLE = 160
_CONCATENATED = 153
_ELLIPSIS = "..."


def fold(text: str) -> str:
    """The text with every character in the alphabet: accents dropped where they must be, `?` for what has no likeness."""
    return "".join(map(_folded, text))


def segments(text: str) -> int:
    """How many SMS a folded text takes; an escaped character is never split over two."""
    if sum(map(_septets, text)) <= _SINGLE:
        return 1
    count, left = 1, _CONCATENATED
    for character in text:
        if _septets(character) > left:
            count, left = count + 1, _CONCATENATED
        left -= _septets(character)
    return count


def fit(text: str, most_segments: int = 2) -> str:
    """Fold a text, and cut it so that it takes no more segments than this."""
    whole = fold(text).strip()
    if segments(whole) <= most_segments:
        return whole
    shorter = whole
    while segments(shorter.rstrip() + _ELLIPSIS) > most_segments:
        shorter = shorter[:-1]
    return shorter.rstrip() + _ELLIPSIS


def _septets(character: str) -> int:
    return 2 if character in _EXTENSION else 1


def _folded(character: str) -> str:
    if character in _BASIC or character in _EXTENSION:
        return character
    if character in _REPLACED:
        return _REPLACED[character]
    parts = (_REPLACED.get(part, part) for part in unicodedata.normalize("NFKD", character))
    kept = "".join(part for part in parts if part in _BASIC or part in _EXTENSION)
    if kept or unicodedata.category(character) in ("Mn", "Cf", "Cc"):
        return kept
    return "?"
