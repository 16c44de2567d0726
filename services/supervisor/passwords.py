"""Mosquitto's password file, written without Mosquitto's own tool."""

import hashlib
import secrets
from base64 import b64encode
from collections.abc import Mapping

_ITERATIONS = 101
"""Mosquitto's own default. The broker runs them at every connection, and generated passwords can't be guessed anyway."""


def password_file(passwords: Mapping[str, str]) -> str:
    """The `password_file` that lets these users in, by their names.

    Raises:
        ValueError: a name can't be a user's.
    """
    return "".join(_line(user, password) for user, password in passwords.items())


def random_password() -> str:
    """192 random bits, in characters that need no quoting anywhere."""
    return secrets.token_urlsafe(24)


def _line(user: str, password: str) -> str:
    """`user:$7$iterations$salt$hash`, PBKDF2 with HMAC-SHA-512, as mosquitto_passwd(1) of Mosquitto 2 writes it."""
    if not user or any(character in user for character in ":\r\n"):
        raise ValueError(f"{user!r} can't be a user of the broker")
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    return f"{user}:$7${_ITERATIONS}${b64encode(salt).decode()}${b64encode(digest).decode()}\n"
