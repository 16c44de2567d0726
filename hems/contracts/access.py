"""Who may say and read which topic, as the broker's access list."""

import re
from collections.abc import Iterator

from hems.contracts.catalog import CATALOG, CLIENT, DEVICE, SERVICES
from hems.contracts.topic import Root

USERS = (*SERVICES, CLIENT, DEVICE)
"""Every user of the broker. Nobody else comes in."""


def access_list(prefix: str = "hems", home: str = "+") -> str:
    """Mosquitto's `acl_file`: what is not named here is denied.

    Args:
        prefix: the first level or levels of every topic.
        home: one home's id, or `+` for every home of the broker.

    Raises:
        ValueError: the prefix or the home can't be part of a topic.
    """
    if not re.fullmatch(r"[\w-]+(/[\w-]+)*", prefix) or not re.fullmatch(r"\+|[a-z0-9_-]{1,32}", home):
        raise ValueError(f"{prefix!r} with home {home!r} can't be the root of a topic")
    root = Root(home, prefix)
    return "\n\n".join("\n".join((f"user {user}", *sorted(_rights(user, root)))) for user in USERS) + "\n"


def may_write(user: str, root: Root) -> Iterator[str]:
    """The topic filters that a user may publish to."""
    for topic in CATALOG:
        yield from (topic.filter(root, **grant.fixed) for grant in topic.said_by if grant.user == user)


def may_read(user: str, root: Root) -> Iterator[str]:
    """The topic filters of what is delivered to a user."""
    if user == CLIENT:
        yield f"{root}/#"
    yield from (topic.filter(root) for topic in CATALOG if user in topic.read_by)


def _rights(user: str, root: Root) -> Iterator[str]:
    yield from (f"topic write {name}" for name in may_write(user, root))
    yield from (f"topic read {name}" for name in may_read(user, root))
