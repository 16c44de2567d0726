"""The dashboard as a process: its port, its sign-in, and what an attacker may try."""

import json
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from services.dashboard.domain.sign_in import hashed
from tests.support.broker import RealBroker
from tests.support.services import ServiceProcess, environment_of

PASSWORD = "a long enough one"


@contextmanager
def page(broker: RealBroker, folder: Path, home: str, **settings: str) -> Generator[tuple[ServiceProcess, str]]:
    """A running dashboard, and its address."""
    environment = environment_of("dashboard", broker, folder, home)
    environment |= {f"HEMS_DASHBOARD__{name.upper()}": value for name, value in {"port": "0", **settings}.items()}
    process = ServiceProcess("dashboard", environment, folder / f"log-{len(list(folder.iterdir()))}")
    process.start()
    try:
        process.wait_for("started")
        said = next(json.loads(line)["event"] for line in process.log.splitlines() if "the page is at" in line)
        yield process, said.removeprefix("the page is at ").replace("0.0.0.0", "127.0.0.1")  # noqa: S104
    finally:
        process.stop()


def test_it_serves_its_pages_here_to_whoever_asks_properly(shared_mosquitto: RealBroker, tmp_path: Path) -> None:
    """All four pages and nothing from elsewhere; foreign hosts and origins get nothing; the next port is taken where one is."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with page(shared_mosquitto, tmp_path, "pages", port=str(port)) as (process, address), httpx.Client(base_url=address) as browser:
            assert int(address.rsplit(":", 1)[1]) > port
            for path in ("/", "/history", "/appliances", "/home"):
                answer = browser.get(path)
                assert answer.status_code == 200
                assert "http://" not in answer.text.replace(address, "").replace("http://www.w3.org", "")
                assert "https://" not in answer.text
            assert browser.get("/", headers={"host": "evil.example"}).status_code == 421
            assert browser.get("/", headers={"origin": "http://evil.example"}).status_code == 403
            assert browser.post("/", content=b"x" * 20_000, headers={"origin": address}).status_code == 413
            for headers in ({"origin": "http://evil.example"}, {}):
                with pytest.raises(InvalidStatus):
                    connect(f"{address.replace('http', 'ws')}/_nicegui_ws/socket.io/?EIO=4&transport=websocket", additional_headers=headers)
            assert process.stop() == 0
    assert not (Path.cwd() / ".nicegui").exists()


def test_beyond_this_computer_it_asks_for_the_password(shared_mosquitto: RealBroker, tmp_path: Path) -> None:
    """Nothing without it; guesses are slowed down; a session outlives a restart, and ends with signing out."""
    settings = {"host": "0.0.0.0", "password_hash": hashed(PASSWORD, b"0123456789abcdef")}  # noqa: S104
    with page(shared_mosquitto, tmp_path, "signed", **settings) as (_, address), httpx.Client(base_url=address) as browser:
        origin = {"origin": address}
        assert browser.get("/").status_code == 401
        assert "password" in browser.get("/", headers={"accept": "text/html"}, follow_redirects=True).text
        assert browser.post("/login", data={"password": PASSWORD}).status_code == 403  # it does not say from which page
        assert browser.post("/login", content=b"&=".join([b"\xff"] * 100), headers=origin).status_code == 400  # that is no form
        signed_in = browser.post("/login", data={"password": PASSWORD}, headers=origin)
        assert signed_in.status_code == 303
        assert {"httponly", "samesite=strict"} <= {part.strip().lower() for part in signed_in.headers["set-cookie"].split(";")}
        assert browser.get("/").status_code == 200
        cookies = dict(browser.cookies)
    with page(shared_mosquitto, tmp_path, "signed", **settings) as (_, address), httpx.Client(base_url=address) as browser:
        origin = {"origin": address}
        browser.cookies.update(cookies)
        assert browser.get("/").status_code == 200
        assert browser.post("/logout", headers=origin).status_code == 303
        browser.cookies.update(cookies)
        assert browser.get("/").status_code == 401
        browser.cookies.clear()
        statuses = [browser.post("/login", data={"password": f"guess {number}"}, headers=origin).status_code for number in range(30)]
        assert statuses == [403] * 5 + [429] * 25
        assert browser.post("/login", data={"password": PASSWORD}, headers=origin).status_code == 429
