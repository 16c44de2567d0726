"""An actuator process, a real broker, and a switch that behaves as Tasmota does: its will, its answers, its broken connections."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion

from tests.support.broker import RealBroker
from tests.support.paho_client import PahoClient
from tests.support.relays import Relays, relays, results, say, states

CONFIGURATION = """
actuator:
  board: tasmota
  relays:
    bulb: {device: plug, max_on_s: 3600}
"""
LWT, COMMAND, STATE = "tele/plug/LWT", "cmnd/plug/POWER", "stat/plug/POWER"


class Plug(PahoClient):
    """A switch of one relay. Before it answers, it says by itself where it stands."""

    def __init__(self, broker: RealBroker, stands: bytes) -> None:
        super().__init__(MQTTProtocolVersion.MQTTv311, "device", broker.password("device"))
        self.stands = stands
        self.client.will_set(LWT, b"Offline", qos=1, retain=True)
        self.client.on_message = self._on_command
        self.connect(broker.host, broker.port)
        self.client.publish(LWT, b"Online", retain=True)
        self.subscribe("cmnd/plug/#")
        self.client.publish(STATE, self.stands)

    def unplug(self) -> None:
        """Go without a word, as in a power cut: the broker says the will."""
        wire = self.client.socket()
        assert isinstance(wire, socket.socket)
        wire.shutdown(socket.SHUT_RDWR)
        self.disconnected.wait()

    def _on_command(self, client: Client, _data: object, message: MQTTMessage) -> None:
        if message.topic == COMMAND:
            self.received.append((message.topic, bytes(message.payload)))
            self.stands = bytes(message.payload)
            client.publish(STATE, self.stands)


@contextmanager
def _plugged_in(broker: RealBroker, stands: bytes) -> Generator[Plug]:
    plug = Plug(broker, stands)
    try:
        yield plug
    finally:
        plug.close()


def _until_shown(home: Relays, client: PahoClient, *expected: str) -> None:
    def shown() -> tuple[str, ...]:
        return (states(client, "bulb")[-1].state, states(client, "bulb")[-1].how) if states(client, "bulb") else ()

    home.until(lambda: shown() == expected, f"{expected} is not shown, but the last of {states(client, 'bulb')}")


def test_a_switch_that_is_unplugged_and_comes_back(mosquitto: RealBroker, tmp_path: Path) -> None:
    """Its will makes it `commanded`; away from safe is refused meanwhile; it comes back on, and is told what holds."""
    with relays(mosquitto, tmp_path, CONFIGURATION) as (home, client):
        with _plugged_in(mosquitto, b"ON") as plug:
            _until_shown(home, client, "OFF", "read_back")
            say(client, "bulb", b"ON")
            _until_shown(home, client, "ON", "read_back")
            plug.unplug()
            _until_shown(home, client, "ON", "commanded")
        say(client, "bulb", b"ON")
        say(client, "bulb", b"OFF")
        home.until(lambda: len(results(client, "bulb")) == 3)
        assert [result.accepted for result in results(client, "bulb")] == [True, False, True]
        _until_shown(home, client, "OFF", "commanded")
        with _plugged_in(mosquitto, b"ON") as plug:
            _until_shown(home, client, "OFF", "read_back")
            assert {payload for _, payload in plug.received} == {b"OFF"}
            assert plug.stands == b"OFF"


def test_a_start_finds_a_switch_that_was_unplugged(mosquitto: RealBroker, tmp_path: Path) -> None:
    """The broker keeps the will: an actuator that starts later refuses what leaves safety at once."""
    with _plugged_in(mosquitto, b"ON") as plug:
        plug.unplug()
    with relays(mosquitto, tmp_path, CONFIGURATION) as (home, client):
        home.until(lambda: "a switch is offline" in home.process("actuator").log)
        say(client, "bulb", b"ON")
        home.until(lambda: results(client, "bulb"))
        assert [(result.accepted, result.reason) for result in results(client, "bulb")] == [(False, "its switch is offline")]
