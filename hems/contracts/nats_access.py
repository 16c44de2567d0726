"""Who may say and read which topic at a cluster of NATS servers, as its `accounts`."""

from collections.abc import Iterable, Iterator, Mapping

from hems.contracts.catalog import APPLIANCE, APPLIANCE_EVENT, FLEET
from hems.contracts.fleet import (
    CENTRAL,
    PARTITIONED_MAINS,
    PARTITIONS,
    central_reads,
    central_writes,
    from_home,
    home_user,
    nats_subject,
    to_home,
)
from hems.contracts.topic import Root

CENTRAL_USERS = (*CENTRAL, FLEET)
"""The users at the cluster besides the homes."""

SYSTEM = "system"
"""The user that asks the servers how they are, in an account of its own, without a way to any home's messages."""

SIMULATOR = "simulator"
"""Where it is admitted, for a trial: says any home's readings over a few connections, and hears what comes of them."""

_OWN_QUEUES = "$MQTT.sub.>"
"""Where a server lays what a session is owed with QoS 1. Homes need it not: what they hear comes with QoS 0."""


def nats_accounts(passwords: Mapping[str, str], homes: Iterable[str]) -> str:
    """The part of a NATS server's configuration that says who comes in; what is not named is denied.

    Args:
        passwords: bcrypt hashes by user: `CENTRAL_USERS`, `SYSTEM`, `home_user` of each home, and `SIMULATOR` where it is admitted.
        homes: their ids.

    Raises:
        KeyError: a user has no password.
        ValueError: a home's id can't be part of a subject.
    """
    mapping = f'"hems.*.mains": "hems-p.{{{{partition({PARTITIONS},1)}}}}.{{{{wildcard(1)}}}}.mains"'
    users = [*_central(passwords), *_simulator(passwords), *(_home(home, passwords) for home in homes)]
    return "\n".join(
        (
            "accounts {",
            "  HEMS {",
            "    jetstream: enabled",
            f"    mappings: {{ {mapping} }}",
            "    users: [",
            *(f"      {user}" for user in users),
            "    ]",
            "  }",
            f'  SYSTEM {{ users: [ {{user: "{SYSTEM}", password: "{passwords[SYSTEM]}"}} ] }}',
            "}",
            "system_account: SYSTEM",
            "",
        )
    )


def _central(passwords: Mapping[str, str]) -> Iterator[str]:
    for name in CENTRAL_USERS:
        reads = [*map(nats_subject, central_reads(name)), _OWN_QUEUES]
        yield _user(name, passwords, map(nats_subject, central_writes(name)), reads)


def _simulator(passwords: Mapping[str, str]) -> Iterator[str]:
    if SIMULATOR in passwords:
        says = (PARTITIONED_MAINS.filter(Root("+")),)
        reads = (APPLIANCE.filter(Root("+")), APPLIANCE_EVENT.filter(Root("+")))
        yield _user(SIMULATOR, passwords, map(nats_subject, says), [*map(nats_subject, reads), _OWN_QUEUES])


def _home(home: str, passwords: Mapping[str, str]) -> str:
    return _user(home_user(home), passwords, map(nats_subject, from_home(home)), map(nats_subject, to_home(home)))


def _user(name: str, passwords: Mapping[str, str], says: Iterable[str], reads: Iterable[str]) -> str:
    rights = f"{{publish: {{allow: {_listed(says)}}}, subscribe: {{allow: {_listed(reads)}}}}}"
    return f'{{user: "{name}", password: "{passwords[name]}", allowed_connection_types: ["MQTT"], permissions: {rights}}}'


def _listed(subjects: Iterable[str]) -> str:
    quoted = (f'"{subject}"' for subject in sorted(set(subjects)))
    return f"[{', '.join(quoted)}]"
