"""A broker's configuration for one computer, made of the one that ships."""

import os
import re
from pathlib import Path

_BESIDE = Path(__file__).with_name("mosquitto.conf")
_IN_REPOSITORY = Path(__file__).parents[2] / "broker" / "mosquitto.conf"


def base_configuration() -> str:
    """The text of `broker/mosquitto.conf`, from the installed package or from the repository."""
    return (_BESIDE if _BESIDE.exists() else _IN_REPOSITORY).read_text()


def render(*, port: int, data: Path, passwords: Path, access: Path, host: str = "127.0.0.1", max_queued_messages: int | None = None) -> str:
    """The shipped configuration with this computer's address and paths in it.

    Args:
        port: where to listen, on `host` only.
        data: the folder of the broker's database; it must exist.
        passwords: the password file.
        access: the access list.
        host: the address to listen on.
        max_queued_messages: how many messages wait for a durable reader that is away; the shipped number where None.
    """
    settings = {
        "listener": f"{port} {host}",
        "persistence_location": f"{data}/",
        "password_file": str(passwords),
        "acl_file": str(access),
    }
    if max_queued_messages is not None:
        settings["max_queued_messages"] = str(max_queued_messages)
    text = base_configuration()
    for key, value in settings.items():
        text = _set(text, key, value)
    return text + _user()


def _set(text: str, key: str, value: str) -> str:
    replaced, count = re.subn(rf"^{key} .*$", lambda _: f"{key} {value}", text, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"broker/mosquitto.conf: {key} must be there once, and is there {count} times")
    return replaced


def _user() -> str:
    # Started by root, Mosquitto becomes the user "mosquitto", who may be missing and can't write into our folder.
    return "user root\n" if os.geteuid() == 0 else ""
