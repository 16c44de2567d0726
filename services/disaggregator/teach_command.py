"""`hems teach`: a person's word on an appliance, and what was learnt from it."""

import asyncio
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from hems.actor.account import ACCOUNT, client_of
from hems.actor.bus import Bus, Disconnected, Refused, Session
from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings, HomeSettings, StorageSettings
from hems.contracts.appliances import ApplianceLabel, ApplianceTaught
from hems.contracts.catalog import APPLIANCE_LABEL, APPLIANCE_TAUGHT
from hems.contracts.payload import Identifier, MalformedPayload
from hems.contracts.topic import Root

_PATIENCE_S = 5.0
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)
_NO_ANSWER = "the broker has your word, but the disaggregator does not answer; it is queued for it. `hems doctor` says whether it runs"


def _name(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return _IDENTIFIER.validate_python(value)
    except ValidationError:
        advice = "an appliance is named in small letters, digits, _ and -, such as washing_machine"
        raise click.BadParameter(f"{value!r}: {advice}") from None


@click.command()
@click.argument("appliance", callback=_name)
@click.option("--on", "verdict", flag_value="on", default="on", help="It is on now.  [default]")
@click.option("--off", "verdict", flag_value="off", help="It is off now.")
@click.option("--wrong", "verdict", flag_value="wrong", help="The last announcement of it was wrong.")
@click.option("--forget", "verdict", flag_value="forget", help="Forget all that was taught of it.")
@click.option(
    "--account", type=click.Path(dir_okay=False, path_type=Path), help="Broker and password.  [default: mqtt.env in the storage folder]"
)
def teach(appliance: str, verdict: str, account: Path | None) -> None:
    """Tell a running home what an appliance really does. It learns where that helps, and can forget again.

    Example: hems teach kettle --wrong
    """
    try:
        configuration = Configuration.load()
        account = account or configuration.section(StorageSettings).directory / ACCOUNT
        broker, root = client_of(configuration.section(HomeSettings), configuration.section(BrokerSettings), account)
        label = ApplianceLabel.model_validate({"id": uuid.uuid4().hex, "at": datetime.now(UTC), "verdict": verdict, "source": "client"})
        topic = APPLIANCE_LABEL.at(root, appliance=appliance)
    except (ConfigurationError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    try:
        answer = asyncio.run(_told(broker, root, appliance, topic, label))
    except (Disconnected, Refused) as error:
        raise click.ClickException(f"the broker at {broker.host}:{broker.port} does not take it ({error}): does `hems up` run?") from None
    except TimeoutError:
        raise click.ClickException(_NO_ANSWER) from None
    click.echo(f"{appliance}: {meaning(answer)}")


async def _told(broker: BrokerSettings, root: Root, appliance: str, topic: str, label: ApplianceLabel) -> ApplianceTaught:
    session = Session(f"{root.prefix}-{root.home}-teach-{os.getpid()}")
    async with asyncio.timeout(_PATIENCE_S), MqttBroker(broker).connect(session) as bus:
        await bus.subscribe(APPLIANCE_TAUGHT.at(root, appliance=appliance), 1)
        await bus.publish(topic, label.to_wire(), qos=1, retain=False)
        return await _answer(bus, label.id)


async def _answer(bus: Bus, label: str) -> ApplianceTaught:
    async for delivery in bus.deliveries():
        delivery.acknowledge()
        try:
            taught = ApplianceTaught.from_wire(delivery.payload)
        except MalformedPayload:
            continue
        if taught.label == label:
            return taught
    raise TimeoutError


def meaning(taught: ApplianceTaught) -> str:
    """What was learnt, in words."""
    if not taught.heeded:
        return "kept, but there is nothing that it could speak of: an appliance that no model knows, no announcement yet, or no readings"
    if not taught.words:
        return "forgotten, all that was taught of it"
    kept = "kept, the first word on it" if taught.words == 1 else f"kept, one of {taught.words} words on it"
    if taught.by_example:
        return f"{kept}; what the power did then is an example now"
    if not taught.log_odds:
        return f"{kept}; the words so far do not show that a change helps, so nothing changes yet"
    return f"{kept}; it is called {'sooner' if taught.log_odds > 0 else 'later'} from now on (log-odds {taught.log_odds:+.1f})"
