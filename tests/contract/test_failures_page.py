"""`docs/failures.md` quotes what the commands say: a sentence that nobody says any more has to go."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_SERVICES = ("doctor", "sensor", "actuator", "load_manager", "notifier", "bridge_adafruit")
_PLACES = (*(f"services/{name}" for name in _SERVICES), "hems/actor")
_LEAST = 9

SOURCE = " ".join(re.sub(r'"\s*\n\s*f?"', "", path.read_text()) for place in _PLACES for path in sorted((ROOT / place).rglob("*.py")))
PAGE = (ROOT / "docs/failures.md").read_text()
QUOTED = re.findall(r"(?<![*\w])\*([^*\n]+)\*(?![*\w])", PAGE)


def fragments(quote: str) -> list[str]:
    """The pieces of a sentence between its figures, names and omissions."""
    pieces = re.split(r"[-\d.,%]*\d[\d.,%-]*|…|/\S+|\bsensor\b|heater|Adafruit IO|Twilio|input|BCM|pulled down", quote)
    return [piece.strip(" :()*") for piece in pieces if len(piece.strip(" :()*")) >= _LEAST]


def test_there_is_much_to_quote() -> None:
    """The page is written in the commands' own words."""
    assert len(QUOTED) > 30


@pytest.mark.parametrize("quote", QUOTED)
def test_what_the_page_quotes_is_said(quote: str) -> None:
    """Each piece of the sentence stands in the code of the checks."""
    for piece in fragments(quote):
        assert piece in SOURCE, piece


def test_the_pages_links_lead_somewhere() -> None:
    """Of the pages of the first hour, each link to a file of ours."""
    for page in ("docs/failures.md", "docs/hardware.md", "firmware/esp8266_voltage/README.md", "README.md"):
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
            assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
