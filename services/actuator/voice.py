"""What the actuator says: states and answers, behind the switching and never in its way."""

import asyncio
from collections import deque

from hems.actor.context import Context
from hems.contracts.catalog import RELAY, RELAY_RESULT
from hems.contracts.relays import RelayResult, RelayState

_MOST_ANSWERS = 10_000


class Voice:
    """The newest state of each relay, and the answers in order. A frozen broker holds them up, and no switch."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._states: dict[str, RelayState] = {}
        self._said: dict[str, RelayState] = {}
        self._answers: deque[tuple[str, RelayResult]] = deque()
        self._more = asyncio.Event()

    def state(self, relay: str, state: RelayState) -> None:
        """Say a relay's state, if it is news."""
        if self._said.get(relay) != state:
            self._said[relay] = self._states[relay] = state
            self._more.set()

    def answer(self, relay: str, result: RelayResult) -> None:
        """Answer a command. Of a flood that the broker does not take, the oldest answers go."""
        if len(self._answers) >= _MOST_ANSWERS:
            self._answers.popleft()
            self._context.health.error("answers_dropped")
        self._answers.append((relay, result))
        self._more.set()

    async def speak(self) -> None:
        """Say all of it, until cancelled."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._states or self._answers:
                await self._next()

    async def _next(self) -> None:
        if self._states:
            relay = next(iter(self._states))
            await self._context.say(RELAY, self._states.pop(relay), relay=relay)
        else:
            relay, result = self._answers.popleft()
            await self._context.say(RELAY_RESULT, result, relay=relay)
