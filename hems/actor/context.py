"""What an actor is given: the clock, its health, its store, and a way to speak."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from hems.actor.clock import Clock
from hems.actor.health import Health
from hems.actor.store import Store
from hems.actor.store import Transaction as StoreTransaction
from hems.contracts.payload import Payload
from hems.contracts.topic import Qos, Root, Topic

P = TypeVar("P", bound=Payload)


class Speaker(Protocol):
    """The live connection, or nothing while there is none."""

    @property
    def connected(self) -> bool:
        """Whether there is one now."""
        ...

    async def say(self, topic: str, payload: bytes, *, qos: Qos, retain: bool) -> None:
        """Say now; lost while there is no connection, save what is retained."""
        ...


class NotDeclared(RuntimeError):
    """An actor said a topic that is not among its outputs: a bug."""


class Transaction:
    """Publications and states that are committed together, or not at all."""

    def __init__(self, context: "Context", transaction: StoreTransaction) -> None:
        self._context = context
        self._transaction = transaction

    def accept(self, topic: Topic[P], payload: P, *, message_id: str, **parameters: str) -> None:
        """Add a publication that must not be lost.

        Raises:
            hems.actor.store.TooLarge: the broker would refuse it.
        """
        name = self._context.declared(topic, parameters)
        self._transaction.accept(name, payload.to_wire(), message_id=message_id, retain=topic.retain)

    def put(self, key: str, value: bytes) -> None:
        """Keep a state under a key."""
        self._transaction.put(key, value)

    def delete(self, key: str) -> None:
        """Forget a state."""
        self._transaction.delete(key)


class DurableState:
    """A service's own memory that survives it."""

    def __init__(self, context: "Context", store: Store) -> None:
        self._context = context
        self._store = store

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Generator[Transaction]:
        """Commit all or nothing. `durable` survives a power cut (alerts, counters); otherwise the last seconds may go.

        Await nothing inside: there is one transaction at a time.

        Raises:
            hems.actor.store.NotAccepted: the disk could not take it.
        """
        with self._store.transaction(durable=durable) as transaction:
            yield Transaction(self._context, transaction)

    def get(self, key: str) -> bytes | None:
        """The state kept under a key."""
        return self._store.get(key)


class Context:
    """An actor's surroundings."""

    def __init__(self, *, root: Root, clock: Clock, health: Health, store: Store, speaker: Speaker) -> None:
        self.root = root
        self.clock = clock
        self.health = health
        self.outputs: Sequence[Topic[Any]] = ()
        self._store = store
        self._speaker = speaker

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the broker now."""
        return self._speaker.connected

    @property
    def store(self) -> DurableState:
        """The durable state, with its outbox."""
        return DurableState(self, self._store)

    async def say(self, topic: Topic[P], payload: P, **parameters: str) -> None:
        """Say what may be lost while the broker is away; what is retained is said again when it is back.

        Raises:
            hems.actor.store.TooLarge: the broker would refuse it.
        """
        await self._speaker.say(self.declared(topic, parameters), payload.to_wire(), qos=topic.qos, retain=topic.retain)

    def accept(self, topic: Topic[P], payload: P, *, message_id: str, durable: bool = False, **parameters: str) -> None:
        """Commit one publication to the outbox; it is then said until the broker has it.

        Raises:
            hems.actor.store.NotAccepted: the disk could not take it.
        """
        with self.store.transaction(durable=durable) as transaction:
            transaction.accept(topic, payload, message_id=message_id, **parameters)

    def declared(self, topic: Topic[Any], parameters: Mapping[str, str]) -> str:
        """The name of a topic that this actor may say.

        Raises:
            NotDeclared: it is not among the outputs.
            ValueError: the parameters are not the topic's.
        """
        if topic not in self.outputs:
            raise NotDeclared(f"{topic.pattern} is not among this actor's outputs")
        return topic.at(self.root, **parameters)
