"""A broker in memory that behaves as the real one does: sessions, queues, wills, retained messages, refusals."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field

from hems.actor.bus import Bus, Delivery, Disconnected, Refused, Session, SessionTaken
from hems.contracts.topic import Qos

_UPTIME = "$SYS/broker/uptime"
"""Mosquitto's own; here it has always run for a day, unless a test says otherwise."""


@dataclass
class _Message:
    topic: str
    payload: bytes
    qos: int
    retained: bool = False


@dataclass
class _Subscriber:
    """A session at the broker: it outlives its connection where it is durable."""

    session: Session
    filters: dict[str, int] = field(default_factory=dict[str, int])
    as_published: set[str] = field(default_factory=set[str])
    queue: deque[_Message] = field(default_factory=deque[_Message])
    unacknowledged: dict[int, _Message] = field(default_factory=dict[int, _Message])
    connection: "MemoryBus | None" = None

    def offer(self, message: _Message) -> None:
        if self.connection is not None or (message.qos and self.session.durable):
            self.queue.append(message)
            self.wake()

    def wake(self) -> None:
        if self.connection is not None:
            self.connection.arrived.set()


class MemoryBroker:
    """Connect to it as to a real one.

    Attributes:
        refuses: says which topics it refuses to carry, as an access list would.
        published: all that was said, in order: topic and payload.
    """

    def __init__(self) -> None:
        self.refuses: Callable[[str], bool] = lambda topic: False
        self.published: list[tuple[str, bytes]] = []
        self._up = True
        self._retained = {_UPTIME: _Message(_UPTIME, b"86400 seconds", 0, retained=True)}
        self._subscribers: dict[str, _Subscriber] = {}

    def kill(self, *, forget_sessions: bool = False) -> None:
        """As `kill -9`: every connection breaks and no will is said; nobody can connect until `start`."""
        self._up = False
        for subscriber in list(self._subscribers.values()):
            if subscriber.connection is not None:
                self._break(subscriber.connection)
        if forget_sessions:
            self._subscribers.clear()

    def start(self) -> None:
        """Take connections again."""
        self._up = True

    @contextlib.asynccontextmanager
    async def connect(self, session: Session) -> AsyncGenerator[Bus]:
        """Connect once."""
        if not self._up:
            raise Disconnected("memory: nobody answers")
        bus = self._attached(session)
        try:
            yield bus
        finally:
            self._detach(bus, graceful=not bus.broken.is_set())

    def retained(self, topic: str) -> bytes | None:
        """The newest that is kept of a topic."""
        message = self._retained.get(topic)
        return message.payload if message else None

    def say(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        """Somebody else says something."""
        if retain:
            self._keep(_Message(topic, payload, qos, retained=True))
        self.published.append((topic, payload))
        for subscriber in self._subscribers.values():
            granted = {topic_filter: granted for topic_filter, granted in subscriber.filters.items() if matches(topic_filter, topic)}
            if granted:
                retained = retain and bool(granted.keys() & subscriber.as_published)
                subscriber.offer(_Message(topic, payload, min(qos, max(granted.values())), retained))

    def subscribe(self, subscriber: "MemoryBus", topic_filter: str, qos: int, *, as_published: bool) -> None:
        """Add a filter to a session, and hand it what is retained."""
        entry = subscriber.subscriber
        entry.filters[topic_filter] = qos
        if as_published:
            entry.as_published.add(topic_filter)
        entry.queue.extend(message for topic, message in self._retained.items() if matches(topic_filter, topic))
        entry.wake()

    def _keep(self, message: _Message) -> None:
        if message.payload:
            self._retained[message.topic] = message
        else:
            self._retained.pop(message.topic, None)

    def _attached(self, session: Session) -> "MemoryBus":
        known = self._subscribers.get(session.client_id)
        if known is not None and known.connection is not None:
            known.connection.taken = True
            known.connection.broken.set()
            self._say_will(known.session)
        present = known is not None and session.durable and known.session.durable
        subscriber = known if known is not None and present else _Subscriber(session)
        subscriber.session = session
        subscriber.queue.extendleft(reversed(subscriber.unacknowledged.values()))
        subscriber.unacknowledged.clear()
        subscriber.connection = MemoryBus(self, subscriber, session_present=present)
        self._subscribers[session.client_id] = subscriber
        return subscriber.connection

    def _detach(self, bus: "MemoryBus", *, graceful: bool) -> None:
        if self._break(bus) and not graceful:
            self._say_will(bus.subscriber.session)

    def _break(self, bus: "MemoryBus") -> bool:
        bus.broken.set()
        subscriber = bus.subscriber
        if subscriber.connection is not bus:
            return False
        subscriber.connection = None
        if not subscriber.session.durable:
            self._subscribers.pop(subscriber.session.client_id, None)
        return True

    def _say_will(self, session: Session) -> None:
        if session.will is not None:
            self.say(session.will.topic, session.will.payload, retain=True)


class MemoryBus:
    """One connection to a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, subscriber: _Subscriber, *, session_present: bool) -> None:
        self.subscriber = subscriber
        self.arrived = asyncio.Event()
        self.broken = asyncio.Event()
        self.taken = False
        self._broker = broker
        self._session_present = session_present
        self._next_id = 0

    @property
    def session_present(self) -> bool:
        """The broker remembered this session."""
        return self._session_present

    async def subscribe(self, topic_filter: str, qos: Qos, *, as_published: bool = False) -> None:
        """Subscribe."""
        await self._round_trip()
        self._broker.subscribe(self, topic_filter, qos, as_published=as_published)

    async def publish(self, topic: str, payload: bytes, *, qos: Qos, retain: bool) -> None:
        """Say something; other tasks run before the answer comes, as they do on a network."""
        await self._round_trip()
        if self._broker.refuses(topic):
            if qos:
                raise Refused(f"{topic}: Not authorized")
            return
        self._broker.say(topic, payload, qos=qos, retain=retain)

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """The messages as they come; twenty unacknowledged ones at most."""
        breaking = asyncio.ensure_future(self.broken.wait())
        try:
            while not self.broken.is_set():
                self.arrived.clear()
                if self.subscriber.queue and len(self.subscriber.unacknowledged) < self.subscriber.session.window:
                    yield self._delivery(self.subscriber.queue.popleft())
                    continue
                arriving = asyncio.ensure_future(self.arrived.wait())
                await asyncio.wait((arriving, breaking), return_when=asyncio.FIRST_COMPLETED)
                arriving.cancel()
        finally:
            breaking.cancel()
        raise SessionTaken("another client connected with this identity") if self.taken else Disconnected("memory: the connection broke")

    def _delivery(self, message: _Message) -> Delivery:
        if not message.qos:
            return Delivery(message.topic, message.payload, message.retained, lambda: None)
        self._next_id += 1
        number, waiting = self._next_id, self.subscriber.unacknowledged
        waiting[number] = message

        def acknowledge() -> None:
            if not self.broken.is_set():
                waiting.pop(number, None)
                self.arrived.set()

        return Delivery(message.topic, message.payload, message.retained, acknowledge)

    async def _round_trip(self) -> None:
        await asyncio.sleep(0)
        if self.broken.is_set():
            raise Disconnected("memory: the connection broke")


def matches(topic_filter: str, topic: str) -> bool:
    """MQTT's rule: `+` is one level, `#` the rest, and neither covers topics that begin with `$`."""
    if topic.startswith("$") != topic_filter.startswith("$"):
        return False
    wanted, levels = topic_filter.split("/"), topic.split("/")
    for place, want in enumerate(wanted):
        if want == "#":
            return True
        if place >= len(levels) or want not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)
