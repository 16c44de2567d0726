"""The page on a year of history: how soon it is there, how soon an event is seen, what ten open pages cost in the demo's hour.

Needs Chromium. The clock is one for the browser and for this program, since both run here; the figures hold the whole way:
broker, service, socket, browser.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Browser, sync_playwright

from bench import a_year
from bench.measuring import BenchBroker, broker, percentiles_ms, resident_mb
from hems.contracts.appliances import ApplianceEvent
from hems.contracts.catalog import APPLIANCE_EVENT
from hems.contracts.topic import Root

_EVENTS = 100
_NAMES = 30
_PAGES = 10
_SPEED = 20
_ROOT = Root("home")
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]

_WATCH = """() => {
  window.seen = {};
  new MutationObserver(() => document.querySelectorAll('.run').forEach(run => { window.seen[run.dataset.appliance] ??= Date.now(); }))
    .observe(document.querySelector('.runs'), {childList: true, subtree: true});
}"""


def main() -> None:
    """Measure, and print."""
    program = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if program is None:
        print("no Chromium here: the page is not measured")
        return
    with broker() as (running, folder), _recorder(running, folder), _dashboard(running, folder) as address, _browser(program) as chromium:
        _warm(chromium, address)
        _first_view(chromium, address, "the page Now", "")
        _first_view(chromium, address, "a year's bars", "/history")
        _events(chromium, address, running)
    with _demo() as (address, dashboard), _browser(program) as chromium:
        _hour_with_pages(chromium, address, dashboard)


@contextlib.contextmanager
def _browser(program: str) -> Generator[Browser]:
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=program, args=_FLAGS)
        yield chromium
        chromium.close()


def _warm(chromium: Browser, address: str) -> None:
    """Until the recorder has told what yesterday used by now, and today's carbon."""
    page = chromium.new_page()
    page.goto(address)
    page.get_by_text("yesterday by now").first.wait_for()
    page.close()


def _first_view(chromium: Browser, address: str, what: str, path: str) -> None:
    """Each time as a new visitor: nothing is in the browser's cache."""
    times_s: list[float] = []
    for _ in range(5):
        context = chromium.new_context()
        page = context.new_page()
        began_s = time.monotonic()
        page.goto(address + path)
        if path:
            page.get_by_role("button", name="Year", exact=True).click()
            page.locator("h1", has_text=re.compile(r"^\d{4}$")).wait_for()
        page.wait_for_selector("svg text" if path else ".chart-live svg")
        times_s.append(time.monotonic() - began_s)
        context.close()
    print(f"first view of {what:<13}         {percentiles_ms(times_s)}")


def _events(chromium: Browser, address: str, running: BenchBroker) -> None:
    watcher = _client(running, "disaggregator")
    page = chromium.new_page()
    page.goto(address)
    page.wait_for_selector(".chart-live svg")
    delays_s: list[float] = []
    for number in range(_EVENTS):
        page.evaluate(_WATCH)
        now, name = datetime.now(UTC), f"bench{number % _NAMES}"
        event = ApplianceEvent(id=f"{number}", kind="started", at=now, announced_at=now, confidence=1)
        sent_ms = time.time() * 1_000
        watcher.publish(APPLIANCE_EVENT.at(_ROOT, appliance=name), event.to_wire(), qos=1)
        page.wait_for_function(f"window.seen['{name}'] !== undefined")
        delays_s.append((page.evaluate(f"window.seen['{name}']") - sent_ms) / 1_000)
        over = datetime.now(UTC)
        event = ApplianceEvent(id=f"{number}-over", kind="finished", at=over, announced_at=over, confidence=1)
        watcher.publish(APPLIANCE_EVENT.at(_ROOT, appliance=name), event.to_wire(), qos=1)
        time.sleep(0.37)
    page.close()
    watcher.disconnect()
    print(f"event announced → seen in the page  {percentiles_ms(delays_s)}")


@contextlib.contextmanager
def _demo() -> Generator[tuple[str, int]]:
    """The recorded home with all services, twenty times as fast: where its page is, and who serves it."""
    with tempfile.TemporaryDirectory() as name:
        log = Path(name) / "log"
        command = [sys.executable, "-m", "services.cli", "up", "--demo", "--no-watch", "--speed", str(_SPEED), "--directory", name]
        with log.open("wb") as file:
            process = subprocess.Popen(
                [*command, "--port", "28883", "--page-port", "28080"], stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        try:
            yield _served(log), _child(process.pid, "services.dashboard")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()


def _hour_with_pages(chromium: Browser, address: str, dashboard: int) -> None:
    """An hour of the demo, with ten pages open all the time."""
    before_mb = resident_mb(dashboard)
    pages = [chromium.new_page() for _ in range(_PAGES)]
    for page in pages:
        page.goto(address)
        page.wait_for_selector(".chart-live svg")
    seen_mb, began_s = [resident_mb(dashboard)], time.monotonic()
    while time.monotonic() - began_s < 3_600 / _SPEED:
        time.sleep(3)
        seen_mb.append(resident_mb(dashboard))
    figures = ", ".join(f"{seen_mb[round(part * (len(seen_mb) - 1) / 4)]:.0f}" for part in range(5))
    print(
        f"memory of the page's service        {before_mb:.0f} MB before; with {_PAGES} pages, each quarter of the demo's hour: {figures} MB"
    )


def _served(log: Path) -> str:
    while "the page is at " not in log.read_text():
        time.sleep(0.05)
    return log.read_text().split("the page is at ")[1].split()[0].rstrip('",')


def _child(parent: int, module: str) -> int:
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if status.read_text().rsplit(")", 1)[1].split()[1] == str(parent) and module in (status.parent / "cmdline").read_text():
                return int(status.parent.name)
    raise RuntimeError(f"there is no {module}")


@contextlib.contextmanager
def _recorder(running: BenchBroker, folder: Path) -> Generator[None]:
    history = folder / "state/home/history.db"
    history.parent.mkdir(parents=True)
    began_s = time.monotonic()
    a_year.write(f"sqlite:///{history}")
    a_year.write_carbon(folder / "carbon.csv")
    print(f"a year of history written           {time.monotonic() - began_s:.0f} s, {history.stat().st_size / 1e6:.0f} MB")
    environment = _environment(running, folder, "recorder") | {
        "HEMS_RECORDER__TARIFF": json.dumps(a_year.TARIFF), "HEMS_RECORDER__CARBON": json.dumps({"file": str(folder / "carbon.csv")}),
    }  # fmt: skip
    with (folder / "recorder.log").open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "services.recorder"], env=environment, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _dashboard(running: BenchBroker, folder: Path) -> Generator[str]:
    log = folder / "dashboard.log"
    environment = _environment(running, folder, "dashboard") | {"HEMS_DASHBOARD__PORT": "0"}
    began_s = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "services.dashboard"], env=environment, stdout=file, stderr=file)
    try:
        address = _served(log)
        print(f"start until the page is served      {(time.monotonic() - began_s) * 1e3:.0f} ms")
        yield address
    finally:
        process.terminate()
        process.wait()


def _environment(running: BenchBroker, folder: Path, user: str) -> dict[str, str]:
    return {
        **os.environ, "HEMS_CONFIG": "", "HEMS_BROKER__HOST": running.host, "HEMS_BROKER__PORT": str(running.port),
        "HEMS_BROKER__PASSWORD": running.password(user), "HEMS_STORAGE__DIRECTORY": str(folder / "state"), "HEMS_LOG_FORMAT": "console",
    }  # fmt: skip


def _client(running: BenchBroker, user: str) -> Any:
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(user, running.password(user))
    client.connect(running.host, running.port)
    client.loop_start()
    return client
