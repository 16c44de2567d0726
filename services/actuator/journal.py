"""What the relays must know after a restart, in the service's own store."""

from dataclasses import dataclass
from datetime import datetime

import structlog

from hems.actor.context import Context
from hems.actor.logs import Log
from hems.actor.store import NotAccepted
from hems.contracts.catalog import RELAY_RESULT
from hems.contracts.payload import MalformedPayload
from hems.contracts.relays import RelayResult
from services.actuator.domain.memory import MOST_IDS, Memory, RecentIds

_TIME = "newest_time"


@dataclass(frozen=True)
class Record:
    """One relay's memory, what is new in it, and the answer that is committed with it."""

    relay: str
    memory: Memory
    wall: datetime
    new_id: tuple[int, str] | None = None
    answer: RelayResult | None = None


class Journal:
    """Ids, counts and times, each commit with the answer that it belongs to."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._log: Log = structlog.get_logger()

    def newest_time(self) -> datetime | None:
        """The newest time that was written down."""
        kept = self._context.store.get(_TIME)
        return datetime.fromisoformat(kept.decode()) if kept else None

    def recall(self, relay: str) -> tuple[Memory | None, RecentIds]:
        """What was written of a relay; nothing where it was never switched."""
        kept = self._context.store.get(f"relay/{relay}")
        try:
            memory = Memory.from_wire(kept) if kept else None
        except MalformedPayload as error:
            self._log.error("the journal of a relay can't be read; it begins anew", relay=relay, reason=str(error))
            memory = None
        slots = {slot: value.decode() for slot in range(MOST_IDS) if (value := self._context.store.get(_id_key(relay, slot)))}
        return memory, RecentIds(slots, memory.next_slot if memory else 0)

    def write(self, record: Record, *, durable: bool) -> None:
        """Commit a record; `durable` survives a power cut.

        Raises:
            hems.actor.store.NotAccepted: the disk could not take it.
        """
        with self._context.store.transaction(durable=durable) as transaction:
            transaction.put(f"relay/{record.relay}", record.memory.to_wire())
            transaction.put(_TIME, record.wall.isoformat().encode())
            if record.new_id is not None:
                slot, command_id = record.new_id
                transaction.put(_id_key(record.relay, slot), command_id.encode())
            if record.answer is not None:
                transaction.accept(RELAY_RESULT, record.answer, message_id=f"{record.relay}-{record.memory.saved_s}", relay=record.relay)

    def keep_answer(self, relay: str, result: RelayResult, message_id: str) -> bool:
        """Commit an answer alone; False where the disk could not take it."""
        try:
            with self._context.store.transaction(durable=False) as transaction:
                transaction.accept(RELAY_RESULT, result, message_id=message_id, relay=relay)
        except NotAccepted:
            return False
        return True

    def write_time(self, wall: datetime) -> None:
        """Commit the time alone.

        Raises:
            hems.actor.store.NotAccepted: the disk could not take it.
        """
        with self._context.store.transaction(durable=False) as transaction:
            transaction.put(_TIME, wall.isoformat().encode())


def _id_key(relay: str, slot: int) -> str:
    return f"relay/{relay}/id/{slot}"
