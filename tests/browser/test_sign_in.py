"""Signing in with a real browser, which sends what no client of our own would think of."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from services.dashboard.domain.sign_in import hashed
from tests.browser.conftest import running_demo

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

PASSWORD = "long enough"


def test_a_person_signs_in_and_out(browser: Browser, tmp_path: Path) -> None:
    """A wrong password is told, the right one opens the live page, signing out closes it again; axe finds no serious fault."""
    settings = {
        "HEMS_DASHBOARD__REACHED_AT": "192.0.2.1",  # so that a password is asked for, though the page listens on loopback
        "HEMS_DASHBOARD__PASSWORD_HASH": hashed(PASSWORD, b"0123456789abcdef"),
    }
    with running_demo(tmp_path, ["dashboard"], settings) as demo:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{demo.address}/history")
        expect(page).to_have_url(re.compile("/login$"))
        page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
        found: Any = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [one["id"] for one in found["violations"] if one["impact"] in ("serious", "critical")] == []
        page.get_by_label("Password").fill("a guess")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("That is not the password.")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator(".clock")).to_have_text(re.compile(r"\d\d:\d\d"))
        earlier = page.locator(".clock").inner_text()
        expect(page.locator(".clock")).not_to_have_text(earlier)  # the socket is let in, too
        page.get_by_role("button", name="Sign out").click()
        expect(page).to_have_url(re.compile("/login$"))
        page.goto(f"{demo.address}/")
        expect(page).to_have_url(re.compile("/login$"))
        page.close()
        assert faults == []
