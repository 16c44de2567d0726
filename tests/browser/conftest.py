"""The demo with all that the page shows, and a browser that looks at it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

_SERVICES = ("sensor", "disaggregator", "actuator", "recorder", "dashboard")
_PATIENCE_S = 90.0
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip

# A service that lost its broker tries again after up to 5 s, and two busy cores start a broker slowly.
expect.set_options(timeout=30_000)


@dataclass
class Demo:
    """A running `hems up --demo`."""

    directory: Path
    process: "subprocess.Popen[bytes]"

    @property
    def log(self) -> str:
        """What its services have said."""
        return (self.directory / "log").read_text(errors="replace")

    @property
    def address(self) -> str:
        """Where the page is."""
        said = next(line for line in self.log.splitlines() if '"the page is at' in line)
        event: str = json.loads(said[said.index("{") :])["event"]
        return event.removeprefix("the page is at ")

    @property
    def mqtt_port(self) -> int:
        """The broker's."""
        account = dict(line.split("=", 1) for line in (self.directory / "mqtt.env").read_text().splitlines())
        return int(account["MQTT_PORT"])

    def password(self, user: str) -> str:
        """A broker user's."""
        return (self.directory / "demo/secrets" / user).read_text()

    def kill_broker(self) -> None:
        """As `kill -9`; it starts again by itself."""
        mark = str(self.directory / "demo/broker/mosquitto.conf").encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and mark in _command(entry):
                os.kill(int(entry.name), signal.SIGKILL)


def _command(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Generator[Demo]:
    """The recorded home, played twenty times as fast."""
    with running_demo(tmp_path_factory.mktemp("demo")) as running:
        yield running


@contextmanager
def running_demo(directory: Path, services: Sequence[str] = _SERVICES, settings: Mapping[str, str] | None = None) -> Generator[Demo]:
    """A demo of these services; `settings` are variables of the environment."""
    command = [sys.executable, "-m", "services.cli", "up", "--demo", "--no-watch", "--directory", str(directory)]
    command += ["--port", str(_free_port()), "--page-port", str(_free_port())]
    environment = {**os.environ, "HEMS_SUPERVISOR__SERVICES": json.dumps(services), "HEMS_LOG_FORMAT": "json", **(settings or {})}
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    running = Demo(directory, process)
    try:
        give_up_at = time.monotonic() + _PATIENCE_S
        while "the page is at" not in running.log:
            assert process.poll() is None, running.log
            assert time.monotonic() < give_up_at, running.log
            time.sleep(0.1)
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


@pytest.fixture(scope="session")
def browser() -> Generator[Browser]:
    """Debian's Chromium, without a window."""
    program = next(path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name)))
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=program, args=_FLAGS)
        yield chromium
        chromium.close()


@dataclass
class Look:
    """An open page, and what it did wrong."""

    page: Page
    faults: list[str] = field(default_factory=list[str])


Opener = Callable[..., Look]


@pytest.fixture
def look(browser: Browser, demo: Demo) -> Generator[Opener]:
    """Opens pages; at the end there must have been no error in the console, and no request to anywhere else."""
    opened: list[Look] = []

    def open_page(path: str = "/", *, width: int = 1_400, scheme: str = "light") -> Look:
        height = {390: 844, 820: 1_180}.get(width, 900)
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light")
        page.set_default_timeout(30_000)
        found = Look(page)
        page.on("console", lambda message: found.faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: found.faults.append(str(error)))
        page.on("request", lambda request: _note_foreign(found, request.url, demo.address))
        page.goto(demo.address + path)
        page.wait_for_selector("main")
        opened.append(found)
        return found

    yield open_page
    faults = [fault for one in opened for fault in one.faults]
    for one in opened:
        one.page.close()
    assert faults == []


def _note_foreign(found: Look, url: str, address: str) -> None:
    own = (address, address.replace("http", "ws", 1), "data:", "blob:")
    if not url.startswith(own):
        found.faults.append(f"a request left for {url}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
