"""The page: how soon an event is seen, how soon the page is there, and what ten open pages cost.

Needs Chromium. The clock is one for the browser and for this program, since both run here; the figures hold the whole way:
broker, service, socket, browser.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Browser, sync_playwright

from bench.measuring import BenchBroker, broker, percentiles_ms, resident_mb
from hems.contracts.appliances import ApplianceEvent
from hems.contracts.catalog import APPLIANCE_EVENT, MAINS
from hems.contracts.mains import Mains
from hems.contracts.topic import Root

_EVENTS = 100
_NAMES = 30
_PAGES = 10
_READINGS = 900
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
    with broker() as (running, folder), _dashboard(running, folder) as (process, address), sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=program, args=_FLAGS)
        meter, watcher = _client(running, "sensor"), _client(running, "disaggregator")
        _first_view(chromium, address)
        _events(chromium, address, watcher)
        _open_pages(chromium, address, meter, process)
        chromium.close()
        meter.disconnect()
        watcher.disconnect()


def _first_view(chromium: Browser, address: str) -> None:
    """Each time as a new visitor: nothing is in the browser's cache."""
    times_s: list[float] = []
    for _ in range(5):
        context = chromium.new_context()
        page = context.new_page()
        began_s = time.monotonic()
        page.goto(address)
        page.wait_for_selector(".chart-live svg")
        times_s.append(time.monotonic() - began_s)
        context.close()
    print(f"first view, nothing cached          {percentiles_ms(times_s)}")


def _events(chromium: Browser, address: str, watcher: Client) -> None:
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
    print(f"event announced → seen in the page  {percentiles_ms(delays_s)}")


def _open_pages(chromium: Browser, address: str, meter: Client, process: "subprocess.Popen[bytes]") -> None:
    """An hour of a meter that speaks every four seconds, as fast as the pages take it."""
    before_mb = resident_mb(process.pid)
    pages = [chromium.new_page() for _ in range(_PAGES)]
    for page in pages:
        page.goto(address)
        page.wait_for_selector(".chart-live svg")
    began, opened_mb = datetime.now(UTC) - timedelta(hours=1), resident_mb(process.pid)
    for number in range(_READINGS):
        reading = Mains(measured_at=began + timedelta(seconds=4 * number), power_w=300 + number % 97 * 20, quality="estimated")
        meter.publish(MAINS.at(_ROOT), reading.to_wire(), qos=1, retain=True)
        time.sleep(0.05)
    time.sleep(2)
    after_mb = resident_mb(process.pid)
    print(f"memory: service {before_mb:.0f} MB, {_PAGES} pages open {opened_mb:.0f} MB, after an hour of readings {after_mb:.0f} MB")


@contextlib.contextmanager
def _dashboard(running: BenchBroker, folder: Path) -> "Generator[tuple[subprocess.Popen[bytes], str]]":
    log = folder / "dashboard.log"
    environment = {
        **os.environ, "HEMS_CONFIG": "", "HEMS_BROKER__HOST": running.host, "HEMS_BROKER__PORT": str(running.port),
        "HEMS_BROKER__PASSWORD": running.password("dashboard"), "HEMS_STORAGE__DIRECTORY": str(folder / "state"),
        "HEMS_DASHBOARD__PORT": "0", "HEMS_LOG_FORMAT": "console",
    }  # fmt: skip
    began_s = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "services.dashboard"], env=environment, stdout=file, stderr=file)
    try:
        while "the page is at " not in log.read_text():
            time.sleep(0.02)
        print(f"start until the page is served      {(time.monotonic() - began_s) * 1e3:.0f} ms")
        yield process, log.read_text().split("the page is at ")[1].split()[0]
    finally:
        process.terminate()
        process.wait()


def _client(running: BenchBroker, user: str) -> Any:
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(user, running.password(user))
    client.connect(running.host, running.port)
    client.loop_start()
    return client
