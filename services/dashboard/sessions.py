"""Sessions that outlive a restart, so that a tablet on the wall stays signed in."""

import asyncio
import json
import secrets

from hems.actor.context import Context
from hems.actor.store import NotAccepted
from services.dashboard.domain.sign_in import Sessions, Tries, fits

_KEY = "sessions"


class TooManyTries(Exception):
    """The address has to wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"{wait_s:.0f} s")
        self.wait_s = wait_s


class SessionBook:
    """Signs people in, and knows them again. Only hashes of tokens are kept."""

    def __init__(self, context: Context, password_hash: str) -> None:
        self._context = context
        self._hash = password_hash
        self._tries = Tries()
        self._sessions = Sessions()
        self._one_at_a_time = asyncio.Lock()

    def load(self) -> None:
        """Know again who signed in before."""
        self._sessions = Sessions(json.loads(self._context.store.get(_KEY) or b"{}"))

    def knows(self, token: str | None) -> bool:
        """Whether a token opens the page."""
        return self._sessions.knows(token, self._now_s())

    async def sign_in(self, password: str, address: str) -> str | None:
        """A new session's token; None where it is not the password.

        Raises:
            TooManyTries: nothing was looked at.
        """
        async with self._one_at_a_time:  # hashing takes 32 MB: guesses must not fill the memory
            wait_s = self._tries.wait_s(address, self._monotonic_s())
            if wait_s > 0:
                self._context.health.error("slowed_sign_ins")
                raise TooManyTries(wait_s)
            self._tries.began(self._monotonic_s())
            if not await asyncio.to_thread(fits, password, self._hash):
                self._tries.failed(address, self._monotonic_s())
                self._context.health.error("failed_sign_ins")
                return None
        self._tries.succeeded(address)
        token = secrets.token_urlsafe(32)
        self._sessions.open(token, self._now_s())
        self._keep()
        return token

    def sign_out(self, token: str) -> None:
        """Forget a session."""
        self._sessions.close(token)
        self._keep()

    def _keep(self) -> None:
        try:
            with self._context.store.transaction(durable=False) as transaction:
                transaction.put(_KEY, json.dumps(dict(self._sessions.kept)).encode())
        except NotAccepted:
            self._context.health.error("sessions_not_kept")

    def _now_s(self) -> float:
        return self._context.clock.now().timestamp()

    def _monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()
