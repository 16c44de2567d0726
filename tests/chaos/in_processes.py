"""The home as processes on this computer, on a real Mosquitto."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

from tests.chaos.caretaker import cleared_up
from tests.chaos.home import BROKER, KEEP_SAID_S, ROOT, SERVICES, ChaosHome
from tests.chaos.meter import Meter
from tests.chaos.page import PageVisitor
from tests.chaos.proxy import Proxy
from tests.support.broker import RealBroker, free_port
from tests.support.services import ServiceProcess, environment_of
from tests.support.twilio_server import AUTH_TOKEN, running_twilio

_STARTED_WITHIN_S = 180.0


class Processes(ChaosHome):
    """Each service is a process; what ends is started again by the run."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._broker = RealBroker(directory / "broker")
        self.proxy = Proxy("127.0.0.1", (self._broker.host, self._broker.port))
        self.meter = Meter(directory / "meter")
        self._page_port = free_port()
        self.page = PageVisitor(f"http://127.0.0.1:{self._page_port}")
        self._processes: dict[str, ServiceProcess] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator["Processes"]:
        """Start all; nothing is left afterwards, whatever ends this."""
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(cleared_up(f"umount --lazy '{self.state}' 2>/dev/null"))
            stack.enter_context(self.small_disk())
            self._twilio = await stack.enter_async_context(running_twilio())
            self._broker.start()
            stack.callback(self._broker.stop)
            await stack.enter_async_context(self.proxy)
            await stack.enter_async_context(self.witnessing())
            (self.directory / "hems.yaml").write_text(self.configuration())
            self._processes = {name: self._process(name) for name in SERVICES}
            stack.push_async_callback(self.page.leave)
            stack.callback(self._end)
            await stack.enter_async_context(self.metered())
            for process in self._processes.values():
                process.start()
            await self.starting(_STARTED_WITHIN_S)
            yield self

    @property
    def broker_address(self) -> tuple[str, int]:
        """Past the proxy."""
        return self._broker.host, self._broker.port

    def password(self, user: str) -> str:
        """As the test's broker has it."""
        return self._broker.password(user)

    def file(self, service: str, name: str) -> Path:
        """All keep theirs in one folder."""
        return self.state / ROOT.home / name

    async def kill(self, name: str) -> None:
        """`kill -9`."""
        self.kills += 1
        if name == BROKER:
            self._broker.kill()
        else:
            self._processes[name].kill()

    async def revive(self, name: str) -> None:
        """Start what has ended."""
        if name == BROKER:
            self._broker.start()
        elif self._processes[name].ended:
            self._processes[name].start()

    async def restart(self, name: str) -> None:
        """SIGTERM, and a start."""
        await asyncio.to_thread(self._processes[name].stop)
        self._processes[name].start()

    async def freeze(self, name: str) -> None:
        """SIGSTOP."""
        self._signal(name, signal.SIGSTOP)

    async def thaw(self, name: str) -> None:
        """SIGCONT."""
        self._signal(name, signal.SIGCONT)

    async def jump(self, name: str, by_s: float) -> None:
        """The time is set in its environment."""
        self._processes[name].kill()
        self._processes[name] = self._process(name, by_s)
        self._processes[name].start()

    async def all_work(self) -> bool:
        """None has ended."""
        return not any(process.ended for process in self._processes.values())

    def log(self) -> str:
        """Of all starts."""
        return "\n".join(process.log for process in self._processes.values())

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self._broker.process.pid if name == BROKER else self._processes[name].pid
        with contextlib.suppress(ProcessLookupError):  # one that has just ended takes none
            os.kill(pid, number)

    def _end(self) -> None:
        for process in self._processes.values():
            process.kill()

    def _process(self, name: str, wrong_by_s: float = 0.0) -> ServiceProcess:
        host, port = self.proxy.address
        environment = environment_of(name, self._broker, self.state, ROOT.home) | {
            "HEMS_CONFIG": str(self.directory / "hems.yaml"),
            "HEMS_BROKER__HOST": host,
            "HEMS_BROKER__PORT": str(port),
            "HEMS_STORAGE__KEEP_SAID_S": str(KEEP_SAID_S),
        }
        if name == "sensor":
            environment["HEMS_SENSOR__METER__PORT"] = str(self.directory / "meter")
        if name == "notifier":
            environment["HEMS_NOTIFIER__TWILIO__AUTH_TOKEN"] = AUTH_TOKEN
        if name == "dashboard":
            environment["HEMS_DASHBOARD__PORT"] = str(self._page_port)
        if wrong_by_s:
            environment |= moved_clock(wrong_by_s)
        return ServiceProcess(name, environment, self.directory / f"{name}.log")


def moved_clock(by_s: float) -> dict[str, str]:
    """The settings under which a service's time of day is wrong by so much."""
    at = datetime.fromtimestamp(datetime.now(UTC).timestamp() + by_s, UTC)
    return {"HEMS_CLOCK__EPOCH": at.isoformat(), "HEMS_CLOCK__ANCHOR_S": str(time.monotonic())}
