"""How a person's own program comes to the broker: by the account that `hems up` writes into `var/mqtt.env`."""

from pathlib import Path

from pydantic import SecretStr

from hems.actor.settings import BrokerSettings, HomeSettings
from hems.contracts.topic import Root


def client_of(home: HomeSettings, broker: BrokerSettings, account: Path) -> tuple[BrokerSettings, Root]:
    """Broker and topics by that file, unless the configuration names a user of the broker or there is no file."""
    if broker.password is not None or not account.exists():
        return broker.model_copy(update={"username": broker.username or "client"}), Root(home.id, broker.prefix)
    values = dict(line.split("=", 1) for line in account.read_text(encoding="utf-8").splitlines() if "=" in line)
    prefix, home_id, _ = values["MQTT_TOPICS"].split("/")
    changes = {"host": values["MQTT_HOST"], "port": int(values["MQTT_PORT"]), "username": values["MQTT_USER"]}
    return broker.model_copy(update={**changes, "password": SecretStr(values["MQTT_PASSWORD"])}), Root(home_id, prefix)
