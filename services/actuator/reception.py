"""Where commands come in: what returns to safety is done at once, what leaves it queues."""

from services.actuator.domain.admission import Request
from services.actuator.domain.inbox import Inbox, Waiting
from services.actuator.switchboard import Switchboard


class Reception:
    """Hands commands to the switchboard; every one is answered."""

    def __init__(self, switchboard: Switchboard, inbox: Inbox) -> None:
        self._switchboard = switchboard
        self._inbox = inbox

    @property
    def busy(self) -> bool:
        """Whether a command waits."""
        return len(self._inbox) > 0

    def take(self, name: str, request: Request) -> None:
        """A command has come."""
        relay = self._switchboard.relays.get(name)
        if relay is None:
            known = ", ".join(self._switchboard.relays) or "none; name some in hems.yaml, section actuator"
            self._switchboard.refuse(name, request.source, request.command.id, f"there is no relay {name!r}; there are: {known}")
        elif relay.leaves_safety(request):
            if not self._inbox.offer(Waiting(name, request)):
                self._drop(Waiting(name, request), "too many commands are waiting")
        elif self._switchboard.follow(name, request):
            for entry in self._inbox.overtake(name):
                self._drop(entry, "overtaken by a later command toward the safe state")

    def work_off(self) -> None:
        """Do the command that has waited longest."""
        entry = self._inbox.take()
        if entry is not None:
            self._switchboard.follow(entry.relay, entry.request)

    def _drop(self, entry: Waiting, reason: str) -> None:
        self._switchboard.refuse(entry.relay, entry.request.source, entry.request.command.id, reason)
