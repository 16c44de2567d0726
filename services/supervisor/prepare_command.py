"""`hems prepare`."""

import sys
from pathlib import Path
from typing import Any

import click

from services.supervisor.preparation import Preparation, Unprepared, client_account

_folder: Any = click.Path(file_okay=False, path_type=Path)


def _owner(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    try:
        return {name: int(number) for name, _, number in (value.partition("=") for value in values)}
    except ValueError:
        raise click.BadParameter("give each as NAME=NUMBER, such as sensor=2001") from None


@click.command()
@click.option("--directory", type=_folder, default=Path("/etc/hems"), show_default=True, help="What is prepared.")
@click.option("--state", type=_folder, help="Where each owner gets a folder of its own.")
@click.option("--person", type=_folder, help="A folder with your hems.yaml and secrets/.")
@click.option("--owner", "owners", multiple=True, callback=_owner, metavar="NAME=NUMBER", help="Which user a service runs as.")
@click.option("--tls-name", "names", multiple=True, help="A name or address that the broker is reached by; makes a certificate for it.")
@click.option("--profiles", default="", help="Of docker-compose, with commas between: postgres and sms change what is prepared.")
@click.option("--demo-speed", type=click.FloatRange(0.1, 1_000), help="Prepare the recorded home, so many times as fast.")
@click.option("--demo-past", type=click.Path(dir_okay=False, path_type=Path), help="The history of the days before the demo begins.")
@click.option("--show-account", is_flag=True, help="Only print the account for your own MQTT client.")
def prepare(
    directory: Path,
    state: Path | None,
    person: Path | None,
    owners: dict[str, int],
    names: tuple[str, ...],
    profiles: str,
    demo_speed: float | None,
    demo_past: Path | None,
    show_account: bool,
) -> None:
    """Make passwords, the broker's configuration and a certificate, for containers; what is there stays.

    Example: hems prepare --directory /etc/hems --owner sensor=2001
    """
    chosen = {profile.strip() for profile in profiles.split(",")}
    # "a,b" in one value: an environment variable holds all of them.
    split = tuple(name.strip() for value in names for name in value.split(",") if name.strip())
    preparation = Preparation(directory, state, person, owners, split, postgres="postgres" in chosen, demo_past=demo_past)
    if show_account:
        click.echo(client_account(preparation), nl=False)
        return
    try:
        done = preparation.prepare(demo_speed=demo_speed)
    except (Unprepared, OSError) as error:
        click.echo(f"hems prepare: {error}", err=True)
        sys.exit(78)
    click.echo(f"{directory} is prepared." if done else "The demo runs already: it goes on as it is.")
