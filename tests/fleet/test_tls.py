"""A cluster as `hems fleet` sets it up for other people's networks: with TLS."""

import socket
import ssl
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from hems.contracts.fleet import partition_of
from services.supervisor.certificates import certified
from tests.fleet.clients import connected, until
from tests.fleet.conftest import HOMES
from tests.support import paho_client
from tests.support.broker import RealBroker
from tests.support.nats import NODES, running_nats
from tests.support.paho_client import PahoClient

HOME = HOMES[0]


def test_a_home_joins_by_tls_and_nobody_comes_in_without(tmp_path: Path) -> None:
    """The bridge's readings come to a reader that trusts the same authority; plain MQTT and another authority get no answer.

    A longer list is read while the nodes run, as without TLS.
    """
    with running_nats(tmp_path / "nats", HOMES[:2], tls=True) as nats:
        folder = tmp_path / "mosquitto"
        home = RealBroker(folder)
        with (folder / "mosquitto.conf").open("a") as configuration:
            configuration.write(f"\ninclude_dir {nats.fleet / 'homes' / HOME}\n")
        home.start()
        try:
            with connected(nats, "recorder") as reader, paho_client.connected(home, "sensor", MQTTProtocolVersion.MQTTv5) as sensor:
                reader.subscribe("hems-p/+/+/mains", 1)
                sensor.publish(f"hems/{HOME}/mains", b"by TLS")
                until(lambda: (f"hems-p/{partition_of(HOME)}/{HOME}/mains", b"by TLS") in reader.received, lambda: (home.log, nats.log(0)))
        finally:
            home.stop()
        plain = PahoClient(MQTTProtocolVersion.MQTTv311, "recorder", nats.password("recorder"))
        plain.client.connect(nats.host, nats.ports[0])
        plain.client.loop_start()
        assert plain.disconnected.wait(paho_client.PATIENCE_S)
        plain.close()
        certified(tmp_path / "other", [nats.host])
        other = ssl.create_default_context(cafile=tmp_path / "other/ca.pem")
        with socket.create_connection((nats.host, nats.ports[0])) as bare, pytest.raises(ssl.SSLCertVerificationError):
            other.wrap_socket(bare, server_hostname=nats.host)
        nats.admit(HOMES[:3])
        for node in range(NODES):
            until(lambda node=node: "Reloaded" in nats.log(node), lambda node=node: nats.log(node))
        with connected(nats, f"home-{HOMES[2]}", node=1) as late:
            late.publish(f"hems/{HOMES[2]}/mains", b"hello")
            late.until_acknowledged()
