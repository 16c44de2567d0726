"""Many homes on one cluster of NATS servers: how they are split, what passes between a home and the cluster, and who may do what.

Homes publish `hems/<home>/mains` as ever. The cluster maps it to `hems-p/<partition>/<home>/mains`, so that a home's readings
all come to one reader; whoever asks the cluster for `hems/<home>/mains` hears nothing.
"""

import re
from collections.abc import Iterator
from typing import Any

from hems.contracts.access import may_read, may_write
from hems.contracts.catalog import (
    ALERT,
    APPLIANCE,
    APPLIANCE_EVENT,
    APPLIANCE_LABEL,
    APPLIANCE_TAUGHT,
    BROKER_UPTIME,
    CARBON,
    DEMAND,
    DEMAND_EVENT,
    DEMAND_OVERRIDE,
    ENERGY,
    ENERGY_OF,
    FLEET,
    HISTORY_QUERY,
    HISTORY_RESULT,
    MAINS,
    NOTIFY_MESSAGE,
    NOTIFY_MUTE,
    NOTIFY_TEST,
    PRICE,
    RELAY,
    RELAY_RESULT,
    RELAY_SET,
    RELAY_SET_BY,
    SERVICE_HEALTH,
    SERVICE_MISSED,
    SERVICE_STATUS,
    TASMOTA_COMMANDS,
    TASMOTA_LWT,
    TASMOTA_STATES,
    VOLTAGE,
)  # fmt: skip
from hems.contracts.mains import Mains
from hems.contracts.topic import Root, Topic

PARTITIONS = 12
"""Divides evenly among 1, 2, 3, 4, 6 and 12 replicas. To change it, stop all readers, let them empty their queues first, and map anew."""

CENTRAL = ("disaggregator", "recorder")
"""The services that work for all homes, beside the cluster; the others stay in the home."""

PARTITIONED_MAINS = Topic(
    "hems-p/{partition}/{home}/mains", Mains, "What a home draws, as the cluster hands it to the reader of the home's partition.",
    retain=True, foreign=True, said_by=(), read_by=(*CENTRAL, FLEET),
)  # fmt: skip

FROM_HOME: tuple[Topic[Any], ...] = (
    MAINS, APPLIANCE_LABEL, RELAY, RELAY_RESULT, HISTORY_QUERY, DEMAND, DEMAND_OVERRIDE, ALERT, NOTIFY_MESSAGE,
    SERVICE_STATUS, SERVICE_HEALTH,
)  # fmt: skip
"""What a home's broker passes on to the cluster, queued while the cluster can't be reached."""

TO_HOME: tuple[Topic[Any], ...] = (
    APPLIANCE, APPLIANCE_EVENT, APPLIANCE_TAUGHT, ENERGY, ENERGY_OF, PRICE, CARBON, HISTORY_RESULT, DEMAND_EVENT, RELAY_SET_BY,
    SERVICE_MISSED,
)  # fmt: skip
"""What the cluster passes to a home; narrowed by `narrowed`. No topic is on both lists: it would go round."""

AT_HOME: tuple[Topic[Any], ...] = (
    VOLTAGE, RELAY_SET, NOTIFY_TEST, NOTIFY_MUTE, BROKER_UPTIME, *TASMOTA_COMMANDS, *TASMOTA_STATES, TASMOTA_LWT,
)  # fmt: skip
"""What never leaves the home's own broker."""


def partition_of(home: str, partitions: int = PARTITIONS) -> int:
    """The partition that a NATS server's `partition()` maps a home to: FNV-1a of 32 bits, modulo the number of partitions."""
    digest = 0x811C9DC5
    for byte in home.encode():
        digest = (digest ^ byte) * 0x01000193 & 0xFFFFFFFF
    return digest % partitions


def home_user(home: str) -> str:
    """The name under which a home's broker comes to the cluster."""
    return f"home-{home}"


def from_home(home: str) -> Iterator[str]:
    """The MQTT topic filters that a home may publish to, as they are after the mapping."""
    yield PARTITIONED_MAINS.at(Root(home), partition=str(partition_of(home)), home=home)
    yield from (topic.filter(Root(home)) for topic in FROM_HOME if topic is not MAINS)


def to_home(home: str) -> Iterator[str]:
    """The MQTT topic filters that a home may hear."""
    yield from (topic.filter(Root(home), **narrowed(topic)) for topic in TO_HOME)


def narrowed(topic: Topic[Any]) -> dict[str, str]:
    """Of commands, only those of the source `fleet` come to a home; of the requests to say all again, only the recorder's."""
    return {RELAY_SET_BY.pattern: {"source": FLEET}, SERVICE_MISSED.pattern: {"service": "recorder"}}.get(topic.pattern, {})


def central_writes(user: str) -> Iterator[str]:
    """The MQTT topic filters that a central service, or the fleet's own programs, may publish to, of all homes."""
    yield from (name for name in may_write(user, Root("+")) if name.startswith("hems/"))


def central_reads(user: str) -> Iterator[str]:
    """The MQTT topic filters that a central service, or the fleet's own programs, may hear, of all homes."""
    yield PARTITIONED_MAINS.filter(Root("+"))
    if user == FLEET:
        yield from ("hems", "hems/#")  # MQTT's `#` stands for the level above it, too
    yield from (name for name in may_read(user, Root("+")) if name.startswith("hems/") and name != MAINS.filter(Root("+")))


def nats_subject(topic_filter: str) -> str:
    """A topic filter as NATS writes it: `hems/+/mains` is `hems.*.mains`.

    Raises:
        ValueError: a level holds what a NATS subject can't.
    """
    if re.search(r"[.*>\s]", topic_filter):
        raise ValueError(f"{topic_filter!r} can't be a NATS subject: dots, stars, brackets and spaces have meanings of their own there")
    return topic_filter.replace("/", ".").replace("+", "*").replace("#", ">")
