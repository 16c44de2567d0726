"""The folder of a fleet: what the cluster's nodes read, one password each, and a bridge for each home."""

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt

from hems.contracts.fleet import home_user
from hems.contracts.nats_access import CENTRAL_USERS, SIMULATOR, SYSTEM, nats_accounts
from hems.setting_up.private_file import write_private
from services.fleet.bridge import bridge_configuration

_ROUTE = "route"
_NO_TLS = "# No TLS between homes and cluster: `hems fleet --no-tls`, for a trial on one computer.\n"
_ROUNDS = 4
"""Least work: these passwords are 192 random bits, and after an outage a thousand homes come back at once."""


class Unusable(Exception):
    """A list of homes that can't be used; the message says why, and what to do."""


@dataclass(frozen=True)
class Tls:
    """Where the certificates lie.

    Attributes:
        ca_file: the authority of the nodes' certificates, on a home's computer.
        certificate: each node's own, on its computer; it names every address at which homes and services find the node.
        key: what belongs to it.
    """

    ca_file: str = "/etc/mosquitto/cluster-ca.pem"
    certificate: str = "/etc/hems/tls/server.pem"
    key: str = "/etc/hems/tls/server.key"


@dataclass(frozen=True)
class Fleet:
    """What is asked for.

    Attributes:
        homes: their ids.
        nodes: `host:port` at which the nodes find each other.
        addresses: `host:port` at which homes find the nodes.
        tls: where certificates lie; no TLS, for homes or for services, where None.
        simulator: admit a user that may say any home's readings, for a trial.
    """

    homes: Sequence[str]
    nodes: Sequence[str]
    addresses: Sequence[str]
    tls: Tls | None = field(default_factory=Tls)
    simulator: bool = False


def read_homes(text: str) -> list[str]:
    """The ids in a list, one a line; what follows a `#` is a comment.

    Raises:
        Unusable: a line is no id, or one is there twice.
    """
    found = [line.split("#")[0].strip() for line in text.splitlines()]
    homes = [home for home in found if home]
    for number, home in enumerate(found, 1):
        if home and not re.fullmatch(r"[a-z0-9_-]{1,32}", home):
            raise Unusable(f"line {number}: {home!r} can't be a home's id: use 1 to 32 of a-z, 0-9, _ and -")
        if homes.count(home) > 1:
            raise Unusable(f"line {number}: {home!r} is there twice: give each home an id of its own")
    return homes


def write(folder: Path, fleet: Fleet) -> None:
    """Write what the nodes, the central services and the homes need. Passwords that are there stay.

    Raises:
        OSError: it can't be written.
    """
    users = [*CENTRAL_USERS, SYSTEM, *((SIMULATOR,) if fleet.simulator else ()), *map(home_user, fleet.homes)]
    passwords = {user: _password(folder / "passwords" / user) for user in users}
    access = folder / "nats" / "access.conf"
    write_private(access, nats_accounts(_hashed(passwords, _known_hashes(access)), fleet.homes))
    write_private(folder / "nats" / "routes.conf", _routes(fleet.nodes, _password(folder / "passwords" / _ROUTE)))
    write_private(folder / "nats" / "tls.conf", _listener(fleet.tls))
    ca_file = fleet.tls.ca_file if fleet.tls else None
    for home in fleet.homes:
        bridge = bridge_configuration(home, passwords[home_user(home)], fleet.addresses, ca_file)
        write_private(folder / "homes" / home / "bridge.conf", bridge)


def _password(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8").strip()


def _known_hashes(access: Path) -> dict[str, str]:
    """Those of the list that is there: a node that reads the list anew sends everybody away whose hash has changed."""
    return dict(re.findall(r'user: "([^"]+)", password: "([^"]+)"', access.read_text(encoding="utf-8"))) if access.exists() else {}


def _hashed(passwords: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    return {user: _hash(password.encode(), known.get(user, "").encode()) for user, password in passwords.items()}


def _hash(password: bytes, known: bytes) -> str:
    fits = bool(known) and bcrypt.checkpw(password, known)
    return (known if fits else bcrypt.hashpw(password, bcrypt.gensalt(_ROUNDS))).decode()


def _listener(tls: Tls | None) -> str:
    return _NO_TLS if tls is None else f"tls {{ cert_file: {json.dumps(tls.certificate)}, key_file: {json.dumps(tls.key)}, timeout: 10 }}\n"


def _routes(nodes: Iterable[str], password: str) -> str:
    listed = ", ".join(f'"nats://{_ROUTE}:{password}@{node}"' for node in nodes)
    return f'authorization {{ user: {_ROUTE}, password: "{password}", timeout: 3 }}\nroutes: [ {listed} ]\n'
