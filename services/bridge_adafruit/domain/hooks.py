"""What a webhook may ask, and of whom it is taken."""

import hmac
import json
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal, cast

from hems.contracts.demand import DemandLevel
from services.bridge_adafruit.domain.instant import Instant

LONGEST_BODY = 16 * 1024
_A_MINUTE = 10
_PERIOD_S = 60.0
_CLOCKS_DIFFER_S = 300.0
_MOST_SOURCES = 4_096
_MOST_NONCES = 10_000
_MOST_IDS = 1_000
_LONGEST_NAME = 64


@dataclass(frozen=True)
class SwitchRelay:
    """Switch a relay, for a while where `for_s` is given."""

    relay: str
    state: Literal["ON", "OFF", "TOGGLE"]
    for_s: float | None = None


@dataclass(frozen=True)
class AskForLess:
    """Begin a demand event."""

    level: DemandLevel
    for_s: float


@dataclass(frozen=True)
class Mute:
    """Send no messages for a while."""

    for_s: float


Action = SwitchRelay | AskForLess | Mute


@dataclass(frozen=True)
class Hook:
    """A hook: what it does, and the secret that opens it. A `signed` one takes no bare secret."""

    name: str
    action: Action
    secret: str
    signed: bool = False


@dataclass(frozen=True)
class Call:
    """A request as it came. `source` is the caller's address."""

    hook: str
    source: str
    body: bytes = b""
    secret: str | None = None
    signature: str | None = None
    timestamp: str | None = None
    nonce: str | None = None


@dataclass(frozen=True)
class Refusal:
    """Why a call is not taken, as an HTTP status and a sentence."""

    status: int
    error: str
    retry_after_s: int | None = None


@dataclass(frozen=True)
class Admitted:
    """A call that may act; `repeated` where the same `id` has acted already."""

    hook: Hook
    repeated: bool = False


def signature(secret: str, timestamp: str, nonce: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256, in hex, of timestamp, nonce and body with a full stop between them."""
    signed = b".".join((timestamp.encode(), nonce.encode(), body))
    return f"sha256={hmac.new(secret.encode(), signed, sha256).hexdigest()}"


class Gate:
    """Lets calls in or not. What it remembers is bounded, whatever comes."""

    def __init__(self, hooks: Mapping[str, Hook]) -> None:
        self._hooks = dict(hooks)
        self._calls: OrderedDict[str, deque[float]] = OrderedDict()
        self._nonces: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._ids: OrderedDict[tuple[str, str], None] = OrderedDict()

    def judge(self, call: Call, now: Instant) -> Admitted | Refusal:
        """Ten calls a minute and source, then the name, the secret, and at last the body."""
        if (wait_s := self._too_many(call.source, now.s)) is not None:
            return Refusal(429, "too many requests from this address; try again later", wait_s)
        hook = self._hooks.get(call.hook) if len(call.hook) <= _LONGEST_NAME else None
        if hook is None:
            return Refusal(404, "no such hook")
        refusal = self._unproven(hook, call, now)
        return refusal or self._read(hook, call.body)

    def _too_many(self, source: str, now_s: float) -> int | None:
        calls = self._calls.setdefault(source, deque(maxlen=_A_MINUTE))
        self._calls.move_to_end(source)
        if len(self._calls) > _MOST_SOURCES:
            self._calls.popitem(last=False)
        if len(calls) == _A_MINUTE and now_s - calls[0] < _PERIOD_S:
            return max(1, int(_PERIOD_S - (now_s - calls[0])) + 1)
        calls.append(now_s)
        return None

    def _unproven(self, hook: Hook, call: Call, now: Instant) -> Refusal | None:
        if call.signature is not None:
            return self._badly_signed(hook, call, now)
        if call.secret is None or hook.signed:
            how = "sign the request (X-Hook-Signature)" if hook.signed else "send the hook's secret in the header X-Hook-Secret"
            return Refusal(401, f"this hook needs proof: {how}")
        if not hmac.compare_digest(call.secret.encode(errors="replace"), hook.secret.encode()):
            return Refusal(403, "the secret is wrong")
        return None

    def _badly_signed(self, hook: Hook, call: Call, now: Instant) -> Refusal | None:
        if not call.timestamp or not call.nonce or len(call.nonce) > _LONGEST_NAME:
            return Refusal(401, "a signature comes with X-Hook-Timestamp (Unix seconds) and X-Hook-Nonce (64 characters at most)")
        wanted = signature(hook.secret, call.timestamp, call.nonce, call.body)
        if not hmac.compare_digest((call.signature or "").encode(errors="replace"), wanted.encode()):
            return Refusal(403, "the signature is wrong")
        if not _near(call.timestamp, now.at.timestamp()):
            return Refusal(403, f"the timestamp is more than {_CLOCKS_DIFFER_S:.0f} s off; check the caller's clock")
        return self._replayed(hook, call.nonce, now.s)

    def _replayed(self, hook: Hook, nonce: str, now_s: float) -> Refusal | None:
        # Twice the tolerance: a timestamp may lie that far in the future.
        while self._nonces and next(iter(self._nonces.values())) <= now_s - 2 * _CLOCKS_DIFFER_S:
            self._nonces.popitem(last=False)
        if (hook.name, nonce) in self._nonces:
            return Refusal(403, "this nonce was used already")
        if len(self._nonces) >= _MOST_NONCES:
            return Refusal(429, "too many signed requests; try again later", int(_CLOCKS_DIFFER_S))
        self._nonces[(hook.name, nonce)] = now_s
        return None

    def _read(self, hook: Hook, body: bytes) -> Admitted | Refusal:
        if not body.strip():
            return Admitted(hook)
        try:
            value: Any = json.loads(body)
        except (ValueError, RecursionError):
            return Refusal(422, "the body is not JSON; it may be empty")
        if not isinstance(value, dict):
            return Refusal(422, "the body is not a JSON object; it may be empty")
        given = cast("dict[str, Any]", value)
        if unknown := sorted(given.keys() - {"id"}):
            return Refusal(
                422, f"{unknown[0][:_LONGEST_NAME]!r} is not a field; the hook's action is set in hems.yaml, `id` is all it takes"
            )
        return self._identified(hook, given["id"]) if "id" in given else Admitted(hook)

    def _identified(self, hook: Hook, identity: Any) -> Admitted | Refusal:
        if not isinstance(identity, str) or not 0 < len(identity) <= _LONGEST_NAME:
            return Refusal(422, "`id` is a text of 1 to 64 characters")
        repeated = (hook.name, identity) in self._ids
        return Admitted(hook, repeated)

    def done(self, hook: Hook, body: bytes) -> None:
        """The action is being done: its id, if it has one, will not act again."""
        if (identity := _identity(body)) is not None:
            self._ids[(hook.name, identity)] = None
            if len(self._ids) > _MOST_IDS:
                self._ids.popitem(last=False)

    def undone(self, hook: Hook, body: bytes) -> None:
        """The action was not done after all: its id may act later."""
        self._ids.pop((hook.name, _identity(body) or ""), None)


def _identity(body: bytes) -> str | None:
    return json.loads(body).get("id") if body.strip() else None


def _near(timestamp: str, now_s: float) -> bool:
    return timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12 and abs(int(timestamp) - now_s) <= _CLOCKS_DIFFER_S
