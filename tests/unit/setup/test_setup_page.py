"""The conversation on a page, over real HTTP."""

import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from click.testing import CliRunner

from services.setup.command import setup
from services.setup.page import PageConversation


@pytest.fixture
def page() -> Iterator[PageConversation]:
    """A page that listens."""
    with PageConversation(0) as conversation:
        yield conversation


class Browser:
    """A browser on the page."""

    def __init__(self, page: PageConversation) -> None:
        self._place = urlsplit(page.address)

    def ask(self, method: str = "GET", path: str | None = None, host: str | None = None, **fields: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self._place.port or 0, timeout=10)
        headers = {"Host": host or self._place.netloc, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request(method, path or self._place.path, urlencode(fields), headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    def until(self, words: str) -> str:
        """The page, once these words stand on it."""
        for _ in range(1_000):
            if words in (text := self.ask()[1]):
                return text
            threading.Event().wait(0.01)
        raise AssertionError(words)


def test_questions_are_forms_and_answers_come_back(page: PageConversation) -> None:
    """A text, a choice and a secret; the secret is not shown again."""
    answers: list[str] = []

    def converse() -> None:
        page.say("Welcome <you>")
        answers.append(page.ask("Name?", "home"))
        answers.append(page.choose("Which?", {"gpio": "pins", "none": ""}, "none"))
        answers.append(page.ask("Token?", hidden=True))

    talking = threading.Thread(target=converse, daemon=True)
    talking.start()
    browser = Browser(page)
    assert "Welcome &lt;you&gt;" in browser.until("Name?")
    assert browser.ask("POST", number="1", answer="hut")[0] == 303
    browser.until("Which?")
    browser.ask("POST", number="1", answer="a form that was sent twice")
    browser.ask("POST", number="2", answer="gpio")
    browser.until("Token?")
    browser.ask("POST", number="3", answer="s3cret")
    talking.join(10)
    assert answers == ["hut", "gpio", "s3cret"]
    assert "s3cret" not in page.page()


def test_nobody_else_can_answer(page: PageConversation) -> None:
    """Neither without the word in the address, nor through a foreign page's name for this computer."""
    threading.Thread(target=lambda: page.ask("Name?", "home"), daemon=True).start()
    browser = Browser(page)
    browser.until("Name?")
    assert browser.ask(path="/")[0] == 404
    assert browser.ask("POST", path="/wrong/", number="1", answer="x")[0] == 404
    assert browser.ask("POST", host="evil.example", number="1", answer="x")[0] == 404
    assert "Name?" in browser.ask()[1]


def test_too_much_is_refused(page: PageConversation) -> None:
    """A body that no answer needs is not read."""
    assert Browser(page).ask("POST", number="1", answer="x" * 20_000)[0] == 413


def test_a_taken_port_is_told(page: PageConversation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the option that chooses another."""
    monkeypatch.chdir(tmp_path)
    port = str(urlsplit(page.address).port)
    done = CliRunner().invoke(setup, ["home", "--page", "--page-port", port, "--config", "hems.yaml"])
    assert done.exit_code == 1
    assert "Address already in use" in done.output
    assert "--page-port" in done.output
