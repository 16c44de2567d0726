"""What sketches for a ZMPT101B on an ESP8266 print: a number, `Vrms: 230.1 V`, JSON, or volts, amperes and watts."""

import json
import re
from typing import Any, cast

from services.sensor.domain.readings import Rejected, VoltageLine, decoded, is_not_finite, number

_UNSIGNED = r"(?P<value>\d+\.?\d*|\.\d+)"
_LABELLED = re.compile(rf"(?:(?:v_?rms|voltage|volts?|u)\s*[:=]?\s*)?{_UNSIGNED}\s*(?:v|volts?)?(?:\s*rms)?", re.ASCII | re.IGNORECASE)
_VOLTS_AND_MORE = re.compile(rf"{_UNSIGNED}\s*volts?\s*rms\s*-{{2,}}.*", re.ASCII | re.IGNORECASE)
_KEYS = ("vrms", "voltage_v", "voltage", "v", "volts")
_GREATEST_V = 1_000.0


def parse_voltage(line: bytes) -> VoltageLine | Rejected:
    """The voltage that a line tells, V RMS, as it was printed: neither scaled nor checked against the nominal one."""
    text = decoded(line)
    if isinstance(text, Rejected):
        return text
    if is_not_finite(text):
        return Rejected("not_finite", f"{text!r} is not a voltage")
    value = _from_json(text) if text.startswith("{") else _from_text(text)
    if value is None:
        return Rejected("words", f"{text[:40]!r} tells no voltage")
    return VoltageLine(value) if 0 <= value <= _GREATEST_V else Rejected("implausible", f"{value:g} V is no mains voltage")


def _from_text(text: str) -> float | None:
    found = _LABELLED.fullmatch(text) or _VOLTS_AND_MORE.fullmatch(text)
    return number(found["value"]) if found else None


def _from_json(text: str) -> float | None:
    values = json_object(text)
    value = next((values[key] for key in _KEYS if key in values), None)
    return number(str(value)) if isinstance(value, int | float | str) and not isinstance(value, bool) else None


def json_object(text: str) -> dict[str, Any]:
    """A JSON object with its keys in lower case; empty where the text is none."""
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return {key.lower(): value for key, value in cast("dict[str, Any]", values).items()} if isinstance(values, dict) else {}
