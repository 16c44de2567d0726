"""How a person's own program comes to the broker: by the account that `hems up` writes into the storage folder."""

from pathlib import Path

from pydantic import SecretStr

from hems.actor.settings import BrokerSettings, HomeSettings
from hems.contracts.catalog import CLIENT
from hems.contracts.topic import Root

ACCOUNT = "mqtt.env"
"""Its file, in the storage folder."""


def client_of(home: HomeSettings, broker: BrokerSettings, account: Path) -> tuple[BrokerSettings, Root]:
    """Broker and topics by that file.

    They are the configuration's own where that names a password, or where the file can't be used.
    """
    by_hand = broker.model_copy(update={"username": broker.username or CLIENT}), Root(home.id, broker.prefix)
    values = _values(account)
    try:
        prefix, home_id, _ = values["MQTT_TOPICS"].split("/")
        changes = {
            "host": values["MQTT_HOST"],
            "port": int(values["MQTT_PORT"]),
            "username": values["MQTT_USER"],
            "password": SecretStr(values["MQTT_PASSWORD"]),
        }
    except (KeyError, ValueError):
        return by_hand
    return by_hand if broker.password is not None else (broker.model_copy(update=changes), Root(home_id, prefix))


def _values(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):  # not there, another user's, or damaged
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)
