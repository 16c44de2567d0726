"""A home's relays as real processes on a real broker, and what their board's own log shows."""

import json
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from paho.mqtt.enums import MQTTProtocolVersion

from hems.contracts.catalog import DEMAND, RELAY, RELAY_RESULT, RELAY_SET
from hems.contracts.demand import DemandState
from hems.contracts.relays import RelayCommand, RelayResult, RelayState
from hems.contracts.topic import Root
from tests.support.broker import RealBroker
from tests.support.paho_client import PahoClient, connected
from tests.support.services import ServiceProcess, environment_of

PATIENCE_S = 20.0
ROOT = Root("relays")


@dataclass(frozen=True)
class LogLine:
    """One line of the simulated board's log."""

    monotonic_s: float
    relay: str
    level: str
    event: str


class Relays:
    """An actuator, more services where asked, and a client."""

    def __init__(self, broker: RealBroker, folder: Path, configuration: str) -> None:
        self.broker = broker
        self.folder = folder
        (folder / "hems.yaml").write_text(configuration)
        self._services: dict[str, ServiceProcess] = {}

    def start(self, service: str) -> ServiceProcess:
        """Start a service, and come back once it is connected."""
        if service not in self._services:
            environment = environment_of(service, self.broker, self.folder, ROOT.home) | {"HEMS_CONFIG": str(self.folder / "hems.yaml")}
            self._services[service] = ServiceProcess(service, environment, self.folder / f"{service}.log")
        process = self._services[service]
        before = process.log.count('"started"')
        process.start()
        self.until(lambda: self._online(service, before + 1), f"{service} is not online")
        return process

    def process(self, service: str) -> ServiceProcess:
        """A service that was started."""
        return self._services[service]

    def stop(self) -> None:
        """Stop what runs."""
        for process in self._services.values():
            process.stop()

    def client(self, stack: ExitStack) -> PahoClient:
        """A person's program that hears all."""
        client = stack.enter_context(connected(self.broker, "client", MQTTProtocolVersion.MQTTv5))
        client.subscribe(f"{ROOT}/#", 1)
        return client

    def log(self, relay: str) -> list[LogLine]:
        """What the board did with a relay."""
        path = self.folder / ROOT.home / "relays.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        found = [LogLine(line["monotonic_s"], line["relay"], line["level"], line["event"]) for line in lines]
        return [line for line in found if line.relay == relay]

    def level(self, relay: str) -> str:
        """Where the board says a relay stands."""
        return self.log(relay)[-1].level

    def until(self, holds: Callable[[], object], otherwise: str = "", patience_s: float = PATIENCE_S) -> None:
        """Wait until it holds."""
        give_up_at = time.monotonic() + patience_s
        while not holds():
            assert time.monotonic() < give_up_at, otherwise
            time.sleep(0.01)

    def until_level(self, relay: str, level: str) -> LogLine:
        """Wait until a relay stands so; the line that says it."""
        self.until(lambda: self.log(relay) and self.level(relay) == level, f"{relay} is not {level}")
        return self.log(relay)[-1]

    def _online(self, service: str, starts: int) -> bool:
        # The retained status of the run before may still say `online`: the log tells of this run's start.
        if self._services[service].log.count('"started"') < starts:
            return False
        with connected(self.broker, "client", MQTTProtocolVersion.MQTTv5) as client:
            client.subscribe(f"{ROOT}/service/{service}/status", 0)
            client.subscribe(f"{ROOT}/nothing", 0)
            return bool(client.received) and client.received[-1][1] == b"online"


def say(client: PahoClient, relay: str, command: RelayCommand | bytes) -> None:
    """Command a relay, as a local program does."""
    client.publish(RELAY_SET.at(ROOT, relay=relay), command if isinstance(command, bytes) else command.to_wire())


def results(client: PahoClient, relay: str) -> list[RelayResult]:
    """The answers so far."""
    topic = RELAY_RESULT.at(ROOT, relay=relay)
    return [RelayResult.from_wire(payload) for name, payload in client.received if name == topic]


def states(client: PahoClient, relay: str) -> list[RelayState]:
    """The states said so far."""
    topic = RELAY.at(ROOT, relay=relay)
    return [RelayState.from_wire(payload) for name, payload in client.received if name == topic]


def demands(client: PahoClient) -> list[DemandState]:
    """What was in force so far."""
    return [DemandState.from_wire(payload) for name, payload in client.received if name == DEMAND.at(ROOT)]


@contextmanager
def relays(broker: RealBroker, folder: Path, configuration: str, *services: str) -> Generator[tuple[Relays, PahoClient]]:
    """Processes that run while the context is open, and a client."""
    home = Relays(broker, folder, configuration)
    with ExitStack() as stack:
        stack.callback(home.stop)
        for service in services or ("actuator",):
            home.start(service)
        yield home, home.client(stack)
