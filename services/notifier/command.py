"""`hems notify` and `hems messages`."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from pydantic import TypeAdapter, ValidationError

from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.settings import HomeSettings, StorageSettings
from services.notifier.domain.account import Account
from services.notifier.domain.outgoing import Accepted, Later, Outgoing
from services.notifier.domain.wording import clock_time
from services.notifier.ntfy_channel import NtfyChannel
from services.notifier.settings import NotifierSettings, phone_number
from services.notifier.twilio_channel import TwilioChannel

_NO_ACCOUNT = (
    "there is no Twilio account yet. Set notifier.twilio.account_sid and from_number in hems.yaml, and the token in the environment: "
    "HEMS_NOTIFIER__TWILIO__AUTH_TOKEN, or HEMS_NOTIFIER__TWILIO__AUTH_TOKEN_FILE with the name of a file that holds it."
)
_FOLLOWED_S = 30.0
_LOOK_EVERY_S = 2.0
_MESSAGE = TypeAdapter(Outgoing)
_INDEX = TypeAdapter(list[str])


def _number(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return value if value is None else phone_number(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option("--test", "number", callback=_number, metavar="NUMBER", help="Send a test message to this number.")
@click.option("--ntfy", "topic", metavar="TOPIC", help="Send it to this topic of ntfy instead.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Follow an SMS to the phone, for half a minute at most.")
def notify(number: str | None, topic: str | None, wait: bool) -> None:
    """Send one test message, by the account in hems.yaml or by ntfy, and say what comes of it. The services need not run.

    Example: hems notify --test +447700900123
    """
    try:
        configuration = Configuration.load()
        settings, home = configuration.section(NotifierSettings), configuration.section(HomeSettings)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    if (number is None) == (topic is None):
        raise click.UsageError("name either a number with --test, or a topic with --ntfy")
    if topic is not None:
        asyncio.run(_publish_test(_ntfy(settings, home), topic, _test_text(home)))
    elif number is not None:
        account = settings.twilio.account()
        if account is None:
            raise click.ClickException(_NO_ACCOUNT)
        asyncio.run(_send_test(account, number, _test_text(home), wait=wait))


def _test_text(home: HomeSettings) -> str:
    zone = ZoneInfo(home.time_zone)
    return f"Test from the home energy system at {clock_time(datetime.now(zone), zone)}: messages reach you."


async def _send_test(account: Account, number: str, text: str, *, wait: bool) -> None:
    channel = TwilioChannel(account)
    async with channel.opened():
        outcome = await channel.send(number, text, 600)
        if not isinstance(outcome, Accepted):
            again = " Try again later." if isinstance(outcome, Later) and not outcome.account else ""
            raise click.ClickException(f"{number}: {outcome.reason}.{again}")
        click.echo(f"Twilio took it: {outcome.provider_id}")
        if wait:
            await _follow(channel, outcome.provider_id)


def _ntfy(settings: NotifierSettings, home: HomeSettings) -> NtfyChannel:
    token = settings.ntfy.token.get_secret_value() if settings.ntfy.token else None
    return NtfyChannel(settings.ntfy.base_url, token, settings.ntfy.timeout_s, f"Home energy ({home.id})")


async def _publish_test(channel: NtfyChannel, topic: str, text: str) -> None:
    async with channel.opened():
        outcome = await channel.send(topic, text, 600)
    if not isinstance(outcome, Accepted):
        raise click.ClickException(f"{topic}: {outcome.reason}.{' Try again later.' if isinstance(outcome, Later) else ''}")
    click.echo("The ntfy server took it; whoever subscribes to the topic in the app sees it now.")


async def _follow(channel: TwilioChannel, provider_id: str) -> None:
    give_up_at = time.monotonic() + _FOLLOWED_S
    while time.monotonic() < give_up_at:
        delivered = await channel.check(provider_id)
        if delivered.state == "undelivered":
            raise click.ClickException(f"it was not delivered: {delivered.reason}")
        if delivered.state is not None:
            click.echo("delivered")
            return
        await asyncio.sleep(_LOOK_EVERY_S)
    click.echo(f"not delivered yet after {_FOLLOWED_S:.0f} s; Twilio's console shows what becomes of it")


@click.command()
@click.option("--last", default=20, show_default=True, type=click.IntRange(1, 200), help="How many of the newest.")
@click.option("--directory", type=click.Path(path_type=Path), help="Where the services keep their files, if not as hems.yaml says.")
def messages(last: int, directory: Path | None) -> None:
    """Show the newest messages, and what became of each; without an account, what would have been sent.

    While the demo runs and no other home does, the demo's are shown. Example: hems messages --last 5
    """
    try:
        configuration = Configuration.load()
        home, storage = configuration.section(HomeSettings), configuration.section(StorageSettings)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    path = _store(directory or storage.directory, home.id)
    if path is None:
        raise click.ClickException(f"no notifier has run in {directory or storage.directory} yet; start one with `hems up`")
    zone = ZoneInfo(home.time_zone)
    for message in _kept(path)[-last:]:
        click.echo(_line(message, zone))


def _store(directory: Path, home: str) -> Path | None:
    """The notifier's file: of the services' own folder, of `hems up`, or of the demo."""
    folders = (directory, directory / "homes", directory / "demo" / "homes")
    return next((path for folder in folders if (path := folder / home / "notifier.db").exists()), None)


def _kept(path: Path) -> list[Outgoing]:
    """What the notifier has written down, the oldest first. Reading disturbs it not."""
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as store:
        rows = dict(store.execute("SELECT key, value FROM state WHERE key = 'messages' OR key LIKE 'message/%'"))
    index = _INDEX.validate_json(rows.get("messages", b"[]"))
    return list(_readable(rows.get(f"message/{name}") for name in index))


def _readable(rows: Iterator[bytes | None]) -> Iterator[Outgoing]:
    for row in rows:
        with contextlib.suppress(ValidationError):
            if row is not None:
                yield _MESSAGE.validate_json(row)


def _line(message: Outgoing, zone: ZoneInfo) -> str:
    status = message.status.replace("_", " ")
    why = f" ({message.reason})" if message.reason else ""
    at = f"{message.created_at.astimezone(zone):%a %d %b %H:%M}"
    text = message.text.replace("\n", " / ")
    return f"{at}  {message.recipient}  {message.channel if message.channel != 'none' else '-'}  {status}{why}: {text}"
