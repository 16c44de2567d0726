"""What the bridge may do at home: switch a relay, ask for less, mute."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal
from uuid import uuid4

from hems.actor.context import Context
from hems.contracts.alerts import NotifyMute
from hems.contracts.catalog import DEMAND_EVENT, NOTIFY_MUTE, RELAY_SET_BY
from hems.contracts.demand import DemandEvent
from hems.contracts.relays import RelayCommand, RelayResult
from services.bridge_adafruit.domain.hooks import Action, AskForLess, Mute, Refusal, SwitchRelay
from services.bridge_adafruit.domain.mirror import COMMAND_HOLDS_S

_ANSWER_WITHIN_S = 3.0
_NOT_CONNECTED = Refusal(503, "the home's broker can't be reached; try again later", 10)

By = Literal["adafruit", "webhook"]


class Hands:
    """Says commands; they are never kept for later: what can't be said now is not done."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[str, asyncio.Future[RelayResult]] = {}

    @property
    def connected(self) -> bool:
        """Whether the home can be reached now."""
        return self._context.connected

    async def switch(self, switching: SwitchRelay, by: By, identity: str) -> None:
        """Ask the actuator to switch; its answer comes as a result with this id."""
        now = self._context.clock.now()
        expires = now + timedelta(seconds=COMMAND_HOLDS_S * max(self._context.clock.rate, 1))
        command = RelayCommand(state=switching.state, id=identity, issued_at=now, expires_at=expires, for_s=switching.for_s)
        await self._context.say(RELAY_SET_BY, command, relay=switching.relay, source=by)
        self._context.health.work("commands")

    async def do(self, action: Action, by: By) -> Refusal | Mapping[str, object]:
        """Do a hook's action: what to say of it, or why not."""
        if not self.connected:
            return _NOT_CONNECTED
        if isinstance(action, SwitchRelay):
            return await self._switch_and_wait(action, by)
        await self._say(action, by)
        # The connection may have broken under it, and then it was not said.
        return {"done": True} if self.connected else _NOT_CONNECTED

    def take(self, result: RelayResult) -> None:
        """An answer of the actuator, to whoever waits for it."""
        waiting = self._waiting.get(result.id or "")
        if waiting is not None and not waiting.done():
            waiting.set_result(result)

    async def _switch_and_wait(self, switching: SwitchRelay, by: By) -> Refusal | Mapping[str, object]:
        identity = uuid4().hex
        answered = self._waiting[identity] = asyncio.get_running_loop().create_future()
        try:
            await self.switch(switching, by, identity)
            await asyncio.wait((answered,), timeout=_ANSWER_WITHIN_S)
        finally:
            del self._waiting[identity]
        if not answered.done():
            return {"done": False, "note": "it was asked for; the relay has not answered yet"}
        result = answered.result()
        return {"done": True} if result.accepted else Refusal(409, result.reason or "the relay refused")

    async def _say(self, action: AskForLess | Mute, by: By) -> None:
        now, identity = self._context.clock.now(), uuid4().hex
        until = now + timedelta(seconds=action.for_s)
        if isinstance(action, Mute):
            await self._context.say(NOTIFY_MUTE, NotifyMute(id=identity, until=until))
        else:
            event = DemandEvent(id=identity, level=action.level, starts_at=now, ends_at=until, source=by)
            await self._context.say(DEMAND_EVENT, event)
