"""`hems audit`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.settings import HomeSettings
from hems.setting_up.places import home_folder
from services.actuator.audit_file import entries
from services.actuator.domain.audit import Entry

_folder: Any = click.Path(file_okay=False, path_type=Path)
_DEMO = Path("var/demo/homes")


@click.command()
@click.argument("relay", required=False)
@click.option("--last", default=50, show_default=True, type=click.IntRange(min=1), help="So many entries.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--demo", is_flag=True, help="The demo's trail, in var/demo.")
@click.option("--directory", type=_folder, default=None, help="The storage directory, if it is not hems.yaml's.")
def audit(relay: str | None, last: int, *, as_json: bool, demo: bool, directory: Path | None) -> None:
    """Show who switched which relay, when and why, and what was refused. RELAY picks one.

    Example: hems audit bulb --last 10
    """
    try:
        configuration = Configuration.load()
        found = list(entries(_folder_of(configuration, directory or (_DEMO if demo else None)) / "audit.db", relay=relay, last=last))
    except (ConfigurationError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for entry in found:
        click.echo(json.dumps(asdict(entry)) if as_json else line(entry))


def _folder_of(configuration: Configuration, storage: Path | None) -> Path:
    return storage / configuration.section(HomeSettings).id if storage else home_folder(configuration)


def line(entry: Entry) -> str:
    """An entry as people read it."""
    who = entry.source or "the actuator itself"
    what = f"{entry.event} {entry.state}" if entry.state else entry.event
    reason = f": {entry.reason}" if entry.reason else ""
    return f"{entry.at}  {entry.relay:<12} {what:<13} by {who}{reason}"
