"""`hems setup`."""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from hems.actor.configuration import ConfigurationError
from hems.actor.settings import HomeSettings, StorageSettings
from hems.setting_up.commands import run_hems
from hems.setting_up.configuration_file import ConfigurationFile
from hems.setting_up.conversation import Conversation, Left, Terminal
from hems.setting_up.places import configuration_path, hand_over, is_up, load
from hems.setting_up.step import Ask
from services.setup.page import PageConversation, PortTaken

STEPS = {
    "home": ("services.setup.home", "its name, time and money"),
    "meter": ("services.sensor.asking", "the clamp meter, and a voltage sensor"),
    "relays": ("services.actuator.asking", "what may be switched, each tried for two seconds"),
    "tariff": ("services.recorder.asking", "what energy costs"),
    "phone": ("services.notifier.asking", "messages, with a test"),
    "adafruit": ("services.setup.adafruit", "a dashboard in the cloud"),
}
"""What is asked, in order; each module is imported when its turn comes."""


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(STEPS)))
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="The configuration, if it is not hems.yaml.")
@click.option("--page", is_flag=True, help="Ask on a page in your browser, on this computer.")
@click.option("--page-port", type=click.IntRange(0, 65_535), default=8_088, show_default=True, help="The page's port.")
def setup(parts: Sequence[str], config: Path | None, page_port: int, *, page: bool) -> None:
    """Set hems up, or change one thing: PARTS of home, meter, relays, tariff, phone, adafruit; all of them where none is named.

    The services have to be stopped. What stands in hems.yaml is offered as the answer, comments stay, secrets go into files of their own.

    Example: hems setup meter
    """
    path = configuration_path(config)
    _only_while_stopped(path)
    try:
        _ask(path, parts or list(STEPS), page_port if page else None)
    finally:
        hand_over(load(path).section(StorageSettings).directory)


def _ask(path: Path, parts: Sequence[str], page_port: int | None) -> None:
    try:
        if page_port is not None:
            with PageConversation(page_port) as conversation:
                click.echo(f"Open {conversation.address} on this computer. Ctrl-C ends it.")
                _converse(conversation, path, parts)
                conversation.end("That was all: this page may be closed.")
        else:
            click.echo("An empty answer takes what stands in brackets; Ctrl-C leaves.")
            _converse(Terminal(), path, parts)
    except PortTaken as error:
        raise click.ClickException(f"{error}; choose another with --page-port") from None
    except (Left, KeyboardInterrupt):
        click.echo("\nLeft. What was written stays; `hems setup` may be run again at any time.")
        sys.exit(1)


def _only_while_stopped(path: Path) -> None:
    try:
        directory = load(path).section(StorageSettings).directory
        load(path).section(HomeSettings)
        ConfigurationFile(path)
    except ConfigurationError as error:
        raise click.ClickException(f"{error}\nCorrect that first; `hems check-config` names every mistake") from None
    if is_up(directory):
        raise click.ClickException(
            "hems runs here, and holds the meter's port and the relays: stop `hems up` first (Ctrl-C), then run this"
        )


def _converse(talk: Conversation, path: Path, parts: Sequence[str]) -> None:
    talk.say(f"This sets up {path}. What stands there already is offered as the answer.")
    for part in parts:
        _step(talk, path, part)
    status, said = run_hems("check-config", str(path), configuration=path) if path.exists() else (0, "")
    talk.say(f"\n{path}: {said}" if status else f"\n{path} is ready.")
    talk.say("Next: `hems calibrate` makes the meter read true, `hems up` starts everything, `hems doctor` looks whether all is well.")


def _step(talk: Conversation, path: Path, part: str) -> None:
    ask: Ask = importlib.import_module(STEPS[part][0]).ask
    while True:
        try:
            ask(talk, ConfigurationFile(path))
        except (ConfigurationError, OSError) as error:
            talk.say(f"That was not written: {error}")
            if talk.confirm(f"Try {part} again?"):
                continue
        return
