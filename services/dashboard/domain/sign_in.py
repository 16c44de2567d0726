"""Passwords, tries and sessions. Times are seconds that never jump, handed in."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

_FORM = "scrypt"
_COST, _BLOCK, _PARALLEL, _LENGTH = 2**15, 8, 1, 32
_MOST_MEMORY_BYTES = 128 * 1024 * 1024
LONGEST_PASSWORD = 200

SESSION_S = 30 * 86_400.0
_MOST_SESSIONS = 200

_FREE_TRIES = 5
_FIRST_WAIT_S = 2.0
_LONGEST_WAIT_S = 300.0
_FORGOTTEN_AFTER_S = 900.0
_MOST_ADDRESSES = 1_000
_TRIES_A_MINUTE = 30


class UnusableHash(ValueError):
    """The configured hash is not one of ours."""


def hashed(password: str, salt: bytes) -> str:
    """A password as it may be written down: scrypt (RFC 7914), N = 2¹⁵, r = 8, p = 1."""
    key = _scrypt(password, salt, _COST, _BLOCK, _PARALLEL)
    return f"{_FORM}${_COST}${_BLOCK}${_PARALLEL}${_text(salt)}${_text(key)}"


def fits(password: str, written: str) -> bool:
    """Whether a password is the one that was hashed; takes about a tenth of a second on purpose.

    Raises:
        UnusableHash: it is not a hash of ours.
    """
    cost, block, parallel, salt, key = _read(written)
    return hmac.compare_digest(_scrypt(password[:LONGEST_PASSWORD], salt, cost, block, parallel), key)


def check_hash(written: str) -> None:
    """Look at a hash without a password.

    Raises:
        UnusableHash: it is not one of ours.
    """
    _read(written)


def _read(written: str) -> tuple[int, int, int, bytes, bytes]:
    try:
        form, cost, block, parallel, salt, key = written.split("$")
        found = int(cost), int(block), int(parallel), base64.b64decode(salt, validate=True), base64.b64decode(key, validate=True)
    except ValueError:
        raise UnusableHash("dashboard.password_hash is not a hash; make one with `hems password`") from None
    sound = form == _FORM and 2**14 <= found[0] <= 2**17 and found[0] & (found[0] - 1) == 0 and found[1] == _BLOCK and found[2] == 1
    if not sound or len(found[3]) < 8 or len(found[4]) != _LENGTH:
        raise UnusableHash("dashboard.password_hash is not a hash; make one with `hems password`")
    return found


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "replace"), salt=salt, n=cost, r=block, p=parallel, dklen=_LENGTH, maxmem=_MOST_MEMORY_BYTES
    )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@dataclass
class _Tries:
    failures: int = 0
    open_at_s: float = 0.0
    last_s: float = 0.0


@dataclass
class Tries:
    """Slows guessing down: by address after five failures, ever longer, and for all addresses together to 30 tries a minute."""

    _by_address: dict[str, _Tries] = field(default_factory=dict[str, _Tries])
    _recent_s: list[float] = field(default_factory=list[float])

    def wait_s(self, address: str, now_s: float) -> float:
        """How long until this address may try again; 0 where it may now."""
        self._recent_s = [at_s for at_s in self._recent_s if now_s - at_s < 60]
        all_s = self._recent_s[0] + 60 - now_s if len(self._recent_s) >= _TRIES_A_MINUTE else 0.0
        own = self._by_address.get(address)
        return max(all_s, own.open_at_s - now_s if own else 0.0, 0.0)

    def began(self, now_s: float) -> None:
        """A try is being looked at."""
        self._recent_s.append(now_s)

    def failed(self, address: str, now_s: float) -> None:
        """It was not the password."""
        self._forget(now_s)
        own = self._by_address.setdefault(address, _Tries())
        own.failures += 1
        own.last_s = now_s
        beyond = own.failures - _FREE_TRIES
        if beyond >= 0:
            own.open_at_s = now_s + min(_FIRST_WAIT_S * 2 ** min(beyond, 20), _LONGEST_WAIT_S)

    def succeeded(self, address: str) -> None:
        """It was."""
        self._by_address.pop(address, None)

    def _forget(self, now_s: float) -> None:
        kept = {address: own for address, own in self._by_address.items() if now_s - own.last_s < _FORGOTTEN_AFTER_S}
        while len(kept) >= _MOST_ADDRESSES:
            del kept[min(kept, key=lambda address: kept[address].last_s)]
        self._by_address = kept


class Sessions:
    """Who has signed in: hashes of their tokens, and until when. What is kept opens nothing."""

    def __init__(self, kept: Mapping[str, float] | None = None) -> None:
        self._until_s = dict(kept or {})

    def open(self, token: str, now_s: float) -> None:
        """Somebody signed in with the password."""
        self._until_s = {known: until_s for known, until_s in self._until_s.items() if until_s > now_s}
        while len(self._until_s) >= _MOST_SESSIONS:
            del self._until_s[min(self._until_s, key=lambda known: self._until_s[known])]
        self._until_s[_digest(token)] = now_s + SESSION_S

    def knows(self, token: str | None, now_s: float) -> bool:
        """Whether a token was given out, and is not too old."""
        return token is not None and self._until_s.get(_digest(token), 0.0) > now_s

    def close(self, token: str) -> None:
        """Somebody signed out."""
        self._until_s.pop(_digest(token), None)

    @property
    def kept(self) -> Mapping[str, float]:
        """What to write down."""
        return dict(self._until_s)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
