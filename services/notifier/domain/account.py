"""An account at a provider of SMS, and what comes in there."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Account:
    """The account, and who the messages come from. `username` is the account's SID or an API key's."""

    sid: str
    username: str
    password: str = field(repr=False)
    sender: str | None
    messaging_service_sid: str | None
    base_url: str
    timeout_s: float


@dataclass(frozen=True)
class Incoming:
    """A message that somebody sent to our number."""

    id: str
    sender: str
    text: str
    at: datetime
