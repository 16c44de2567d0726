"""The lines of OpenEnergyMonitor's emonPi and emonTx: `MSG:…` and `ct1:…` pairs, JSON, and radio frames (`OK 5 22 1 …`)."""

import re
from collections.abc import Mapping
from typing import Any

from services.sensor.domain.readings import MOST_CHANNELS, MeterLine, Rejected, decoded, is_not_finite, is_plausible_power, number
from services.sensor.domain.zmpt101b import json_object

_POWER_KEY = re.compile(r"(?:p|ct|power)([1-9]\d?)", re.ASCII)
_FRAME = re.compile(r"OK (?P<node>\d{1,3})(?P<bytes>(?: \d{1,3})+)(?: \(-?\d+\))?", re.ASCII)
_MOST_POWERS = {5: 2, 6: 4, 7: 4, 8: 4, 9: 4, 10: 4, 15: 4}
"""Radio nodes that are meters: the emonPi (5), whose third value is the sum of the first two, and emonTx boards."""


def parse_open_energy_monitor(line: bytes) -> MeterLine | Rejected:
    """A reading in any of the forms. Its powers are real where the line's own voltage is good; see `mains`."""
    text = decoded(line)
    if isinstance(text, Rejected):
        return text
    if text.startswith("OK "):
        return _from_frame(text)
    pairs = json_object(text) if text.startswith("{") else _pairs(text)
    return _from_pairs(pairs) if pairs else Rejected("words", f"{text[:40]!r} is no reading")


def _pairs(text: str) -> dict[str, Any]:
    split = [pair.partition(":") for pair in text.split(",")]
    return {key.strip().lower(): value.strip() for key, colon, value in split if colon}


def _from_pairs(pairs: Mapping[str, Any]) -> MeterLine | Rejected:
    tokens = {key: str(value) for key, value in pairs.items() if isinstance(value, int | float | str) and not isinstance(value, bool)}
    powers = {
        int(found[1]): token for key, token in tokens.items() if (found := _POWER_KEY.fullmatch(key)) and int(found[1]) <= MOST_CHANNELS
    }
    if not powers:
        return Rejected("columns", "has no power such as P1 or ct1")
    word = next((token for token in powers.values() if number(token) is None and not is_not_finite(token)), None)
    if word is not None:
        return Rejected("words", f"{word[:20]!r} is not a number")
    hundredths = "ct1" in tokens and "." not in tokens.get("vrms", "")
    voltage_v = number(tokens.get("vrms", ""))
    return _line(powers, voltage_v / 100 if voltage_v is not None and hundredths else voltage_v, None)


def _from_frame(text: str) -> MeterLine | Rejected:
    found = _FRAME.fullmatch(text)
    values = _words16(found["bytes"]) if found else None
    if found is None or values is None:
        return Rejected("words", f"{text[:40]!r} is no radio frame")
    node_id = int(found["node"])
    count = _MOST_POWERS.get(node_id)
    if count is None:
        return Rejected("other_node", f"radio node {node_id} is not a meter")
    place = 3 if node_id == 5 else count
    if len(values) <= place:
        return Rejected("columns", f"radio node {node_id} gave {len(values)} values where at least {place + 1} belong")
    return _line({channel + 1: str(values[channel]) for channel in range(count)}, values[place] / 100, node_id)


def _words16(text: str) -> list[int] | None:
    """Signed 16-bit numbers from decimal bytes, little-endian; an odd byte at the end belongs to something else."""
    numbers = [int(token) for token in text.split()]
    if max(numbers) > 255:
        return None
    raw = bytes(numbers)
    return [int.from_bytes(raw[start : start + 2], "little", signed=True) for start in range(0, len(raw) - 1, 2)]


def _line(powers: Mapping[int, str], voltage_v: float | None, node_id: int | None) -> MeterLine | Rejected:
    values = {channel: value for channel, token in powers.items() if (value := number(token)) is not None}
    if not all(map(is_plausible_power, values.values())):
        return Rejected("implausible", "tells more power than a home can draw")
    return MeterLine(real_power_w=values, voltage_v=voltage_v, node_id=node_id)
