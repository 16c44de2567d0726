"""The home as containers of docker-compose.yml: a person's home with a meter in /dev, on a network that this run looks after."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.caretaker import cleared_up
from tests.chaos.home import BROKER, KEEP_SAID_S, ROOT, SERVICES, ChaosHome
from tests.chaos.in_processes import moved_clock
from tests.chaos.meter import Meter
from tests.chaos.page import PageVisitor
from tests.chaos.proxy import Proxy
from tests.support.containers import Containers, docker
from tests.support.twilio_server import AUTH_TOKEN, running_twilio

PROJECT = "hems-chaos"
METER = Path("/dev/hems-chaos-meter")
_NETWORK = f"{PROJECT}_inside"
_LABEL = f"--filter label=com.docker.compose.project={PROJECT}"
_STARTED_WITHIN_S = 180.0
CLEAR_UP = (
    f"docker ps --all --quiet {_LABEL} | xargs -r docker rm --force --volumes >/dev/null",
    f"docker volume ls --quiet {_LABEL} | xargs -r docker volume rm >/dev/null",
    f"docker network ls --quiet {_LABEL} | xargs -r docker network rm >/dev/null",
)


class InContainers(ChaosHome):
    """Each service is a container; what ends is started again by the engine. Needs root, for the meter in /dev and the small disk."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._override = directory / "chaos.yml"
        self._compose = Containers(PROJECT, "home", {"HEMS_CONFIG_FOLDER": str(directory / "config")}, [str(self._override)])
        self.meter = Meter(METER)
        self._said: list[str] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator["InContainers"]:
        """Start all; nothing is left afterwards, whatever ends this."""
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(cleared_up(*CLEAR_UP, f"umount --lazy '{self.state}' 2>/dev/null; rm -f {METER}"))
            stack.enter_context(self.small_disk())
            (self.directory / "prepared").mkdir()
            self._override.write_text(yaml.safe_dump(self._on_our_disk()))
            stack.callback(self._compose.down)
            await asyncio.to_thread(self._compose.compose, "build", "--quiet")
            # Only the networks are wanted yet: the proxy and Twilio's stand-in listen on one of them.
            await asyncio.to_thread(self._compose.compose, "up", "--no-start", "--no-deps", BROKER)
            here = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", _NETWORK).strip()
            self._twilio = await stack.enter_async_context(running_twilio(here))
            self.proxy = Proxy(here, self.broker_address)
            await stack.enter_async_context(self.proxy)
            self._write_home()
            await stack.enter_async_context(self.metered())
            await asyncio.to_thread(self._compose.compose, "up", "--detach")
            await stack.enter_async_context(self.witnessing())
            self.page = PageVisitor(f"http://127.0.0.1:{self._compose.page_port}", self._page_password())
            stack.push_async_callback(self.page.leave)
            await self.starting(_STARTED_WITHIN_S)
            yield self

    @property
    def broker_address(self) -> tuple[str, int]:
        """Where it is published, past the proxy."""
        return "127.0.0.1", self._compose.broker_port

    def password(self, user: str) -> str:
        """As the set-up has made it."""
        return (self.directory / "prepared/secrets" / user / "HEMS_BROKER__PASSWORD").read_text()

    def file(self, service: str, name: str) -> Path:
        """Each has a folder of its own."""
        return self.state / service / ROOT.home / name

    async def kill(self, name: str) -> None:
        """Its program, so that it is the engine that brings the container back."""
        self.kills += 1
        process = self._compose.program(name)
        if process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    async def revive(self, name: str) -> None:
        """The engine does."""

    async def restart(self, name: str) -> None:
        """As docker-compose restarts it."""
        await asyncio.to_thread(self._compose.compose, "restart", "--timeout", "5", name)

    async def freeze(self, name: str) -> None:
        """Pause all of its container."""
        await self._try("pause", self._compose.identity(name))

    async def thaw(self, name: str) -> None:
        """Let its container go on."""
        await self._try("unpause", self._compose.identity(name))

    async def jump(self, name: str, by_s: float) -> None:
        """Its container is made anew, with the time set in its environment."""
        self._said.append(self._log_of(name))
        moved = self.directory / "moved.yml"
        moved.write_text(yaml.safe_dump({"services": {name: {"environment": moved_clock(by_s)}}}))
        files = [str(moved)] if by_s else []
        await asyncio.to_thread(self._compose.compose, "up", "--detach", "--no-deps", name, files=files)

    async def isolate(self, name: str, seconds: float) -> bool:
        """Unplug its container from the network that leads to the broker."""
        identity = self._compose.identity(name)
        await self._try("network", "disconnect", _NETWORK, identity)
        await asyncio.sleep(seconds)
        await self._try("network", "connect", _NETWORK, identity)
        return True

    async def all_work(self) -> bool:
        """Every container is healthy."""
        return all(self._compose.health(name) == "healthy" for name in (BROKER, *SERVICES))

    def log(self) -> str:
        """Of all containers, those included that are gone."""
        return "\n".join((*self._said, self._compose.logs()))

    async def _try(self, *command: str) -> None:
        """What the engine refuses, such as to pause a container that has just ended, is a fault less."""
        process = await asyncio.create_subprocess_exec("docker", *command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await process.wait()

    def _log_of(self, name: str) -> str:
        done = subprocess.run(["docker", "logs", self._compose.identity(name)], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def _page_password(self) -> str:
        found = re.search(r"The page's password, shown this once: (\S+)", self._log_of("setup"))
        assert found, "the set-up printed no password"
        return found[1]

    def _on_our_disk(self) -> dict[str, Any]:
        """The volumes, where this run can look into them and fill them."""
        folders = {"state": self.state, "prepared": self.directory / "prepared"}
        return {"volumes": {name: {"driver_opts": {"type": "none", "o": "bind", "device": str(path)}} for name, path in folders.items()}}

    def _write_home(self) -> None:
        host, port = self.proxy.address
        (self.directory / "config/secrets").mkdir(parents=True)
        (self.directory / "config/hems.yaml").write_text(self.configuration())
        (self.directory / "config/secrets/HEMS_NOTIFIER__TWILIO__AUTH_TOKEN").write_text(AUTH_TOKEN)
        common = {"HEMS_BROKER__HOST": host, "HEMS_BROKER__PORT": str(port), "HEMS_STORAGE__KEEP_SAID_S": str(KEEP_SAID_S)}
        services: dict[str, Any] = {name: {"environment": dict(common)} for name in SERVICES}
        services["sensor"]["environment"]["HEMS_SENSOR__METER__PORT"] = str(METER)
        services["sensor"]["volumes"] = ["/dev:/dev:ro"]  # as docker-compose.pi.yml has it
        self._override.write_text(yaml.safe_dump(self._on_our_disk() | {"services": services}))
