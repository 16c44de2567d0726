"""openleadr's own OpenADR server on the loopback, in a thread of its own, which a test may stop and start again."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from openleadr import OpenADRServer, hooks  # pyright: ignore[reportMissingTypeStubs]

from tests.support.broker import free_port

_Server: Any = OpenADRServer
_hooks: Any = hooks
_POLL = timedelta(seconds=1)
T = TypeVar("T")

WARNINGS = ("ignore:It is recommended to use web.AppKey",)
"""What the server does that its libraries warn of."""


@dataclass(frozen=True)
class Answer:
    """What a household says of an event."""

    event: str
    modification: int
    opt: str


@dataclass
class Vtn:
    """A server, and what it has heard over all its starts.

    Attributes:
        options: for OpenADRServer, such as certificates.
        registrations: the names of who registered.
        heard: each message's type.
        samples: what was reported, by time, W.
    """

    options: dict[str, Any] = field(default_factory=dict[str, Any])
    port: int = field(default_factory=free_port)
    registrations: list[str] = field(default_factory=list[str])
    offers: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    answers: list[Answer] = field(default_factory=list[Answer])
    heard: list[str] = field(default_factory=list[str])
    samples: list[tuple[datetime, float]] = field(default_factory=list[tuple[datetime, float]])
    fingerprint: str | None = None
    _server: Any = None
    _known: dict[str, str] = field(default_factory=dict[str, str])
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    @property
    def url(self) -> str:
        """Where households reach it."""
        return f"http{'s' if 'http_cert' in self.options else ''}://127.0.0.1:{self.port}/OpenADR2/Simple/2.0b"

    def start(self) -> None:
        """Start it; it knows nobody, and asks for nothing."""
        self._await(self._start())

    def stop(self) -> None:
        """As if its computer had been switched off: nobody listens, and what it knew is gone."""
        self._await(self._server.stop())
        self._known.clear()

    def ask(self, event_id: str, *levels: float, starts_in_s: float = 0, lasts_s: float = 3_600, signal: str = "SIMPLE") -> None:
        """Ask all who are registered for these levels, one after the other, each so long."""
        intervals = _intervals(levels, starts_in_s, lasts_s)
        kind = "level" if signal == "SIMPLE" else "price"
        for ven_id in list(self._known):
            self._call(lambda ven_id=ven_id: self._server.add_event(ven_id, signal, kind, intervals, event_id=event_id, callback=_ignore))

    def change(self, event_id: str, *levels: float, lasts_s: float = 3_600) -> None:
        """Ask for something else by an event that was asked for before."""
        self._call(lambda: self._change(event_id, _intervals(levels, 0, lasts_s)))

    def cancel(self, event_id: str) -> None:
        """Take an event back."""
        self._call(lambda: [self._server.cancel_event(ven_id, event_id) for ven_id in self._known])

    def answer_to(self, event_id: str, modification: int = 0) -> str | None:
        """The newest answer, optIn or optOut."""
        found = [answer.opt for answer in self.answers if (answer.event, answer.modification) == (event_id, modification)]
        return found[-1] if found else None

    def _change(self, event_id: str, intervals: Sequence[dict[str, Any]]) -> None:
        for ven_id, events in self._server.events.items():
            for event in events:
                if event.event_descriptor.event_id == event_id:
                    event.event_signals[0].intervals = intervals
                    event.event_descriptor.modification_number += 1
            self._server.events_updated[ven_id] = True

    async def _start(self) -> None:
        self._server = _Server("hems_vtn", http_port=self.port, requested_poll_freq=_POLL, ven_lookup=self._lookup, **self.options)
        self._server.add_handler("on_create_party_registration", self._register)
        self._server.add_handler("on_register_report", self._want)
        await self._server.run()

    def _lookup(self, ven_id: str) -> dict[str, Any] | None:
        name = self._known.get(ven_id)
        return {"ven_id": ven_id, "ven_name": name, "registration_id": f"r-{name}", "fingerprint": self.fingerprint} if name else None

    async def _register(self, registration: dict[str, Any]) -> tuple[str, str]:
        name: str = registration["ven_name"]
        self._known[f"v-{name}"] = name
        self.registrations.append(name)
        return f"v-{name}", f"r-{name}"

    async def _want(
        self, ven_id: str, resource_id: str, measurement: str, unit: str, scale: str,
        min_sampling_interval: timedelta, max_sampling_interval: timedelta,
    ) -> tuple[Any, timedelta, timedelta]:  # fmt: skip
        assert ven_id in self._known
        assert min_sampling_interval <= _POLL <= max_sampling_interval
        assert scale == "none"
        self.offers.append((resource_id, measurement, unit))
        return self._report, timedelta(seconds=1), timedelta(seconds=1)

    async def _report(self, samples: list[tuple[datetime, float]]) -> None:
        self.samples.extend(samples)

    async def listen(self, kind: str, message: dict[str, Any]) -> None:
        """A message has come."""
        self.heard.append(kind)
        for response in message.get("event_responses") or () if kind == "oadrCreatedEvent" else ():
            self.answers.append(Answer(str(response["event_id"]), response["modification_number"], response["opt_type"]))

    def serve(self) -> None:
        """The thread."""
        self._loop.run_forever()
        self._loop.close()

    def close(self) -> None:
        """Stop it for good."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _call(self, work: Callable[[], T]) -> T:
        async def itself() -> T:
            return work()

        return self._await(itself())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


def _ignore(ven_id: str, event_id: str, opt_type: str) -> None:
    """The server wants somebody to tell of the first answer; `Vtn.answers` has all."""


def _intervals(levels: Sequence[float], starts_in_s: float, lasts_s: float) -> list[dict[str, Any]]:
    begins, each = datetime.now(UTC) + timedelta(seconds=starts_in_s), timedelta(seconds=lasts_s)
    return [{"dtstart": begins + number * each, "duration": each, "signal_payload": level} for number, level in enumerate(levels)]


@contextmanager
def running_vtn(**options: Any) -> Generator[Vtn]:
    """A server that runs until the end."""
    vtn = Vtn(options)
    thread = threading.Thread(target=vtn.serve, daemon=True)
    thread.start()
    _hooks.HOOKS["before_handle"].append(vtn.listen)
    try:
        vtn.start()
        yield vtn
        vtn.stop()
    finally:
        _hooks.HOOKS["before_handle"].remove(vtn.listen)
        vtn.close()
        thread.join(10)
