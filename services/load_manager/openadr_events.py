"""Events as openleadr reads them out of OpenADR's XML, and what is understood of them: the levels of a SIMPLE signal."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from services.load_manager.domain.grid import GridEvent, Step

_OPEN_ENDED = timedelta(days=1)
_LONGEST_REASON = 200
_MOST_INTERVALS = 10_000


class UnreadableEvent(ValueError):
    """An event that is not as OpenADR 2.0b has it; the message says what was stumbled over."""


def grid_event(raw: Mapping[str, Any], ven_name: str) -> GridEvent:
    """One event.

    Args:
        raw: as openleadr hands it to its handlers.
        ven_name: decides where in the operator's tolerance this home begins, always the same for an event.

    Raises:
        UnreadableEvent: something is missing, or is of another kind.
    """
    try:
        event = _read(raw, ven_name)
        event.demand_events()
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UnreadableEvent(f"{type(error).__name__}: {error}"[:300]) from None
    return event


def _read(raw: Mapping[str, Any], ven_name: str) -> GridEvent:
    descriptor = raw["event_descriptor"]
    event_id = str(descriptor["event_id"])
    comment = descriptor.get("vtn_comment")
    return GridEvent(
        id=event_id,
        modification=int(descriptor.get("modification_number") or 0),
        steps=tuple(_steps(raw, _delay(raw["active_period"], f"{ven_name}/{event_id}"))),
        is_cancelled=descriptor["event_status"] == "cancelled",
        is_test=bool(descriptor.get("test_event")),
        wants_answer=raw.get("response_required") == "always",
        reason=(str(comment) if comment else "asked for by OpenADR")[:_LONGEST_REASON],
    )


def _steps(raw: Mapping[str, Any], delay: timedelta) -> Iterator[Step]:
    period = raw["active_period"]
    begins: datetime = period["dtstart"]
    if begins.tzinfo is None:
        raise ValueError("a time without an offset")
    lasts: timedelta = period.get("duration") or _OPEN_ENDED
    at = begins
    for interval in _intervals(raw)[:_MOST_INTERVALS]:
        starts_at: datetime = interval.get("dtstart") or at
        # A duration of nothing is one that nobody knows yet.
        at = starts_at + interval["duration"] if interval.get("duration") else max(begins + lasts, starts_at)
        level = round(float(interval["signal_payload"]))
        yield Step(min(max(level, 0), 3), starts_at + delay, at + delay)


def _intervals(raw: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Of the SIMPLE signal; none where there is no such signal."""
    signals: Any = raw["event_signals"]
    if isinstance(signals, Mapping):
        signals = cast("Mapping[str, Any]", signals)["event_signals"]
    for signal in cast("Sequence[Mapping[str, Any]]", signals):
        if str(signal["signal_name"]).upper() == "SIMPLE":
            return signal["intervals"]
    return ()


def _delay(period: Mapping[str, Any], who: str) -> timedelta:
    """An operator may ask homes not to begin all at once, but at some time within a tolerance."""
    tolerance: Any = period.get("tolerance") or {}
    within: Any = (tolerance.get("tolerate") or tolerance).get("startafter") or timedelta()
    return within * (int.from_bytes(hashlib.sha256(who.encode()).digest()[:4]) / 2**32)
