"""Assembles the notifier."""

from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.context import Context
from hems.actor.runner import run_service
from hems.actor.settings import HomeSettings
from services.notifier.actor import Notifier
from services.notifier.delivery import Channel
from services.notifier.ntfy_channel import NtfyChannel
from services.notifier.settings import NotifierSettings
from services.notifier.twilio_channel import TwilioChannel


def _channels(settings: NotifierSettings, home: str) -> dict[str, Channel]:
    channels: list[Channel] = []
    if (account := settings.twilio.account()) is not None:
        channels.append(TwilioChannel(account))
    if any(person.ntfy for person in settings.recipients.values()):
        token = settings.ntfy.token.get_secret_value() if settings.ntfy.token else None
        channels.append(NtfyChannel(settings.ntfy.base_url, token, settings.ntfy.timeout_s, f"Home energy ({home})"))
    return {channel.name: channel for channel in channels}


def _build(settings: NotifierSettings, context: Context) -> Notifier:
    configuration = Configuration.load()
    place = configuration.section(HomeSettings)
    channels = _channels(settings, place.id)
    if channels and context.clock.rate != 1:
        advice = f"real messages ({', '.join(channels)}) can't be sent in simulated time; take the account away, or set the rate to 1"
        raise ConfigurationError([Mistake(configuration.file, None, "clock.rate", advice)])
    return Notifier(settings, context, channels, place)


if __name__ == "__main__":
    run_service("notifier", NotifierSettings, _build)
