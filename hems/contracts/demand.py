"""Demand response: what the grid or the household asks, and what is done about it."""

from typing import Annotated, Literal

from pydantic import Field

from hems.contracts.payload import Identifier, LongText, MessageId, Moment, Payload

DemandLevel = Literal["normal", "moderate", "high", "special"]


class DemandEvent(Payload):
    """Somebody asks for less (or, with `normal`, takes it back)."""

    id: MessageId
    level: DemandLevel
    starts_at: Moment
    ends_at: Moment
    reason: LongText | None = None
    source: Identifier | None = None


class DemandOverride(Payload):
    """A person opts out: of an event, or for one relay until the event in force ends."""

    id: MessageId
    event: Annotated[MessageId | None, Field(description="the event's id")] = None
    relay: Identifier | None = None


class ShedRelay(Payload):
    """A load that is held back."""

    relay: Identifier
    since: Moment
    until: Moment


class DemandState(Payload):
    """The level in force, and what it costs in comfort."""

    level: DemandLevel
    as_of: Annotated[Moment | None, Field(description="since when the load manager has said so")] = None
    until: Moment | None = None
    event: MessageId | None = None
    shed: tuple[ShedRelay, ...] = ()
    saved_kwh: Annotated[float | None, Field(ge=0, description="estimated, kWh")] = None
    saved_how: LongText | None = None
    reason: LongText | None = None
