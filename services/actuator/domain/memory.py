"""What a relay must know after a restart."""

from hems.contracts.payload import Moment, Payload, Seconds
from hems.contracts.relays import Level, Source

MOST_IDS = 512


class Memory(Payload):
    """Counters and times of one relay, as the journal keeps them.

    `boot` names the run of the machine in which the monotonic times were taken: in another one, they are shifted so
    that the last one is now, as if no time had passed, which never allows a switch too early.
    """

    boot: str
    saved_s: float
    level: Level
    changed_s: float
    switched_s: tuple[float, ...] = ()
    away_used_s: Seconds = 0.0
    newest_issued: dict[Source, Moment] = {}
    next_slot: int = 0

    def in_boot(self, boot: str, now_s: float) -> "Memory":
        """The same, in this run's monotonic time."""
        if boot == self.boot and now_s >= self.saved_s:
            return self
        shift_s = now_s - self.saved_s
        return self.model_copy(
            update={
                "boot": boot,
                "saved_s": now_s,
                "changed_s": self.changed_s + shift_s,
                "switched_s": tuple(at_s + shift_s for at_s in self.switched_s),
            }
        )


class RecentIds:
    """The newest ids that were accepted, in a ring: the slot says where the journal keeps each."""

    def __init__(self, slots: dict[int, str] | None = None, next_slot: int = 0) -> None:
        self._slots = dict(slots or {})
        self._known = {known: slot for slot, known in self._slots.items()}
        self.next_slot = next_slot % MOST_IDS

    def __contains__(self, command_id: str) -> bool:
        return command_id in self._known

    def add(self, command_id: str) -> int:
        """Remember one, in place of the oldest; returns its slot."""
        slot, self.next_slot = self.next_slot, (self.next_slot + 1) % MOST_IDS
        if slot in self._slots:
            self._known.pop(self._slots[slot], None)
        self._slots[slot] = command_id
        self._known[command_id] = slot
        return slot

    def forget(self, command_id: str) -> None:
        """It was not done after all."""
        slot = self._known.pop(command_id, None)
        if slot is not None:
            del self._slots[slot]
