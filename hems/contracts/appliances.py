"""Which appliances run, what started and finished, and what people say of it."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import Field

from hems.contracts.payload import Confidence, Identifier, KilowattHours, MessageId, Moment, Payload, Seconds, Watts

EventKind = Literal["probable", "started", "finished"]

_NAMESPACE = UUID("8a6e0b62-6f0d-5f0c-9a5e-3c1a8f0a4d11")


class ApplianceState(Payload):
    """One appliance now. Said at each change and every minute."""

    observed_at: Moment
    running: bool
    power_w: Annotated[Watts, Field(description="estimated, W")]
    confidence: Confidence
    since: Annotated[Moment | None, Field(description="when it took this state; unknown at first")] = None


class ApplianceEvent(Payload):
    """An appliance probably runs, has started, or has finished."""

    id: MessageId
    kind: EventKind
    at: Annotated[Moment, Field(description="when it happened")]
    announced_at: Annotated[Moment, Field(description="when it was known")]
    confidence: Confidence
    duration_s: Seconds | None = None
    energy_kwh: Annotated[KilowattHours | None, Field(ge=0, description="estimated, kWh")] = None


class ApplianceLabel(Payload):
    """A person's word on an appliance: it is on or off now, the last announcement was wrong; or forget what was taught of it."""

    id: MessageId
    at: Moment
    verdict: Literal["on", "off", "wrong", "forget"]
    source: Identifier


class ApplianceTaught(Payload):
    """What people have taught of an appliance; the answer to a label."""

    at: Moment
    label: Annotated[MessageId, Field(description="id of the label that this answers")]
    heeded: Annotated[bool, Field(description="false: the label was too old, or spoke of nothing that was known")]
    words: Annotated[int, Field(ge=0, description="labels that are learnt from")]
    by_example: Annotated[bool, Field(description="labels are examples of what the power does, rather than moving the probability")]
    log_odds: Annotated[float, Field(ge=-100, le=100, description="added to its probability's log-odds; 0: nothing that helps")]


def event_id(home: str, appliance: str, kind: EventKind, at: datetime) -> str:
    """The same event said twice has one id: UUIDv5 of home, appliance, kind and time."""
    return str(uuid5(_NAMESPACE, f"{home}/{appliance}/{kind}/{at.astimezone(UTC).isoformat()}"))
