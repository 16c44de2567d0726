"""Hosts, origins, sizes, passwords and tries: the attacker's list."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from services.dashboard.command import password
from services.dashboard.domain.guard import HEADERS, LARGEST_BODY_BYTES, Guard
from services.dashboard.domain.sign_in import SESSION_S, Sessions, Tries, UnusableHash, check_hash, fits, hashed
from services.dashboard.settings import DashboardSettings

HERE = Guard("127.0.0.1")
EVERYWHERE = Guard("0.0.0.0", frozenset({"home.example.org", "hems.local"}))  # noqa: S104


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "localhost", "[::1]:8080", "LOCALHOST:8080"])
def test_the_loopback_names_are_let_in(host: str) -> None:
    """What a person on this computer types."""
    assert HERE.refuses("GET", {"host": host}) is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "192.168.1.7:8080", "", "127.0.0.1@evil.example", "a b", "[::1",
     "127.0.0.1:x", "localhost,evil.example"],
)  # fmt: skip
def test_a_foreign_host_is_refused(host: str) -> None:
    """A name that an attacker made resolve to this computer (DNS rebinding)."""
    refusal = HERE.refuses("GET", {"host": host})
    assert refusal is not None
    assert refusal.status == 421


def test_beyond_this_computer_addresses_and_known_names_are_let_in() -> None:
    """Nobody can make a browser send an address that it was not given; a name must be ours."""
    assert EVERYWHERE.refuses("GET", {"host": "192.168.1.7:8080"}) is None
    assert EVERYWHERE.refuses("GET", {"host": "home.example.org"}) is None
    assert EVERYWHERE.refuses("GET", {"host": "hems.local.:8080"}) is None
    assert EVERYWHERE.refuses("GET", {"host": "evil.example"}) is not None


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999", "http://localhost:8080", "", "file://"])
@pytest.mark.parametrize("socket", [True, False])
def test_a_foreign_origin_is_refused(origin: str, socket: bool) -> None:
    """On HTTP as on the socket; another port of this computer is foreign too."""
    refusal = HERE.refuses("GET", {"host": "127.0.0.1:8080", "origin": origin}, socket=socket)
    assert refusal is not None
    assert refusal.status == 403


def test_the_pages_own_origin_is_let_in() -> None:
    """Also behind a proxy that speaks TLS."""
    for origin in ("http://127.0.0.1:8080", "https://127.0.0.1:8080"):
        assert HERE.refuses("POST", {"host": "127.0.0.1:8080", "origin": origin}) is None
        assert HERE.refuses("GET", {"host": "127.0.0.1:8080", "origin": origin}, socket=True) is None


def test_browsers_are_told_to_say_where_the_pages_own_forms_come_from() -> None:
    """Without a referrer they send `Origin: null`, which is refused: nobody could sign in."""
    assert HEADERS["referrer-policy"] == "same-origin"


def test_a_socket_or_a_post_must_say_where_it_comes_from() -> None:
    """Every browser does."""
    assert HERE.refuses("GET", {"host": "localhost"}, socket=True) is not None
    assert HERE.refuses("POST", {"host": "localhost"}) is not None


def test_what_a_foreign_page_embeds_is_refused_and_a_link_is_not() -> None:
    """`Sec-Fetch-Site` tells an image or a script from a person who follows a link."""
    headers = {"host": "localhost", "sec-fetch-site": "cross-site"}
    assert HERE.refuses("GET", {**headers, "sec-fetch-mode": "no-cors"}) is not None
    assert HERE.refuses("GET", {**headers, "sec-fetch-mode": "navigate"}) is None


@pytest.mark.parametrize(("length", "status"), [(str(LARGEST_BODY_BYTES + 1), 413), ("9" * 40, 413), ("-1", 400), ("x", 400), ("0", None)])
def test_oversized_bodies_are_refused_by_their_length(length: str, status: int | None) -> None:
    """Before a byte of them is read."""
    refusal = HERE.refuses("POST", {"host": "localhost", "origin": "http://localhost", "content-length": length})
    assert (refusal.status if refusal else None) == status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE", "CONNECT", "PATCH"])
def test_other_methods_are_refused(method: str) -> None:
    """The page needs three."""
    assert HERE.refuses(method, {"host": "localhost", "origin": "http://localhost"}) is not None


def test_a_password_fits_its_hash_alone() -> None:
    """A salted scrypt hash; no two are equal."""
    written = hashed("correct horse", b"0123456789abcdef")
    assert fits("correct horse", written)
    assert not fits("correct horsf", written)
    assert not fits("", written)
    assert hashed("correct horse", b"fedcba9876543210") != written


@pytest.mark.parametrize(
    "written", ["", "secret", "scrypt$2$8$1$AAAAAAAAAAA=$AAAA", "scrypt$1073741824$8$1$AAAAAAAAAAAAAAAA$AAAA", "$$$$$", "a$b"]
)
def test_something_else_is_no_hash(written: str) -> None:
    """A plain password in the wrong place is found at the start, and a hash can't be made to eat all memory."""
    with pytest.raises(UnusableHash):
        check_hash(written)


def test_a_thousand_guesses_from_one_address_take_hours() -> None:
    """Five are free; then each waits longer, up to five minutes."""
    tries, now_s, tried = Tries(), 0.0, 0
    while tried < 1_000:
        wait_s = tries.wait_s("10.0.0.9", now_s)
        now_s += wait_s
        tries.began(now_s)
        tries.failed("10.0.0.9", now_s)
        tried += 1
    assert now_s > 48 * 3_600


def test_guesses_from_many_addresses_are_slowed_together() -> None:
    """Thirty a minute, from wherever they come, and the memory of them is bounded."""
    tries, passed = Tries(), 0
    for number in range(5_000):
        if tries.wait_s(f"10.{number // 250}.{number % 250}.1", number * 0.01) == 0:
            passed += 1
            tries.began(number * 0.01)
            tries.failed(f"10.{number // 250}.{number % 250}.1", number * 0.01)
    assert passed <= 30


def test_a_success_forgets_an_addresss_failures() -> None:
    """Who mistyped twice is not slowed tomorrow."""
    tries = Tries()
    for at_s in range(4):
        tries.failed("a", at_s)
    tries.succeeded("a")
    for at_s in range(4):
        tries.failed("a", at_s)
    assert tries.wait_s("a", 5) == 0


def test_sessions_end_and_what_is_kept_opens_nothing() -> None:
    """Only hashes of tokens are written down; an old or closed session is unknown."""
    sessions = Sessions()
    sessions.open("token", 0)
    again = Sessions(sessions.kept)
    assert again.knows("token", 10)
    assert not again.knows(next(iter(sessions.kept)), 10)
    assert not again.knows("token", SESSION_S + 1)
    assert not again.knows(None, 10)
    again.close("token")
    assert not again.knows("token", 10)


def test_sessions_are_bounded() -> None:
    """The oldest go."""
    sessions = Sessions()
    for number in range(500):
        sessions.open(str(number), number)
    kept: Any = sessions.kept
    assert len(kept) <= 200
    assert sessions.knows("499", 500)
    assert not sessions.knows("0", 500)


def test_beyond_this_computer_a_password_is_needed() -> None:
    """Or the service does not start; the message says what to do."""
    with pytest.raises(ValidationError, match="hems password"):
        DashboardSettings.read({"host": "0.0.0.0"}, {})  # noqa: S104
    with pytest.raises(ValidationError, match="not a hash"):
        DashboardSettings.read({"host": "0.0.0.0", "password_hash": "secret"}, {})  # noqa: S104
    assert DashboardSettings.read({"host": "0.0.0.0", "password_hash": hashed("long enough", b"0123456789abcdef")}, {}).port == 8_080  # noqa: S104
    assert DashboardSettings.read({"host": "::1"}, {}).password_hash is None


def test_the_command_makes_a_hash_that_fits() -> None:
    """Short passwords are refused; what is printed can be pasted."""
    runner = CliRunner()
    assert runner.invoke(password, ["--password", "short"]).exit_code == 2
    made = runner.invoke(password, ["--password", "long enough"])
    assert fits("long enough", made.output.strip())


def test_a_containers_page_is_judged_by_the_address_that_it_is_published_on() -> None:
    """Published on loopback it needs no password, whatever it listens on inside; published elsewhere it does."""
    inside = {"host": "0.0.0.0"}  # noqa: S104
    assert DashboardSettings.read({**inside, "reached_at": "127.0.0.1"}, {}).seen_at == "127.0.0.1"
    with pytest.raises(ValidationError, match=r"to listen on 192\.168\.1\.5, password_hash is needed"):
        DashboardSettings.read({**inside, "reached_at": "192.168.1.5"}, {})


def test_the_first_password_is_shown_once_and_fits(tmp_path: Path) -> None:
    """`hems password --first` prints a password whose hash is in the file; a second call prints nothing and changes nothing."""
    file = tmp_path / "hash"
    shown = CliRunner().invoke(password, ["--first", str(file)]).output
    assert fits(shown.split()[-1], file.read_text())
    assert file.stat().st_mode & 0o777 == 0o400
    before = file.read_text()
    assert CliRunner().invoke(password, ["--first", str(file)]).output == ""
    assert file.read_text() == before
