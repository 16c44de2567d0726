"""`python -m services.disaggregator` as a process on a real broker, killed as often as a test likes."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hems.contracts.appliances import ApplianceEvent, event_id
from hems.contracts.catalog import APPLIANCE_EVENT, APPLIANCE_LABEL, MAINS
from hems.contracts.mains import Mains
from hems.contracts.topic import Root
from services.disaggregator.domain.home import Home
from services.disaggregator.onnx_model import load_all
from services.disaggregator.recording import read
from services.disaggregator.settings import DisaggregatorSettings
from tests.support.broker import RealBroker
from tests.support.services import ServiceProcess, environment_of

PATIENCE_S = 30.0
DEMO = Path(__file__).parents[3] / "services/replay/demo/home.parquet"
READINGS = 1_200
KILLED_AT = (250, 577, 901)


def some_hours() -> list[Mains]:
    """Readings of a morning on which something ran, each 8 s."""
    home = read(DEMO)
    at = home.times_s.searchsorted(datetime(2015, 1, 5, 6, 30, tzinfo=UTC).timestamp())
    times_s, mains_w = (column[at : at + READINGS].tolist() for column in (home.times_s, home.mains_w))
    return [
        Mains(measured_at=datetime.fromtimestamp(time_s, UTC), power_w=round(power_w, 1), quality="measured")
        for time_s, power_w in zip(times_s, mains_w, strict=True)
        if power_w == power_w
    ]


def expected_events(home: str, readings: list[Mains]) -> list[str]:
    """The ids of what a home says that is never interrupted."""
    networks, refused = load_all(DisaggregatorSettings().models)
    assert not refused
    undisturbed = Home(networks)
    return [
        event_id(home, event.appliance, event.kind, datetime.fromtimestamp(event.at_s, UTC))
        for reading in readings
        for step in undisturbed.read(reading.measured_at.timestamp(), reading.power_w)
        for event in step.events
    ]


@contextmanager
def connected(broker: RealBroker, user: str) -> Generator[Client]:
    """A plain MQTT client."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=f"test-{user}")
    client.username_pw_set(user, broker.password(user))
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def leave_a_session(broker: RealBroker, root: Root) -> None:
    """Make the broker queue readings and words for the service before it has ever run, so that none comes too early."""
    subscribed = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, client_id=f"{root.prefix}-{root.home}-disaggregator-durable", protocol=MQTTv5)
    client.username_pw_set("disaggregator", broker.password("disaggregator"))
    client.on_subscribe = lambda client, userdata, number, reasons, properties: subscribed.set()
    lasting = Properties(PacketTypes.CONNECT)
    lasting.SessionExpiryInterval = 600
    client.connect(broker.host, broker.port, clean_start=False, properties=lasting)
    client.loop_start()
    client.subscribe([(MAINS.filter(root), 1), (APPLIANCE_LABEL.filter(root), 1)])
    assert subscribed.wait(PATIENCE_S)
    client.disconnect()
    client.loop_stop()


def eventually(condition: Callable[[], bool], service: ServiceProcess) -> None:
    """Wait for another process."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, service.log
        time.sleep(0.01)


def test_killed_and_started_again_it_tells_every_event_and_no_other(mosquitto: RealBroker, tmp_path: Path) -> None:
    """Killed three times in the middle of its readings, it says exactly the events of an undisturbed run, by their ids."""
    root, readings = Root("home"), some_hours()
    service = ServiceProcess("disaggregator", environment_of("disaggregator", mosquitto, tmp_path, root.home), tmp_path / "log")
    said = list[ApplianceEvent]()

    def listen(client: Client, userdata: object, message: MQTTMessage) -> None:
        said.append(ApplianceEvent.from_wire(bytes(message.payload)))

    with connected(mosquitto, "sensor") as sensor, connected(mosquitto, "recorder") as recorder:
        recorder.on_message = listen
        recorder.subscribe(APPLIANCE_EVENT.filter(root), 1)
        leave_a_session(mosquitto, root)
        service.start()
        for number, reading in enumerate(readings):
            if number in KILLED_AT:
                service.kill()
                service.start()
            sensor.publish(MAINS.at(root), reading.to_wire(), qos=1).wait_for_publish(PATIENCE_S)
        expected = expected_events(root.home, readings)
        eventually(lambda: {event.id for event in said} >= set(expected), service)
        assert service.stop() == 0
    assert len(expected) >= 2
    assert {event.id for event in said} == set(expected)
    finished = [event for event in said if event.kind == "finished"]
    assert all(event.duration_s is not None and event.energy_kwh is not None for event in finished)
