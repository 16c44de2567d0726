"""Runs one service: reads its settings, connects it, keeps it connected, and stops it cleanly."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import structlog

from hems.actor.bus import Actor, Broker, Bus, Input, Session, SessionTaken, Will
from hems.actor.clock import Clock, SimulatedClock, WallClock
from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.connection import Connection, WhileConnected
from hems.actor.context import Context
from hems.actor.failures import leaves
from hems.actor.health import Health
from hems.actor.logs import Log, configure_logs
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.postman import Postman
from hems.actor.presence import Presence
from hems.actor.restarts import Restarts
from hems.actor.settings import BrokerSettings, ClockSettings, HomeSettings, Section, StorageSettings
from hems.actor.store import Store
from hems.actor.vital_signs import VitalSigns
from hems.actor.watchdog import Watchdog
from hems.contracts.catalog import SERVICE_HEALTH, SERVICE_STATUS
from hems.contracts.health import ServiceStatus
from hems.contracts.topic import Root

S = TypeVar("S", bound=Section)
Build = Callable[[S, Context], Actor]

EXIT_BUG = 1
EXIT_CONFIGURATION = 78
"""`EX_CONFIG` of sysexits: a restart alone does not help."""

_ERROR_SHOWN_S = 3.0
_LEAVING_S = 0.3


@dataclass(frozen=True)
class Surroundings:
    """What every service shares of the configuration."""

    home: HomeSettings
    broker: BrokerSettings
    storage: StorageSettings
    clock: ClockSettings

    @classmethod
    def of(cls, configuration: Configuration, service: str) -> "Surroundings":
        """The general sections; the service's own name is its broker user unless set.

        Raises:
            ConfigurationError: with the mistakes of the first section that has some.
        """
        broker = configuration.section(BrokerSettings)
        return cls(
            home=configuration.section(HomeSettings),
            broker=broker if broker.username else broker.model_copy(update={"username": service}),
            storage=configuration.section(StorageSettings),
            clock=configuration.section(ClockSettings),
        )

    @property
    def root(self) -> Root:
        """Where the home's topics stand."""
        return Root(self.home.id, self.broker.prefix)

    @property
    def folder(self) -> Path:
        """Where the home's services keep their files."""
        return self.storage.directory / self.home.id

    def new_clock(self) -> Clock:
        """The wall clock, or the simulated one that all processes share."""
        settings = self.clock
        return WallClock() if settings.epoch is None else SimulatedClock(settings.epoch, settings.anchor_s, settings.rate)


Unable = Callable[[S, Surroundings], None]


def run_service(service: str, settings_class: type[S], build: Build[S], *, unable: Unable[S] | None = None) -> NoReturn:
    """Run until SIGTERM or SIGINT, then exit 0; 78 on a mistake in the configuration, 1 on a bug, 70 where it hangs.

    Args:
        service: the service's name, in topics and as its broker user.
        settings_class: its section.
        build: assembles the actor; an actor that is an async context manager is entered before anything is
            subscribed and left after the last message.
        unable: called before the exit where the service's own file can't be opened, so that nothing was built.
    """
    configure_logs(service)
    sys.exit(asyncio.run(_run_and_leave(service, settings_class, build, unable, structlog.get_logger())))


async def _run_and_leave(service: str, settings_class: type[S], build: Build[S], unable: Unable[S] | None, log: Log) -> int:
    alive = asyncio.create_task(Watchdog(log).be_alive())
    status = await _run(service, settings_class, build, unable, log)
    alive.cancel()
    # A thread that still looks a name up, or connects, can't be stopped, and would be waited for.
    impatience = threading.Timer(_LEAVING_S, os._exit, (status,))
    impatience.daemon = True
    impatience.start()
    return status


async def _run(service: str, settings_class: type[S], build: Build[S], unable: Unable[S] | None, log: Log) -> int:
    stop = _stop_signal()
    try:
        configuration = Configuration.load()
        surroundings = Surroundings.of(configuration, service)
    except ConfigurationError as error:
        log.error("the configuration has mistakes", mistakes=str(error))
        return EXIT_CONFIGURATION
    try:
        settings = configuration.section(settings_class)
    except ConfigurationError as error:
        log.error("the configuration has mistakes", mistakes=str(error))
        await _either(asyncio.ensure_future(_show_mistakes(service, surroundings, str(error))), stop)
        return EXIT_CONFIGURATION
    give_up = (lambda: unable(settings, surroundings)) if unable is not None else lambda: None
    serving = asyncio.ensure_future(_serve_settings(service, surroundings, lambda context: build(settings, context), give_up, log))
    return await _until(serving, stop, log)


async def _until(serving: "asyncio.Future[None]", stop: asyncio.Event, log: Log) -> int:
    outcome = await _either(serving, stop)
    if outcome is None or isinstance(outcome, asyncio.CancelledError):
        log.info("stopped")
        return 0
    return _exit_status(outcome, log)


async def _either(work: "asyncio.Future[None]", stop: asyncio.Event) -> BaseException | None:
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    work.cancel()
    (outcome,) = await asyncio.gather(work, return_exceptions=True)
    return outcome


def _exit_status(failure: BaseException, log: Log) -> int:
    mistakes = [leaf for leaf in leaves(failure) if isinstance(leaf, ConfigurationError)]
    if mistakes:
        log.error("the configuration has mistakes", mistakes="; ".join(map(str, mistakes)))
        return EXIT_CONFIGURATION
    if any(isinstance(leaf, sqlite3.OperationalError) for leaf in leaves(failure)):
        log.error("the service's files can't be used; free some disk space, and it starts again", error=str(failure))
    elif any(isinstance(leaf, SessionTaken) for leaf in leaves(failure)):
        log.error("another instance of this service is connected for this home; stop one of them")
    else:
        log.error("a bug stopped the service; the supervisor starts it again", exc_info=failure)
    return EXIT_BUG


async def _serve_settings(
    service: str, surroundings: Surroundings, build: Callable[[Context], Actor], give_up: Callable[[], None], log: Log
) -> None:
    storage = surroundings.storage
    with contextlib.ExitStack() as stack:
        try:
            path = surroundings.folder / f"{service}.db"
            store = stack.enter_context(Store(path, log, most_rows=storage.outbox_rows, keep_said_s=storage.keep_said_s))
        except (sqlite3.Error, OSError):
            give_up()
            raise
        broker, clock = MqttBroker(surroundings.broker), surroundings.new_clock()
        await serve(service, build, broker=broker, root=surroundings.root, clock=clock, store=store, log=log)


async def serve(
    service: str, build: Callable[[Context], Actor], *, broker: Broker, root: Root, clock: Clock, store: Store, log: Log
) -> None:
    """Run one actor on a broker until cancelled; tests call this with fakes.

    Raises:
        BaseExceptionGroup: the actor's own exceptions: bugs.
    """
    health = Health(clock.now())
    postman = Postman(service, root, clock, health, store, log)
    presence = Presence(service, root, clock, health, store, log)
    restarts = Restarts(service, root, clock, health, store, log)
    context = Context(root=root, clock=clock, health=health, store=store, speaker=postman)
    actor = build(context)
    context.outputs, inputs = actor.outputs, actor.inputs
    connect = _Connector(service, broker, root, clock, health, log)
    async with contextlib.AsyncExitStack() as stack:
        if isinstance(actor, AbstractAsyncContextManager):
            await stack.enter_async_context(actor)
        async with asyncio.TaskGroup() as tasks:
            live = (presence.attend, postman.speak, restarts.watch, _after(restarts.until_judged, postman.deliver), presence.report)
            tasks.create_task(connect.live((*restarts.inputs, *inputs), live).keep())
            if any(entry.durable for entry in inputs):
                tasks.create_task(connect.durable(inputs, (restarts.ask_again,)).keep())
            tasks.create_task(store.keep_tidy())
            tasks.create_task(VitalSigns(health, lambda: postman.connected, os.environ).show())
            tasks.create_task(actor.run())
            log.info("started", home=root.home)


def _after(first: WhileConnected, then: WhileConnected) -> WhileConnected:
    async def in_turn(bus: Bus) -> None:
        await first(bus)
        await then(bus)

    return in_turn


@dataclass(frozen=True)
class _Connector:
    service: str
    broker: Broker
    root: Root
    clock: Clock
    health: Health
    log: Log

    def live(self, inputs: Sequence[Input[Any]], work: Sequence[WhileConnected]) -> Connection:
        """The connection for what only counts now, and for speaking."""
        session = Session(_client_id(self.root, self.service), will=_will(self.service, self.root))
        return self._connection(session, [entry for entry in inputs if not entry.durable], work)

    def durable(self, inputs: Sequence[Input[Any]], work: Sequence[WhileConnected]) -> Connection:
        """The connection that the broker queues for while the service is away."""
        session = Session(f"{_client_id(self.root, self.service)}-durable", durable=True)
        return self._connection(session, [entry for entry in inputs if entry.durable], work)

    def _connection(self, session: Session, inputs: Sequence[Input[Any]], work: Sequence[WhileConnected]) -> Connection:
        return Connection(self.broker, session, inputs, work, root=self.root, clock=self.clock, health=self.health, log=self.log)


def _client_id(root: Root, service: str) -> str:
    return f"{root.prefix}-{root.home}-{service}"


def _will(service: str, root: Root) -> Will:
    return Will(SERVICE_STATUS.at(root, service=service), ServiceStatus(online=False).to_wire())


async def _show_mistakes(service: str, surroundings: Surroundings, mistakes: str) -> None:
    """Put the mistakes where people look: into the retained health message."""
    health = Health(surroundings.new_clock().now())
    health.configuration_error = mistakes[:2_000]
    session = Session(_client_id(surroundings.root, service), will=_will(service, surroundings.root))
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_ERROR_SHOWN_S), MqttBroker(surroundings.broker).connect(session) as bus:
            report = health.report(surroundings.new_clock().now(), 0)
            await bus.publish(SERVICE_HEALTH.at(surroundings.root, service=service), report.to_wire(), qos=1, retain=True)
            await bus.publish(SERVICE_STATUS.at(surroundings.root, service=service), b"offline", qos=1, retain=True)


def _stop_signal() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
