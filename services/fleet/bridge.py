"""A home's own Mosquitto, joined to the cluster: what it passes on and what it takes, queued while the cluster can't be reached."""

from collections.abc import Iterator, Sequence

from hems.contracts.fleet import FROM_HOME, TO_HOME, home_user, narrowed
from hems.contracts.topic import Root

_HEAD = """# The bridge of home {home} to its cluster, made by `hems fleet`. It holds a password: keep it private.
# Put it where `include_dir` of the home's mosquitto.conf looks, and restart Mosquitto. docs/scaling.md says what passes.

connection cluster
addresses {addresses}
round_robin false
remote_clientid hems-{home}-bridge
remote_username {user}
remote_password {password}
local_clientid hems-{home}-bridge

# The cluster speaks MQTT 3.1.1 only, and knows nothing of Mosquitto's private signs between brokers.
bridge_protocol_version mqttv311
try_private false
notifications false
bridge_attempt_unsubscribe false
bridge_max_packet_size 65536
keepalive_interval 20
restart_timeout 1 20
start_type automatic

# What is to go out waits here, in order, as long as max_queued_messages allows (72 hours of readings). What comes in has QoS 0: at
# the cluster nothing waits for the home, which would cost it more than the homes' readings, and an old command must not come at all.
cleansession false
"""


def bridge_configuration(home: str, password: str, addresses: Sequence[str], ca_file: str | None) -> str:
    """The bridge's part of a home's `mosquitto.conf`.

    Args:
        password: the home's at the cluster.
        addresses: `host:port` of the nodes; the first that answers is taken.
        ca_file: where the home's computer has the authority of the nodes' certificates; no TLS where None.
    """
    head = _HEAD.format(home=home, user=home_user(home), password=password, addresses=" ".join(addresses))
    tls = () if ca_file is None else ("", f"bridge_cafile {ca_file}", "bridge_tls_version tlsv1.2")
    return "\n".join((head.rstrip(), *tls, "", *_topics(Root(home)), ""))


def _topics(root: Root) -> Iterator[str]:
    yield from (_line(topic.filter(root), "out", topic.qos) for topic in FROM_HOME)
    yield from (_line(topic.filter(root, **narrowed(topic)), "in", 0) for topic in TO_HOME)


def _line(topic_filter: str, way: str, qos: int) -> str:
    return f"topic {topic_filter} {way} {qos}"
