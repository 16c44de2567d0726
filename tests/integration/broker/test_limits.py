"""The numbers of `broker/mosquitto.conf`, on a real Mosquitto."""

from pathlib import Path

import pytest
import trustme
from paho.mqtt.enums import MQTTProtocolVersion

from hems.contracts.payload import LONGEST_PACKET_BYTES
from services.supervisor.broker_configuration import base_configuration
from tests.support.broker import RealBroker
from tests.support.paho_client import PATIENCE_S, PahoClient, connected

FIVE, THREE = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
MAINS = "hems/limits/mains"


@pytest.mark.parametrize("protocol", [FIVE, THREE])
def test_a_packet_over_the_limit_ends_the_connection_and_goes_nowhere(mosquitto: RealBroker, protocol: MQTTProtocolVersion) -> None:
    """A packet of exactly the limit arrives; with one byte more after its fixed header of four, the sender is cut off."""
    with connected(mosquitto, "recorder", protocol) as reader, connected(mosquitto, "sensor", THREE) as sensor:
        reader.subscribe(MAINS)
        fits = b"." * (LONGEST_PACKET_BYTES - 8 - len(MAINS))
        sensor.publish(MAINS, fits)
        sensor.until_acknowledged()
        sensor.publish(MAINS, fits + b"." * 5)
        assert sensor.disconnected.wait(PATIENCE_S)
        reader.subscribe("nothing/more")
        assert [len(payload) for _, payload in reader.received] == [len(fits)]


@pytest.mark.parametrize("protocol", [FIVE, THREE])
def test_a_durable_reader_that_was_away_gets_all_even_after_a_restart(mosquitto: RealBroker, protocol: MQTTProtocolVersion) -> None:
    """5,000 readings said while a durable reader is away, with the broker restarted meanwhile, arrive in order."""
    said = [b"%d" % number for number in range(5_000)]
    with connected(mosquitto, "recorder", protocol, session="away") as reader:
        reader.subscribe(MAINS, qos=1)
    with connected(mosquitto, "sensor", protocol) as sensor:
        for payload in said:
            sensor.publish(MAINS, payload)
        sensor.until_acknowledged()
    mosquitto.restart()
    with connected(mosquitto, "recorder", protocol, session="away") as reader:
        reader.until_received(len(said))
    assert [payload for _, payload in reader.received] == said


def test_the_tls_listener_works_once_its_comment_signs_are_gone(tmp_path: Path) -> None:
    """As the comment says: with certificates there, TLS is what the listener speaks."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    broker = RealBroker(tmp_path)
    shipped = [line.removeprefix("# ") for line in base_configuration().splitlines()]
    switched_on = [line for line in shipped if line.split(" ")[0] in {"listener", "cafile", "certfile", "keyfile", "tls_version"}][1:]
    plain = (tmp_path / "mosquitto.conf").read_text()
    rest = [line for line in plain.splitlines() if not line.startswith("listener ")]
    tls = (
        "\n".join(switched_on).replace("listener 8883", f"listener {broker.port} {broker.host}").replace("/mosquitto/config", str(tmp_path))
    )
    (tmp_path / "mosquitto.conf").write_text("\n".join([tls, *rest]) + "\n")
    broker.start()
    try:
        client = PahoClient(FIVE, "sensor", broker.password("sensor"))
        client.client.tls_set(str(tmp_path / "ca.pem"))  # pyright: ignore[reportUnknownMemberType]
        assert not client.connect(broker.host, broker.port).is_failure
        client.close()
    finally:
        broker.stop()
