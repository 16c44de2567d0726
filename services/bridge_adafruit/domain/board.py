"""The dashboard that there should be: its blocks, how they lie on each size of screen, and what is missing of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.bridge_adafruit.domain.feeds import APPLIANCES, NOTHING_RUNS, Feed

_COLUMNS: Mapping[str, int] = {"xl": 16, "lg": 16, "md": 12, "sm": 8, "xs": 4}
_GREEN, _GREY = "#2e9f5b", "#7f8c8d"
_CHARTED = ("current",)
_SENT = ("onValue", "offValue")


@dataclass(frozen=True)
class Block:
    """One block: its name tells it from others of the dashboard, `feed` is the key in the group."""

    name: str
    visual_type: str
    feed: str
    width: int
    height: int
    properties: Mapping[str, str] = field(default_factory=dict[str, str])


def blocks(feeds: Sequence[Feed]) -> list[Block]:
    """What shows these feeds: numbers as gauges, the first of them as a chart too, texts as streams, and a toggle for each relay."""
    charted = next((feed.key for feed in feeds if _is_gauge(feed)), None)
    found: list[Block] = []
    for feed in feeds:
        found += _blocks(feed, first=feed.key == charted)
    return found


def layouts(placed: Sequence[tuple[Block, str]]) -> dict[str, list[dict[str, Any]]]:
    """Where each block lies, in rows from the top, for each size of screen.

    Args:
        placed: the blocks and their ids, in order.
    """
    return {screen: _rows(placed, columns) for screen, columns in _COLUMNS.items()}


def differs(wanted: Block, feed_id: str, there: Mapping[str, Any]) -> bool:
    """Whether a block of this name does not do what it is for: another feed, or a toggle that sends other values.

    How it looks is people's own affair.
    """
    properties: Mapping[str, Any] = there.get("properties") or {}
    sends_other = any(
        name in properties and str(properties[name]) != wanted.properties[name] for name in _SENT if name in wanted.properties
    )
    return sends_other or feed_id not in set(_feed_ids(there))


def lies_elsewhere(wanted: Mapping[str, Sequence[Mapping[str, Any]]], there: Any) -> bool:
    """Whether a block of ours has no place yet on some screen; where people have moved one, it stays there."""
    if not isinstance(there, Mapping):
        return True
    known: Mapping[str, Any] = there  # pyright: ignore[reportUnknownVariableType]
    return any(
        {entry["i"] for entry in entries} - {str(entry.get("i")) for entry in known.get(screen) or ()} for screen, entries in wanted.items()
    )


def _feed_ids(there: Mapping[str, Any]) -> Iterable[str]:
    for entry in there.get("block_feeds") or ():
        feed: Mapping[str, Any] = entry.get("feed") or {}
        yield str(feed.get("id", entry.get("feed_id", "")))


def _is_gauge(feed: Feed) -> bool:
    return feed.every_s > 0 and feed.most is not None


def _blocks(feed: Feed, *, first: bool) -> list[Block]:
    if feed.relay is not None and feed.locked:
        lamp = {"onColor": _GREEN, "offColor": _GREY, "conditionOperator": "eq", "conditionValue": "ON"}
        return [Block(feed.name, "indicator", feed.key, 4, 3, lamp)]
    if feed.relay is not None:
        values = {"onText": "ON", "offText": "OFF", "onValue": "ON", "offValue": "OFF"}
        return [Block(feed.name, "toggle_button", feed.key, 4, 3, values)]
    if feed.topic == APPLIANCES:
        text = {"fontSize": "medium", "showTimestamp": "yes", "showName": "no"}
        # An indicator is on where its condition holds.
        lamp = {"onColor": _GREEN, "offColor": _GREY, "conditionOperator": "neq", "conditionValue": NOTHING_RUNS}
        return [Block(feed.name, "stream", feed.key, 8, 5, text), Block("Something runs", "indicator", feed.key, 4, 3, lamp)]
    if feed.topic.startswith("appliance/") and feed.shows == "running":
        lamp = {"onColor": _GREEN, "offColor": _GREY, "conditionOperator": "eq", "conditionValue": "1"}
        return [Block(feed.name, "indicator", feed.key, 4, 3, lamp)]
    return _numbers(feed, first=first) if feed.every_s else [Block(feed.name, "text", feed.key, 4, 3, {"fontSize": "medium"})]


def _numbers(feed: Feed, *, first: bool) -> list[Block]:
    axis = {"yAxisLabel": feed.unit, "decimalPlaces": str(feed.decimals)}
    chart = Block(
        "Home Power Usage" if feed.key == "power" else f"{feed.name}, a day", "line_chart", feed.key, 16, 6, {**axis, "historyHours": "24"}
    )
    scale = {"minValue": "0", "maxValue": f"{feed.most:g}" if feed.most else "100", "label": feed.unit, "decimalPlaces": str(feed.decimals)}
    gauge = Block(feed.name, "gauge", feed.key, 4, 5, scale)
    if first:
        stream = Block(
            f"{feed.name}, as it comes", "stream", feed.key, 8, 5, {"fontSize": "small", "showTimestamp": "yes", "showName": "no"}
        )
        return [chart, gauge, stream]
    if feed.most is None:
        return [Block(feed.name, "text", feed.key, 4, 3, {"fontSize": "medium"})]
    return [gauge, chart] if feed.key in _CHARTED else [gauge]


def _rows(placed: Sequence[tuple[Block, str]], columns: int) -> list[dict[str, Any]]:
    lying: list[dict[str, Any]] = []
    x = y = tallest = 0
    for block, identity in placed:
        width = min(block.width, columns)
        if x + width > columns:
            x, y, tallest = 0, y + tallest, 0
        lying.append({"i": identity, "x": x, "y": y, "w": width, "h": block.height})
        x, tallest = x + width, max(tallest, block.height)
    return lying
