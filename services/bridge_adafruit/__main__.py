"""Assembles the bridge."""

from typing import TYPE_CHECKING

from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.context import Context
from hems.actor.runner import run_service
from services.bridge_adafruit.account import Account
from services.bridge_adafruit.actor import BridgeAdafruit, Door
from services.bridge_adafruit.domain.hooks import Hook
from services.bridge_adafruit.settings import BridgeAdafruitSettings, locked_of, relays_of

if TYPE_CHECKING:
    from services.bridge_adafruit.cloud import Api, Cloud
    from services.bridge_adafruit.telling import Recipes


def _hooks(settings: BridgeAdafruitSettings, file: str) -> dict[str, Hook]:
    try:
        return settings.opened()
    except ValueError as error:
        raise ConfigurationError([Mistake(file, None, "bridge_adafruit.hooks", str(error))]) from None


# The HTTP library takes a second and 15 MB: it is loaded only where something needs it.


def _cloud(account: Account | None) -> "tuple[Cloud | None, Api | None]":
    if account is None:
        return None, None
    from services.bridge_adafruit.adafruit_http import AdafruitHttp
    from services.bridge_adafruit.adafruit_mqtt import AdafruitMqtt

    return AdafruitMqtt(account), AdafruitHttp(account)


def _door(settings: BridgeAdafruitSettings, hooks: dict[str, Hook]) -> Door | None:
    if not hooks:
        return None
    from services.bridge_adafruit.hook_server import HookServer

    return HookServer(settings.hooks_host, settings.hooks_port)


def _recipes(settings: BridgeAdafruitSettings) -> "Recipes | None":
    ifttt = settings.ifttt
    if ifttt.key is None or not ifttt.events:
        return None
    from services.bridge_adafruit.ifttt import Ifttt

    return Ifttt(ifttt.base_url, ifttt.key.get_secret_value(), ifttt.timeout_s)


def _build(settings: BridgeAdafruitSettings, context: Context) -> BridgeAdafruit:
    configuration = Configuration.load()
    account = Account.of(settings)
    if account is not None and context.clock.rate != 1:
        advice = "a real dashboard can't show simulated time; take bridge_adafruit.username away, or set the rate to 1"
        raise ConfigurationError([Mistake(configuration.file, None, "clock.rate", advice)])
    feeds, _ = settings.shown(relays_of(configuration), locked_of(configuration))
    hooks = _hooks(settings, configuration.file)
    cloud, api = _cloud(account)
    return BridgeAdafruit(
        settings, context, feeds=feeds, cloud=cloud, api=api, hooks=hooks, door=_door(settings, hooks), recipes=_recipes(settings)
    )


if __name__ == "__main__":
    run_service("bridge_adafruit", BridgeAdafruitSettings, _build)
