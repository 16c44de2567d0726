"""`hems setup --page`, answered by a browser's requests."""

import html
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

PATIENCE_S = 60
ANSWERS = {"A name for it": "cottage", "Its time zone": "Europe/London", "Which tariff": "flat", "Price of a kWh": "0.31"}


def asked(page: str) -> tuple[str, str] | None:
    """The question that the page asks, and its number."""
    number = re.search(r'name="number" value="(\d+)"', page)
    text = re.search(r"<label[^>]*>(.*?)</label>|<strong>(.*?)</strong>", page)
    return (html.unescape(text[1] or text[2]), number[1]) if number and text else None


def test_the_same_questions_are_asked_on_a_page(tmp_path: Path) -> None:
    """The address stands in the terminal; the answers come to the same hems.yaml; at the end the command ends by itself."""
    command = [sys.executable, "-m", "services.cli", "setup", "home", "tariff", "--page", "--page-port", "0", "--config", "hems.yaml"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:\d+/\S+/", process.stdout.readline())
    assert found
    give_up_at, page = time.monotonic() + PATIENCE_S, ""
    while "That was all" not in page:
        assert time.monotonic() < give_up_at, page
        page = urlopen(found[0], timeout=10).read().decode()  # noqa: S310 - our own page
        if question := asked(page):
            answer = next((given for words, given in ANSWERS.items() if words in question[0]), "")
            urlopen(found[0], urlencode({"number": question[1], "answer": answer}).encode(), timeout=10).close()  # noqa: S310
        time.sleep(0.02)
    assert process.wait(PATIENCE_S) == 0
    process.stdout.close()
    values = yaml.safe_load((tmp_path / "hems.yaml").read_text())
    assert values["home"]["id"] == "cottage"
    assert values["recorder"]["tariff"]["per_kwh"] == 0.31
