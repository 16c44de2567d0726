"""What an actor's world looks like: inputs that it declares, and the bus that carries messages.

`mqtt_bus` is the real one; `hems.testing.memory_bus` passes the same tests.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from hems.contracts.payload import Payload
from hems.contracts.topic import Qos, Topic

P = TypeVar("P", bound=Payload)


class Disconnected(Exception):
    """There is no connection to the broker, or it broke: what was being said may or may not have arrived."""


class Refused(Exception):
    """The broker refused a publication: it will not carry it, however often it is said."""


class SessionTaken(Exception):
    """Another client with this identity connected: two instances of one service run."""


class TryAgain(Exception):
    """Raised by a handler for a passing reason: the connection is made anew, and a durable input's message comes again."""


@dataclass(frozen=True)
class Received(Generic[P]):
    """A message that follows its contract.

    Attributes:
        parameters: the topic's levels in braces, and `home`.
        retained: it is the broker's copy of the newest, not news.
        arrived_at: domain time, UTC.
    """

    payload: P
    parameters: Mapping[str, str]
    retained: bool
    arrived_at: datetime


@dataclass(frozen=True)
class Input(Generic[P]):
    """What an actor listens to.

    Attributes:
        handle: takes one message at a time; the message is acknowledged when it returns.
        durable: the broker queues while the service is away; otherwise only what is said meanwhile counts.
        fixed: topic parameters to narrow the subscription.
        malformed: told of what breaks the contract (topic parameters, reason, whether it was retained), besides the count and the log.
        together: as many handlers as the session's window wait at once, so that one commit can serve them all. They begin
            in the order in which the messages came, and are acknowledged in that order.
        in_turn: where False, each is acknowledged when it returns, so that one that waits holds no other up. MQTT asks for
            the order; brokers don't.
        unread: takes what breaks the contract as it came (topic parameters, the message, reason), where an answer is due.
        as_published: a message that its publisher asked to retain says so also when it comes live (on MQTT 5).
        qos: what to subscribe with; None is the topic's own.
    """

    topic: Topic[P]
    handle: Callable[[Received[P]], Awaitable[None]]
    durable: bool = False
    fixed: Mapping[str, str] = field(default_factory=dict[str, str])
    malformed: Callable[[Mapping[str, str], str, bool], Awaitable[None]] | None = None
    together: bool = False
    in_turn: bool = True
    as_published: bool = False
    qos: Qos | None = None
    unread: "Callable[[Mapping[str, str], Delivery, str], Awaitable[None]] | None" = None


class Actor(Protocol):
    """A service: typed inputs and outputs, private state, and tasks of its own."""

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """What it listens to."""
        ...

    @property
    def outputs(self) -> Sequence[Topic[Any]]:
        """What it may say."""
        ...

    async def run(self) -> None:
        """Its own tasks; it ends by being cancelled."""
        ...


@dataclass(frozen=True)
class Delivery:
    """A message as it came, not yet read. `acknowledge` lets the broker forget it."""

    topic: str
    payload: bytes
    retained: bool
    acknowledge: Callable[[], None]


@dataclass(frozen=True)
class Will:
    """What the broker says when the connection breaks; retained."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Session:
    """Who connects.

    Attributes:
        durable: the broker queues while this client is away (3.1.1: for as long as the broker pleases).
        window: how many messages may be unacknowledged in either direction. On 3.1.1 a client can't ask for less, nor for
            more: what comes is bounded by the broker's own setting.
    """

    client_id: str
    durable: bool = False
    will: Will | None = None
    window: int = 20


class Bus(Protocol):
    """One connection to a broker."""

    @property
    def session_present(self) -> bool:
        """The broker remembered this session: its subscriptions and queue stand."""
        ...

    async def subscribe(self, topic_filter: str, qos: Qos, *, as_published: bool = False) -> None:
        """Ask for the messages that match; `as_published` keeps the publisher's retain flag on what comes live (MQTT 5).

        Raises:
            Disconnected: the connection broke.
        """
        ...

    async def publish(self, topic: str, payload: bytes, *, qos: Qos, retain: bool) -> None:
        """Say something. With QoS 1, returns when the broker has acknowledged it.

        Raises:
            Disconnected: the connection broke, or no answer came; it may have arrived.
            Refused: the broker will not carry it.
        """
        ...

    def deliveries(self) -> AsyncIterator[Delivery]:
        """What comes, in order, until the connection ends.

        Raises:
            Disconnected: the connection broke.
            SessionTaken: another client took this identity.
        """
        ...


class Broker(Protocol):
    """Something to connect to."""

    def connect(self, session: Session) -> AbstractAsyncContextManager[Bus]:
        """Connect once.

        Raises:
            Disconnected: no broker answered, or it refused the credentials.
        """
        ...
