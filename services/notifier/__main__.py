"""Assembles the notifier."""

from typing import TYPE_CHECKING

from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.context import Context
from hems.actor.runner import run_service
from hems.actor.settings import HomeSettings
from services.notifier.actor import Notifier
from services.notifier.delivery import Channel
from services.notifier.ntfy_channel import NtfyChannel
from services.notifier.settings import NotifierSettings

if TYPE_CHECKING:
    from services.notifier.twilio_channel import TwilioChannel


def _sms(settings: NotifierSettings) -> "TwilioChannel | None":
    account = settings.twilio.account()
    if account is None:
        return None
    # Twilio's library takes a second and 12 MB; without an account it is not needed.
    from services.notifier.twilio_channel import TwilioChannel

    return TwilioChannel(account)


def _ntfy(settings: NotifierSettings, home: str) -> NtfyChannel | None:
    if not any(person.ntfy for person in settings.recipients.values()):
        return None
    token = settings.ntfy.token.get_secret_value() if settings.ntfy.token else None
    return NtfyChannel(settings.ntfy.base_url, token, settings.ntfy.timeout_s, f"Home energy ({home})")


def _build(settings: NotifierSettings, context: Context) -> Notifier:
    configuration = Configuration.load()
    place = configuration.section(HomeSettings)
    sms, ntfy = _sms(settings), _ntfy(settings, place.id)
    known: tuple[Channel | None, ...] = (sms, ntfy)
    channels = {channel.name: channel for channel in known if channel is not None}
    if channels and context.clock.rate != 1:
        advice = f"real messages ({', '.join(channels)}) can't be sent in simulated time; take the account away, or set the rate to 1"
        raise ConfigurationError([Mistake(configuration.file, None, "clock.rate", advice)])
    return Notifier(settings, context, channels, place, inbox=sms)


if __name__ == "__main__":
    run_service("notifier", NotifierSettings, _build)
