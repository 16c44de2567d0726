"""`hems check-config`: every mistake in `hems.yaml`, with its file, line and key."""

import importlib
import inspect
import sys
from pathlib import Path

import click

from hems.actor.configuration import Configuration, ConfigurationError, Mistake
from hems.actor.settings import BrokerSettings, ClockSettings, HomeSettings, Section, StorageSettings

_GENERAL: tuple[type[Section], ...] = (HomeSettings, BrokerSettings, StorageSettings, ClockSettings)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
def check_config(file: Path | None) -> None:
    """Name every mistake in FILE (hems.yaml, if none is named): its line, its key, and what is wrong.

    Example: hems check-config hems.yaml
    """
    found = mistakes(file)
    for mistake in found:
        click.echo(str(mistake))
    if found:
        click.echo(f"{len(found)} mistake{'s' if len(found) > 1 else ''}")
        sys.exit(78)
    click.echo("no mistakes")


def mistakes(file: Path | None) -> list[Mistake]:
    """All of them, of every section."""
    try:
        configuration = Configuration.load(file)
    except ConfigurationError as error:
        return list(error.mistakes)
    sections = (*_GENERAL, *_of_services())
    found = configuration.unknown_sections([section.section for section in sections])
    for section in sections:
        try:
            configuration.section(section)
        except ConfigurationError as error:
            found += error.mistakes
    return sorted(found, key=lambda mistake: (mistake.line or 0, mistake.key))


def _of_services() -> list[type[Section]]:
    folder = Path(__file__).parent
    modules = [importlib.import_module(f"services.{path.parent.name}.settings") for path in sorted(folder.glob("*/settings.py"))]
    return [kind for module in modules for kind in vars(module).values() if _is_section(kind, module.__name__)]


def _is_section(kind: object, module: str) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Section) and kind.__module__ == module
