"""The access list."""

import re

import pytest

from hems.contracts.access import USERS, access_list
from hems.contracts.catalog import CATALOG, CLIENT, SERVICES


def rights(text: str) -> dict[str, set[str]]:
    """The rights of each user, as the broker reads them."""
    blocks = [block.splitlines() for block in text.strip().split("\n\n")]
    return {user.removeprefix("user "): set(lines) for user, *lines in blocks}


def test_each_service_the_client_and_the_device_have_a_user() -> None:
    """There is one user a service, one for people's own programs and one for devices; nobody else."""
    assert tuple(rights(access_list())) == USERS == (*SERVICES, CLIENT, "device")


def test_every_right_is_of_one_home() -> None:
    """With a home's id, the list grants nothing of another home."""
    for lines in rights(access_list("energy", "cottage")).values():
        for line in lines:
            assert re.fullmatch(r"topic (read|write) (energy/cottage/\S+|(cmnd|stat)/\+/POWER[1-8]?|tele/\+/LWT|\$SYS/broker/uptime)", line)


def test_a_source_belongs_to_one_service() -> None:
    """The topic is the proof of a command's source: no two users may write the same source's."""
    writers = [user for user, lines in rights(access_list()).items() if "topic write hems/+/relay/+/set/sms" in lines]
    assert writers == ["notifier"]
    assert not any(line.endswith("/set/+") and "write" in line for lines in rights(access_list()).values() for line in lines)


def test_the_client_reads_the_home_and_writes_what_people_may() -> None:
    """A person's own program reads everything of the home, and writes only what the catalogue grants it."""
    lines = rights(access_list())[CLIENT]
    assert "topic read hems/+/#" in lines
    written = {topic.pattern for topic in CATALOG if any(grant.user == CLIENT for grant in topic.said_by)}
    assert {line.removeprefix("topic write hems/+/") for line in lines if "write" in line} == {
        re.sub(r"{\w+}", "+", name) for name in written
    }


@pytest.mark.parametrize(
    ("prefix", "home"), [("hems\nuser mallory", "+"), ("#", "+"), ("", "+"), ("hems", "#"), ("hems", "a b"), ("hems/", "x")]
)
def test_what_is_no_root_is_refused(prefix: str, home: str) -> None:
    """A prefix or a home from a settings file can't add a line or widen a right."""
    with pytest.raises(ValueError, match="root of a topic"):
        access_list(prefix, home)
