"""The password file. That a real Mosquitto takes it is shown by every test with a broker."""

import hashlib
from base64 import b64decode

import pytest

from services.supervisor.passwords import password_file, random_password


def test_a_line_is_a_salted_hash() -> None:
    """The file holds a PBKDF2 hash of each password under its user's name, and no password."""
    user, _, hashed = password_file({"sensor": "secret"}).rstrip("\n").partition(":")
    _, kind, iterations, salt, digest = hashed.split("$")
    assert (user, kind) == ("sensor", "7")
    assert b64decode(digest) == hashlib.pbkdf2_hmac("sha512", b"secret", b64decode(salt), int(iterations))


def test_equal_passwords_look_different() -> None:
    """Each line has a salt of its own."""
    first, second = password_file({"sensor": "same", "client": "same"}).splitlines()
    assert first.partition(":")[2] != second.partition(":")[2]


@pytest.mark.parametrize("user", ["", "a:b", "a\nb"])
def test_what_can_not_be_a_user_is_refused(user: str) -> None:
    """A name never adds a line or a field to the file."""
    with pytest.raises(ValueError, match="can't be a user"):
        password_file({user: "secret"})


def test_random_passwords_need_no_quoting_and_differ() -> None:
    """A made-up password is long, different each time, and safe in a shell file."""
    made = {random_password() for _ in range(100)}
    assert len(made) == 100
    assert all(len(one) >= 32 and one.replace("-", "").replace("_", "").isalnum() for one in made)
