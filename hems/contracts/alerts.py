"""What people should know, and what was sent to them."""

from typing import Annotated, Literal

from pydantic import Field

from hems.contracts.payload import Identifier, LongText, MessageId, Moment, Payload, ShortText

LIMIT_REACHED = "actuator.limit"
"""The rule of the alert that a relay's own limit has ended what somebody asked for; its title begins with the relay."""

MessageStatus = Literal["would_send", "queued", "sent", "delivered", "undelivered", "failed", "dropped"]


class Alert(Payload):
    """Something that a person should know."""

    id: MessageId
    rule: Annotated[str, Field(pattern=r"^[a-z0-9_.-]{1,64}$", description="what raised it")]
    severity: Literal["info", "warning", "critical"]
    title: ShortText
    message: LongText
    at: Moment


class NotifyTest(Payload):
    """Send a test message."""

    id: MessageId
    recipient: Annotated[Identifier | None, Field(description="all of them where absent")] = None


class NotifyMute(Payload):
    """Send nothing until then."""

    id: MessageId
    until: Moment
    recipient: Identifier | None = None


class NotifyMessage(Payload):
    """What was sent, or would be with an account."""

    id: MessageId
    at: Moment
    recipient: Identifier
    channel: Annotated[Identifier, Field(description="sms, …; `none` where there is no account")]
    text: LongText
    status: Annotated[MessageStatus, Field(description="as far as it is known")]
    rule: ShortText | None = None
    reason: LongText | None = None
