"""Assembles the bridge."""

from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.context import Context
from hems.actor.runner import run_service
from services.bridge_adafruit.account import Account
from services.bridge_adafruit.actor import BridgeAdafruit
from services.bridge_adafruit.adafruit_http import AdafruitHttp
from services.bridge_adafruit.adafruit_mqtt import AdafruitMqtt
from services.bridge_adafruit.domain.hooks import Hook
from services.bridge_adafruit.hook_server import HookServer
from services.bridge_adafruit.ifttt import Ifttt
from services.bridge_adafruit.settings import BridgeAdafruitSettings, relays_of


def _hooks(settings: BridgeAdafruitSettings, file: str) -> dict[str, Hook]:
    try:
        return settings.opened()
    except ValueError as error:
        raise ConfigurationError([Mistake(file, None, "bridge_adafruit.hooks", str(error))]) from None


def _build(settings: BridgeAdafruitSettings, context: Context) -> BridgeAdafruit:
    configuration = Configuration.load()
    known = Account.of(settings)
    if known is not None and context.clock.rate != 1:
        advice = "a real dashboard can't show simulated time; take bridge_adafruit.username away, or set the rate to 1"
        raise ConfigurationError([Mistake(configuration.file, None, "clock.rate", advice)])
    feeds, _ = settings.shown(relays_of(configuration))
    ifttt = settings.ifttt
    return BridgeAdafruit(
        settings,
        context,
        feeds=feeds,
        cloud=AdafruitMqtt(known) if known else None,
        api=AdafruitHttp(known) if known else None,
        hooks=_hooks(settings, configuration.file),
        door=HookServer(settings.hooks_host, settings.hooks_port),
        recipes=Ifttt(ifttt.base_url, ifttt.key.get_secret_value(), ifttt.timeout_s) if ifttt.key and ifttt.events else None,
    )


if __name__ == "__main__":
    run_service("bridge_adafruit", BridgeAdafruitSettings, _build)
