"""`hems up`."""

import asyncio
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click

from hems.actor.configuration import ConfigurationError
from services.supervisor.log_file import LogFile
from services.supervisor.mosquitto import BrokerFailed, BrokerNotFound
from services.supervisor.plan import Plan, Wishes, decide
from services.supervisor.processes import Say
from services.supervisor.up import RecordingUnreadable, run
from services.supervisor.workspace import Occupied, only_one

_COLOURS = ("cyan", "green", "yellow", "magenta", "blue", "bright_cyan", "bright_green", "bright_yellow", "bright_magenta", "bright_blue")


@click.command()
@click.option("--demo", is_flag=True, help="Play the recorded home that ships with hems, with nothing connected.")
@click.option("--speed", type=click.FloatRange(min=0.1, max=1_000), default=20.0, show_default=True, help="How fast the demo's time runs.")
@click.option("--port", type=click.IntRange(1, 65_535), help="The broker's port; for the demo, the next free one if it is taken.")
@click.option("--page-port", type=click.IntRange(1, 65_535), help="The demo's page, or the next free port if it is taken.  [default: 8080]")
@click.option("--home", help="The home's id, in every topic.")
@click.option("--watch/--no-watch", default=None, help="Show the home in the terminal.  [default: only for the demo]")
@click.option(
    "--directory", type=click.Path(file_okay=False, path_type=Path), help="Where state is kept.  [default: storage.directory, var]"
)
@click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="The configuration.  [default: hems.yaml, if there is one]")
def up(
    demo: bool,
    speed: float,
    port: int | None,
    page_port: int | None,
    home: str | None,
    watch: bool | None,
    directory: Path | None,
    config: Path | None,
) -> None:
    """Start the broker and all services, and keep them up until Ctrl-C.

    Example: hems up --demo --speed 60
    """
    try:
        plan = decide(Wishes(directory, demo, speed, port, page_port, home, config))
        with only_one(plan.lock):
            _start(plan, watch=sys.stdout.isatty() and (demo if watch is None else watch))
    except (ConfigurationError, BrokerNotFound, BrokerFailed, RecordingUnreadable, Occupied, OSError) as error:
        click.echo(f"hems up: {error}", err=True)
        sys.exit(78 if isinstance(error, ConfigurationError) else 1)


def _start(plan: Plan, *, watch: bool) -> None:
    if plan.demo:
        plan.workspace.empty()
    broker = plan.broker
    plan.workspace.write_client_account(plan.account, host=broker.host, port=broker.port, prefix=broker.prefix, home=plan.home)
    _introduce(plan)
    with _speaker(plan, watch=watch) as say:
        asyncio.run(run(plan, say, watch=watch))


def _introduce(plan: Plan) -> None:
    if plan.demo:
        click.echo(f"This is a demo: a recorded home, played {plan.environment['HEMS_CLOCK__RATE']} times as fast, with simulated meters.")
    if plan.own_broker:
        click.echo(f"MQTT broker on {plan.broker.host}:{plan.broker.port}; the account for your own client is in {plan.account}.")
    if plan.page:
        click.echo(f"The page: {plan.page}")
    click.echo("Ctrl-C stops all of it.")


@contextmanager
def _speaker(plan: Plan, *, watch: bool) -> Generator[Say]:
    """Lines go into the home's log, and to the terminal where nothing else is drawn there."""
    log = LogFile(plan.workspace.directory / "hems.log")
    if watch:
        click.echo(f"The services' logs go to {plan.workspace.directory / 'hems.log'}.")
    terminal = None if watch else line_writer(sys.stdout, colour=sys.stdout.isatty())

    def say(name: str, line: str) -> None:
        log.write(f"{name:<14}| {line}")
        if terminal:
            terminal(name, line)

    try:
        yield say
    finally:
        log.close()


def line_writer(file: TextIO, *, colour: bool) -> Say:
    """Writes lines with their names; a reader that has gone, or a full disk, must not end what is written about."""
    colours: dict[str, str] = {}

    def say(name: str, line: str) -> None:
        chosen = colours.setdefault(name, _COLOURS[len(colours) % len(_COLOURS)])
        prefix = click.style(f"{name:<14}|", fg=chosen) if colour else f"{name:<14}|"
        try:
            file.write(f"{prefix} {line}\n")
            file.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())  # else Python tries once more at its end, and fails
        except OSError:
            return

    return say
