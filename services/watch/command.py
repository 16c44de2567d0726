"""`hems watch`."""

import asyncio
import contextlib
import io
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import structlog
from rich.console import Console
from rich.live import Live

from hems.actor.account import ACCOUNT, client_of
from hems.actor.bus import Session
from hems.actor.clock import WallClock
from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.connection import Connection
from hems.actor.health import Health
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings, HomeSettings, StorageSettings
from hems.contracts.alerts import NotifyMessage
from hems.contracts.appliances import ApplianceEvent
from hems.contracts.mains import Mains
from hems.contracts.relays import RelayState
from hems.contracts.topic import Root
from services.watch.actor import Watch
from services.watch.domain import View, readable, sentence, told
from services.watch.screen import picture
from services.watch.trouble import TroubleLog

_FRAMES_A_SECOND = 4
_PICTURE_WIDTH = 96


@click.command()
@click.option(
    "--account", type=click.Path(dir_okay=False, path_type=Path), help="Broker and password.  [default: mqtt.env in the storage folder]"
)
@click.option("--picture", "saved", type=click.Path(dir_okay=False, path_type=Path), help="Save the last screen here, as SVG.")
@click.option("--page", help="Where the page is, to be shown.")
def watch(account: Path | None, saved: Path | None, page: str | None) -> None:
    """Show the home in the terminal, live: power, appliances, events, relays, services. Plain lines where there is no terminal.

    Example: hems watch
    """
    try:
        configuration = Configuration.load()
        home, broker = configuration.section(HomeSettings), configuration.section(BrokerSettings)
        account = account or configuration.section(StorageSettings).directory / ACCOUNT
    except ConfigurationError as error:
        click.echo(f"hems watch: {error}", err=True)
        sys.exit(78)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_watch(ZoneInfo(home.time_zone), *client_of(home, broker, account), View(page=page), saved))


async def _watch(zone: ZoneInfo, broker: BrokerSettings, root: Root, view: View, saved: Path | None) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _cancel, asyncio.current_task())
    clock, console = WallClock(), Console()
    actor = Watch(view, _nothing if console.is_terminal else _plain_line)
    session = Session(f"{root.prefix}-{root.home}-watch-{os.getpid()}")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    log: Any = TroubleLog(view) if console.is_terminal else structlog.get_logger()
    connection = Connection(MqttBroker(broker), session, actor.inputs, (), root=root, clock=clock, health=Health(clock.now()), log=log)
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(connection.keep())
            if console.is_terminal:
                tasks.create_task(_draw(console, view, zone))
    if saved:
        save_picture(view, zone, saved)


def save_picture(view: View, zone: ZoneInfo, path: Path) -> None:
    """Draw the view into an SVG file."""
    console = Console(width=_PICTURE_WIDTH, record=True, file=io.StringIO())
    console.print(picture(view, width=_PICTURE_WIDTH, zone=zone))
    drawn = console.export_svg(title="hems watch")
    # rich would have the reader's computer fetch a font from the web.
    path.write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL), encoding="utf-8")


async def _draw(console: Console, view: View, zone: ZoneInfo) -> None:
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(picture(view, width=console.width, zone=zone), refresh=True)
            await asyncio.sleep(1 / _FRAMES_A_SECOND)


def _plain_line(view: View, message: object, name: str) -> None:
    if isinstance(message, Mains):
        click.echo(f"{message.measured_at:%Y-%m-%d %H:%M:%S}  {message.power_w:,.0f} W")
    elif isinstance(message, ApplianceEvent):
        click.echo(f"{message.at:%Y-%m-%d %H:%M:%S}  {sentence(name, message)}")
    elif isinstance(message, RelayState):
        click.echo(f"{message.changed_at:%Y-%m-%d %H:%M:%S}  relay {readable(name)} is {message.state}")
    elif isinstance(message, NotifyMessage):
        click.echo(f"{message.at:%Y-%m-%d %H:%M:%S}  to {told(message)}")


def _nothing(view: View, message: object, name: str) -> None:
    """The terminal is drawn anew anyway."""


def _cancel(task: "asyncio.Task[Any] | None") -> None:
    if task is not None:
        task.cancel()
