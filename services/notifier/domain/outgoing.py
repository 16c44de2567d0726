"""The life of one message, from the outbox to the phone: what happens to it next, and why.

`queued` → `sending` (written before anything leaves the house) → `sent` (with the provider's id) → `delivered` or
`undelivered`; or `failed` (it will never be taken), `dropped` (no longer useful), `would_send` (there is no account).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

Status = Literal["queued", "sending", "sent", "delivered", "undelivered", "failed", "dropped", "would_send"]

FINAL: frozenset[Status] = frozenset({"delivered", "undelivered", "failed", "dropped", "would_send"})

_FIRST_WAIT_S = 15.0
_LONGEST_WAIT_S = 900.0
_CHECKS_S = (5, 15, 60, 300, 900, 3_600, 3_600 * 4, 3_600 * 12)


@dataclass(frozen=True)
class Outgoing:
    """A message in the outbox.

    Attributes:
        channel: sms, ntfy, …; `none` where there is no account.
        quiet: hours in which it is not sent, as text.
        due_at: when something is to be done with it.
        sending_at: when the newest attempt began.
        provider_id: the provider's name for it, once it has been taken.
        attempts: failed attempts to send.
        checks: how often its delivery was asked for.
        probe: a test: goes out even to an address that was stopped, and clears it.
    """

    id: str
    recipient: str
    channel: str
    address: str
    text: str
    rules: tuple[str, ...]
    created_at: datetime
    useful_until: datetime
    due_at: datetime
    status: Status = "queued"
    quiet: str | None = None
    sending_at: datetime | None = None
    provider_id: str | None = None
    attempts: int = 0
    checks: int = 0
    reason: str | None = None
    probe: bool = False

    @property
    def is_over(self) -> bool:
        """Nothing more will be done with it."""
        return self.status in FINAL or (self.status == "sent" and self.checks >= len(_CHECKS_S))


@dataclass(frozen=True)
class Accepted:
    """The provider took it. `confirms`: its delivery can be asked for later."""

    provider_id: str
    confirms: bool = True


@dataclass(frozen=True)
class Rejected:
    """The provider will never take it. `stops_address`: nor anything else to this address."""

    reason: str
    code: int | None = None
    stops_address: bool = False


@dataclass(frozen=True)
class Later:
    """Not now.

    Attributes:
        after_s: the provider asks to wait for so long.
        may_be_taken: no clear answer came: it has to be looked up before it is sent again.
        account: nothing can be sent at all until a person does something; what, stands in `reason`.
    """

    reason: str
    after_s: float | None = None
    may_be_taken: bool = False
    account: bool = False


@dataclass(frozen=True)
class Found:
    """What the provider's list says of an attempt: its id, or None where it holds no such message; `reason` on why that can't be told."""

    provider_id: str | None
    reason: str = ""


@dataclass(frozen=True)
class Delivered:
    """How far a message that was taken has come. `state` None: still on its way."""

    state: Literal["delivered", "undelivered"] | None
    reason: str | None = None
    stops_address: bool = False


Outcome = Accepted | Rejected | Later


def begin(message: Outgoing, now: datetime) -> Outgoing:
    """An attempt begins: committed before anything is sent."""
    return replace(message, status="sending", sending_at=now, reason=None)


def stale(message: Outgoing, now: datetime) -> Outgoing | None:
    """Dropped where it is no longer useful and has surely not been taken; None where it still is worth sending."""
    if message.status != "queued" or now < message.useful_until:
        return None
    why = f"no longer useful ({message.reason})" if message.reason else "no longer useful"
    return replace(message, status="dropped", reason=why)


def after_send(message: Outgoing, outcome: Outcome, now: datetime, jitter: float) -> Outgoing:
    """What an attempt has come to. `jitter` in 0..1 spreads the next one."""
    if isinstance(outcome, Accepted):
        return taken(message, outcome.provider_id, now, confirms=outcome.confirms)
    if isinstance(outcome, Rejected):
        return replace(message, status="failed", reason=outcome.reason)
    status: Status = "sending" if outcome.may_be_taken else "queued"
    wait = timedelta(seconds=wait_s(message.attempts, outcome.after_s, jitter))
    return replace(message, status=status, attempts=message.attempts + 1, due_at=now + wait, reason=outcome.reason)


def taken(message: Outgoing, provider_id: str, now: datetime, *, confirms: bool = True) -> Outgoing:
    """The provider has it."""
    checks = 0 if confirms else len(_CHECKS_S)
    due_at = now + timedelta(seconds=_CHECKS_S[0])
    return replace(message, status="sent", provider_id=provider_id, checks=checks, due_at=due_at, reason=None)


def after_look_up(message: Outgoing, found: Found | Later, now: datetime, jitter: float) -> Outgoing:
    """What the provider's list says of an attempt whose answer never came."""
    if isinstance(found, Later):
        wait = timedelta(seconds=wait_s(message.attempts, found.after_s, jitter))
        return replace(message, attempts=message.attempts + 1, due_at=now + wait, reason=found.reason)
    if found.provider_id is not None:
        return taken(message, found.provider_id, now)
    return replace(message, status="queued", due_at=now)


def after_check(message: Outgoing, delivered: Delivered, now: datetime) -> Outgoing:
    """What the provider says of its delivery."""
    if delivered.state is not None:
        return replace(message, status=delivered.state, reason=delivered.reason)
    checks = message.checks + 1
    wait = timedelta(seconds=_CHECKS_S[min(checks, len(_CHECKS_S) - 1)])
    return replace(message, checks=checks, due_at=now + wait)


def wait_s(attempts: int, asked_s: float | None, jitter: float) -> float:
    """How long to wait after a failure: doubling from 15 s to 15 min, and never shorter than the provider asks."""
    grown_s = min(_FIRST_WAIT_S * 2 ** min(attempts, 10), _LONGEST_WAIT_S)
    return max(asked_s or 0.0, grown_s * (0.5 + jitter / 2))
