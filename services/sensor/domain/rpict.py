"""The RPICT family's lines: numbers in a fixed order, split by spaces or commas.

Layouts are told apart by their number of columns. A comma-separated line may lack its leading node number.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from services.sensor.domain.readings import MOST_CHANNELS, MeterLine, Rejected, decoded, is_not_finite, is_plausible_power, number

Profile = Literal["rpict3t1", "rpict3v1", "rpict7v1"]
MeterParser = Callable[[bytes], MeterLine | Rejected]

_SPLIT = re.compile(r"[ ,\t]+")
_COLUMN = re.compile(
    r"(?P<plain>node_id|voltage_v|temperature_c|ignore)"
    r"|(?P<kind>real_power|apparent_power|current)_(?P<channel>[1-9]\d?)_(?P<unit>w|va|a|ma)"
)
_UNITS = {"real_power": ("w",), "apparent_power": ("va",), "current": ("a", "ma")}


@dataclass(frozen=True)
class Column:
    """Where a value goes: a quantity, the input it belongs to (0 for none), and the factor to its unit."""

    quantity: str
    channel: int = 0
    factor: float = 1.0


class UnknownColumn(ValueError):
    """A column's name that means nothing."""


def columns(names: Sequence[str]) -> tuple[Column, ...]:
    """Read a column order such as `["node_id", "real_power_1_w", "current_1_ma", "voltage_v"]`.

    Raises:
        UnknownColumn: a name is unknown, or stands twice.
    """
    repeated = {name for name in names if name != "ignore" and names.count(name) > 1}
    if repeated:
        raise UnknownColumn(f"{min(repeated)!r} stands twice; write 'ignore' for a column that doesn't matter")
    return tuple(map(_column, names))


def _column(name: str) -> Column:
    found = _COLUMN.fullmatch(name)
    if not found or (found["kind"] and found["unit"] not in _UNITS[found["kind"]]):
        raise UnknownColumn(
            f"{name!r} is not a column; there are node_id, real_power_1_w, apparent_power_1_va, current_1_a, current_1_ma,"
            " voltage_v, temperature_c and ignore, with the input's number for the 1"
        )
    if found["plain"]:
        return Column(found["plain"])
    channel = int(found["channel"])
    if channel > MOST_CHANNELS:
        raise UnknownColumn(f"{name!r}: a meter has at most {MOST_CHANNELS} inputs")
    return Column(found["kind"], channel, 1e-3 if found["unit"] == "ma" else 1.0)


def _numbered(pattern: str, count: int) -> list[str]:
    return [pattern.format(channel) for channel in range(1, count + 1)]


def _older_rpict3v1(count: int) -> tuple[Column, ...]:
    """RealPower ApparentPower Irms Vrms PowerFactor, input after input; the voltage is the same on all."""
    names = ["node_id"]
    for channel in range(1, count + 1):
        voltage = "voltage_v" if channel == 1 else "ignore"
        names += [f"real_power_{channel}_w", f"apparent_power_{channel}_va", f"current_{channel}_a", voltage, "ignore"]
    return columns(names)


LAYOUTS: Mapping[Profile, tuple[tuple[Column, ...], ...]] = {
    "rpict3t1": (columns(["node_id", *_numbered("apparent_power_{}_va", 3), "temperature_c"]),),
    "rpict3v1": (
        columns(["node_id", *_numbered("real_power_{}_w", 3), *_numbered("current_{}_a", 3), "voltage_v"]),
        *map(_older_rpict3v1, (1, 2, 3)),
    ),
    "rpict7v1": (columns(["node_id", *_numbered("real_power_{}_w", 7), *_numbered("current_{}_ma", 7), "voltage_v"]),),
}
"""The column orders that each board may print."""


def channels_of(layouts: Sequence[Sequence[Column]]) -> frozenset[int]:
    """The inputs whose power or current any of these layouts gives."""
    return frozenset(column.channel for layout in layouts for column in layout if column.channel)


def parser(layouts: Sequence[tuple[Column, ...]]) -> MeterParser:
    """A parser for lines in any of these column orders."""
    by_width = {len(layout): layout for layout in layouts}
    without_node = {len(layout) - 1: layout[1:] for layout in layouts if layout[0].quantity == "node_id"}

    def parse(line: bytes) -> MeterLine | Rejected:
        text = decoded(line)
        if isinstance(text, Rejected):
            return text
        tokens = [token for token in _SPLIT.split(text) if token]
        word = next((token for token in tokens if number(token) is None and not is_not_finite(token)), None)
        if word is not None:
            return Rejected("words", f"{word[:20]!r} is not a number")
        layout = by_width.get(len(tokens)) or (without_node.get(len(tokens)) if "," in text else None)
        return _filled(layout, tokens) if layout else _wrong_width(len(tokens), by_width)

    return parse


def _wrong_width(width: int, by_width: Mapping[int, object]) -> Rejected:
    return Rejected("columns", f"has {width} columns where {' or '.join(map(str, sorted(by_width)))} belong")


def _filled(layout: Sequence[Column], tokens: Sequence[str]) -> MeterLine | Rejected:
    powers: dict[str, dict[int, float]] = {"real_power": {}, "apparent_power": {}, "current": {}}
    plain: dict[str, float] = {}
    for column, token in zip(layout, tokens, strict=True):
        value = number(token)
        if value is None:
            continue
        if column.quantity not in powers:
            plain[column.quantity] = value
        elif is_plausible_power(value) or column.quantity == "current":
            powers[column.quantity][column.channel] = value * column.factor
        else:
            return Rejected("implausible", f"{token[:20]} W on input {column.channel} is more than a home can draw")
    if "node_id" in plain and _node(plain["node_id"]) is None:
        return Rejected("columns", f"begins with {plain['node_id']:g} where a node number belongs")
    return MeterLine(
        apparent_power_va=powers["apparent_power"],
        real_power_w=powers["real_power"],
        current_a={channel: value for channel, value in powers["current"].items() if abs(value) <= 1_000},
        voltage_v=plain.get("voltage_v"),
        temperature_c=plain.get("temperature_c"),
        node_id=_node(plain.get("node_id")),
        tells_voltage=any(column.quantity == "voltage_v" for column in layout),
    )


def _node(value: float | None) -> int | None:
    return int(value) if value is not None and 0 <= value <= 255 and value == int(value) else None
