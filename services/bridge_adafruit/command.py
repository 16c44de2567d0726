"""`hems adafruit setup`."""

import asyncio
import json
from typing import Any

import click

from hems.actor.configuration import Configuration, ConfigurationError
from services.bridge_adafruit.account import Account
from services.bridge_adafruit.adafruit_http import AdafruitHttp
from services.bridge_adafruit.cloud import ApiRefused, ApiSilent
from services.bridge_adafruit.setting_up import DryRun, NoRoom, SettingUp, Wanted
from services.bridge_adafruit.settings import BridgeAdafruitSettings, locked_of, relays_of

_NO_ACCOUNT = (
    "there is no Adafruit IO account yet. Make one at https://io.adafruit.com, then set bridge_adafruit.username in hems.yaml, and "
    "key_file beside it to the name of a file that holds the key (or HEMS_BRIDGE_ADAFRUIT__KEY_FILE in the environment)."
)


@click.group()
def adafruit() -> None:
    """The dashboard in the cloud, at Adafruit IO.

    Example: hems adafruit setup --dry-run
    """


@adafruit.command()
@click.option("--dry-run", is_flag=True, help="Read the account, and show the calls that would change it.")
def setup(dry_run: bool) -> None:
    """Make the feeds and the dashboard, or mend them; what people have changed there stays.

    Example: hems adafruit setup
    """
    try:
        configuration = Configuration.load()
        settings = configuration.section(BridgeAdafruitSettings)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    account = Account.of(settings)
    if account is None:
        raise click.ClickException(_NO_ACCOUNT)
    feeds, left_out = settings.shown(relays_of(configuration), locked_of(configuration))
    wanted = Wanted(settings.group, feeds, left_out, settings.most_feeds, settings.orders)
    try:
        asyncio.run(_set_up(account, wanted, dry_run=dry_run))
    except ApiRefused as refusal:
        raise click.ClickException(_advice(refusal)) from None
    except ApiSilent as silence:
        raise click.ClickException(f"{silence}. Run this again: it goes on where it ended.") from None
    except NoRoom as full:
        raise click.ClickException(str(full)) from None


async def _set_up(account: Account, wanted: Wanted, *, dry_run: bool) -> None:
    http = AdafruitHttp(account)
    async with http.opened():
        report = await SettingUp(DryRun(http, _show) if dry_run else http, wanted).run()
    for done in report.done if not dry_run else ():
        click.echo(f"made: {done}")
    if not report.done:
        click.echo("all is there already")
    if report.left_out:
        most = "" if wanted.most_feeds is None else f" of {wanted.most_feeds} (bridge_adafruit.most_feeds)"
        others = f", and {report.other_feeds} of the account's are others'" if report.other_feeds else ""
        click.echo(f"left out, since there is no room for more feeds{most}{others}: {', '.join(report.left_out)}")
    click.echo(f"dashboard: {http.page}/dashboards/{wanted.dashboard}")


def _show(method: str, path: str, body: Any) -> None:
    click.echo(f"{method} {path} {json.dumps(body)}")


def _advice(refusal: ApiRefused) -> str:
    if refusal.status in (401, 403):
        return "Adafruit IO refuses the key; check bridge_adafruit.username and key_file"
    if refusal.status == 429:
        return f"{refusal}. Wait a minute, and run this again: it goes on where it ended."
    return str(refusal)
