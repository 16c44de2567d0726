"""The account that `hems up` leaves for a person's own programs."""

from pathlib import Path

import pytest

from hems.actor.account import client_of
from hems.actor.settings import BrokerSettings, HomeSettings

WHOLE = "MQTT_HOST=127.0.0.1\nMQTT_PORT=18884\nMQTT_USER=client\nMQTT_PASSWORD=s=cret\nMQTT_TOPICS=hems/cottage/#\n"


def test_the_account_names_broker_and_home(tmp_path: Path) -> None:
    """It goes over the configuration's address, unless that has a password of its own."""
    path = tmp_path / "mqtt.env"
    path.write_text(WHOLE)
    broker, root = client_of(HomeSettings.read({}, {}), BrokerSettings.read({}, {}), path)
    assert (broker.port, broker.username, root.home, root.prefix) == (18_884, "client", "cottage", "hems")
    assert broker.password is not None
    assert broker.password.get_secret_value() == "s=cret"
    broker, root = client_of(HomeSettings.read({}, {}), BrokerSettings.read({"password": "own", "username": "me"}, {}), path)
    assert (broker.port, broker.username, root.home) == (18_883, "me", "home")


@pytest.mark.parametrize(
    "content", [None, b"", b"\xff\xfe", b"MQTT_HOST=127.0.0.1\n", WHOLE.replace("18884", "x").encode(), WHOLE.replace("/#", "").encode()]
)
def test_an_account_that_can_not_be_used_is_passed_over(content: bytes | None, tmp_path: Path) -> None:
    """Missing, empty, no text, cut off, or damaged: the configuration counts, under the client's name."""
    path = tmp_path / "mqtt.env"
    if content is not None:
        path.write_bytes(content)
    broker, root = client_of(HomeSettings.read({}, {}), BrokerSettings.read({}, {}), path)
    assert (broker.port, broker.username, root.home) == (18_883, "client", "home")
