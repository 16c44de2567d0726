"""The page in a real browser, while the recorded home is played."""

import csv
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Page, expect

from hems.contracts.appliances import ApplianceState
from tests.browser.conftest import Demo, Opener

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

PATHS = ("/", "/history", "/appliances", "/home")
WIDTHS = (390, 820, 1_400)
_WIDEST = max(WIDTHS)
PICTURES = Path(__file__).parents[2] / ".cache" / "screenshots"

CUT_OFF = "[...document.querySelectorAll('.table-frame, .heat-frame')].some((frame) => frame.scrollWidth > frame.clientWidth + 1)"

LIBRARYS_OWN: dict[str, str] = {}
"""Rules of axe that the component library breaks in markup of its own, each with the reason. There are none now."""


def settled(page: Page) -> None:
    """Wait until what is asked of the recorder is drawn."""
    expect(page.locator(".status-line")).to_have_text("") if page.locator(".status-line").count() else None
    if page.locator(".signature").count():
        expect(page.locator(".signature svg path").first).to_be_attached()
    page.wait_for_timeout(400)


def test_the_power_moves_and_a_band_appears(look: Opener) -> None:
    """What a newcomer sees within a minute: figures that live, and an appliance by its name."""
    page = look().page
    figure = page.locator(".power-figure")
    expect(figure).to_have_text(re.compile(r"\d"))
    first = figure.inner_text()
    expect(figure).not_to_have_text(first)
    expect(page.locator(".run").first).to_be_visible(timeout=120_000)
    name = page.locator(".run > span:nth-child(2)").first.inner_text()
    expect(page.locator(".chart-live svg text", has_text=name).first).to_be_attached()
    expect(page.locator(".demo")).to_be_visible()
    expect(page.get_by_text("yesterday by now").first).to_be_visible()


def test_a_relay_is_switched_and_confirmed(look: Opener, demo: Demo) -> None:
    """By mouse and by keyboard; the broker then holds the state."""
    page = look().page
    row = page.locator('[data-relay="bulb"]')
    switch = row.get_by_role("switch")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.click()
    expect(row.locator(".said")).to_have_attribute("data-outcome", "confirmed")
    expect(switch).to_have_attribute("aria-checked", "true")
    assert b'"state":"ON"' in retained(demo, "hems/home/relay/bulb")
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_have_attribute("aria-checked", "false")
    expect(row.locator(".said")).to_have_attribute("data-outcome", "confirmed")


def test_history_is_read_zoomed_and_taken_away(look: Opener, tmp_path: Path) -> None:
    """Bars, a closer look at the power, and files that parse."""
    page = look("/history").page
    settled(page)
    detail = page.locator("section", has_text="Power in detail").last
    chart = detail.locator(".chart")
    chart.scroll_into_view_if_needed()
    chart.hover()
    for _ in range(4):
        page.mouse.wheel(0, -240)
    expect(detail.locator("[role=status]")).to_have_text(re.compile("Showing"))
    rows = downloaded(page, detail, tmp_path)
    assert {"at", "mean_w", "min_w", "max_w"} <= set(rows[0])
    assert all(float(row["min_w"]) <= float(row["mean_w"]) <= float(row["max_w"]) for row in rows)
    bars = downloaded(page, page.locator("section", has_text="Energy by hour").last, tmp_path)
    assert len(bars) == 24
    assert sum(float(row["energy_kwh"]) for row in bars) > 0
    for period in ("Week", "Month", "Year"):
        page.get_by_role("button", name=period, exact=True).click()
        settled(page)
        expect(page.locator(".heat td").nth(30)).to_be_attached()
        assert not page.evaluate(CUT_OFF), period
    page.get_by_role("button", name="Cost", exact=True).click()
    page.get_by_role("button", name="Earlier").click()
    expect(page.locator(".status-line")).to_have_text(re.compile("Nothing was recorded"))


def test_an_appliance_has_its_figures_and_its_signature_and_a_label_is_noted(look: Opener) -> None:
    """What a run takes, what a month costs, a picture of the last run; one press, and the page says that the label was taken."""
    page = look("/appliances").page
    settled(page)
    kettle = page.locator('[data-appliance="kettle"]')
    expect(kettle.locator("dd").first).to_have_text(re.compile(r"min · \d+\.\d+ kWh"))
    expect(kettle.locator("dd").last).to_have_text(re.compile(r"£\d+\.\d\d · "))
    expect(kettle.get_by_role("img", name=re.compile("Signature"))).to_be_visible()
    card = page.locator(".appliance").first
    card.get_by_role("button", name=re.compile("That was wrong")).click()
    expect(card.locator(".said")).to_have_text(re.compile("Noted"))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_and_is_accessible(look: Opener, width: int, scheme: str) -> None:
    """On a phone, a tablet and a wall: nothing sticks out, and axe finds no serious fault. Screenshots are kept."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text()
    for path in PATHS:
        page = look(path, width=width, scheme=scheme).page
        settled(page)
        page.screenshot(path=PICTURES / f"page-{path.strip('/') or 'now'}-{width}-{scheme}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} sticks out at {width} px"
        assert not page.evaluate(CUT_OFF), f"a part of {path} has to be scrolled sideways at {width} px"
        if scheme == "dark" and width != _WIDEST:
            continue  # the colours are judged at one size
        page.evaluate(axe)
        found: Any = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical") and one["id"] not in LIBRARYS_OWN]
        assert serious == [], [(path, one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious]


def test_all_can_be_reached_by_keyboard(look: Opener) -> None:
    """The first stop skips to the content, and every control shows where the focus is."""
    page = look().page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    reached = set[str]()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('role') || document.activeElement.tagName"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or page.evaluate("document.activeElement === document.body")
    assert {"A", "BUTTON", "switch", "SELECT"} <= reached


def test_a_script_in_an_appliances_name_is_text(look: Opener, demo: Demo) -> None:
    """Whoever may write a topic can't run anything in the household's browsers."""
    name = "<img src=x onerror=window.taken=1>"
    page = look().page
    shown = page.locator(".columns").get_by_text("Img src", exact=False).or_(page.locator(".columns").get_by_text(name, exact=False))
    state = ApplianceState.model_validate({"observed_at": "2015-01-04T10:00:00Z", "running": True, "power_w": 9, "confidence": 1})
    say(demo, "disaggregator", f"hems/home/appliance/{name}", state.to_wire())
    try:
        expect(shown.first).to_be_visible()
        others = [look(path).page for path in ("/appliances", "/history")]
        page.wait_for_timeout(1_000)
        for one in (page, *others):
            assert one.evaluate("window.taken") is None
            assert one.locator("img[src=x]").count() == 0
    finally:
        say(demo, "disaggregator", f"hems/home/appliance/{name}", b"")


def test_a_broker_that_restarts_is_told_and_overcome(look: Opener, demo: Demo) -> None:
    """The open page says that it is not live, and goes on by itself."""
    page = look().page
    figure = page.locator(".power-figure")
    expect(figure).to_have_text(re.compile(r"\d"))
    demo.kill_broker()
    expect(page.locator(".warning", has_text="No connection to the broker")).to_be_visible()
    expect(page.locator(".warning", has_text="No connection to the broker")).to_have_count(0)
    before = figure.inner_text()
    expect(figure).not_to_have_text(before)


def downloaded(page: Page, card: Any, folder: Path) -> list[dict[str, str]]:
    """The rows of the file that a card gives away."""
    with page.expect_download() as waiting:
        card.get_by_role("button", name=re.compile("CSV")).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def say(demo: Demo, user: str, topic: str, payload: bytes) -> None:
    """Say something retained, as a user of the broker."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(user, demo.password(user))
    client.connect("127.0.0.1", demo.mqtt_port)
    client.loop_start()
    client.publish(topic, payload, qos=1, retain=True).wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def retained(demo: Demo, topic: str) -> bytes:
    """What the broker holds."""
    found: list[bytes] = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("client", demo.password("client"))
    client.on_message = lambda _client, _data, message: found.append(bytes(message.payload))
    client.connect("127.0.0.1", demo.mqtt_port)
    client.subscribe(topic, 1)
    for _ in range(200):
        client.loop(0.05)
        if found:
            break
    client.disconnect()
    return found[0] if found else b""
