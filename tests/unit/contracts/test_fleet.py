"""Many homes on one cluster: partitions, directions and rights."""

import pytest

from hems.contracts.catalog import CATALOG, FLEET, RELAY_SET, RELAY_SET_BY, SERVICES
from hems.contracts.fleet import (
    AT_HOME,
    CENTRAL,
    FROM_HOME,
    PARTITIONED_MAINS,
    PARTITIONS,
    TO_HOME,
    central_reads,
    central_writes,
    from_home,
    nats_subject,
    partition_of,
    to_home,
)
from hems.contracts.topic import Root


def test_a_home_is_in_the_partition_that_the_server_computes() -> None:
    """FNV-1a as published, and the partitions of six that a real nats-server 2.9 gave these homes."""
    assert partition_of("a", 2**32) == 0xE40C292C
    assert [partition_of(home, 6) for home in ("home0", "home1", "home2", "home3", "home4", "home5", "h1")] == [4, 3, 0, 5, 2, 1, 0]


def test_homes_spread_over_the_partitions() -> None:
    """A thousand homes fill each partition with its share, a third more or less."""
    found = [partition_of(f"home-{number}") for number in range(1_000)]
    assert all(1_000 / PARTITIONS * 2 / 3 < found.count(partition) < 1_000 / PARTITIONS * 4 / 3 for partition in range(PARTITIONS))


def test_every_topic_has_one_way() -> None:
    """A topic goes out, comes in, or stays: on two lists it would go round between the brokers."""
    assert {topic.pattern for topic in (*FROM_HOME, *TO_HOME, *AT_HOME)} == {topic.pattern for topic in CATALOG}
    assert len(FROM_HOME) + len(TO_HOME) + len(AT_HOME) == len(CATALOG)


def test_a_home_says_and_hears_its_own_topics_alone() -> None:
    """Its id stands in every filter, and readings go to its own partition."""
    assert all("/cottage/" in name for name in (*from_home("cottage"), *to_home("cottage")))
    assert f"hems-p/{partition_of('cottage')}/cottage/mains" in from_home("cottage")
    assert not any(name.endswith("cottage/mains") and name.startswith("hems/") for name in from_home("cottage"))


def test_of_commands_only_those_with_the_clusters_own_source_go_to_a_home() -> None:
    """The bare `relay/<relay>/set` and other services' sources never leave a home, nor come into it."""
    commands = [name for name in to_home("cottage") if "/relay/" in name]
    assert commands == ["hems/cottage/relay/+/set/fleet"]
    assert RELAY_SET in AT_HOME
    assert not any("/set" in name for name in from_home("cottage"))
    writers = {grant.user for grant in RELAY_SET_BY.said_by if grant.fixed == {"source": "fleet"}}
    assert writers == {FLEET}
    assert FLEET not in SERVICES


@pytest.mark.parametrize("user", [*CENTRAL, FLEET])
def test_central_services_read_the_mains_by_partition(user: str) -> None:
    """The mapping takes the readings away from `hems/<home>/mains`: nobody is told to look there."""
    assert "hems-p/+/+/mains" in central_reads(user)
    assert "hems/+/mains" not in central_reads(user)


def test_central_services_say_what_the_catalogue_grants_and_no_readings() -> None:
    """The disaggregator says appliances; nobody in the centre says a home's mains."""
    assert "hems/+/appliance/+" in central_writes("disaggregator")
    assert set(central_writes(FLEET)) == {"hems/+/demand/event", "hems/+/relay/+/set/fleet"}
    assert not any(name.endswith("/mains") for user in (*CENTRAL, FLEET) for name in central_writes(user))


def test_a_topic_that_nats_would_misread_is_refused() -> None:
    """Dots part the levels of a subject, and stars and spaces have meanings too."""
    assert nats_subject("hems/+/appliance/#") == "hems.*.appliance.>"
    for topic in ("hems/my.home/mains", "hems/*/mains", "hems/my home/mains", "hems/home/>"):
        with pytest.raises(ValueError, match="NATS"):
            nats_subject(topic)


def test_partitioned_readings_are_matched_with_their_home() -> None:
    """The reader learns partition and home from the topic, whatever home it serves itself."""
    assert PARTITIONED_MAINS.match(Root("centre"), "hems-p/3/cottage/mains") == {"partition": "3", "home": "cottage"}
    assert PARTITIONED_MAINS.match(Root("centre"), "hems/cottage/mains") is None
