"""`hems export`, `import`, `backup`, `restore`, `report` and `recost`."""

import asyncio
import functools
import os
import sys
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec
from zoneinfo import ZoneInfo

import click
from rich.console import Console

from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.settings import HomeSettings, StorageSettings
from hems.setting_up.places import home_folder
from services.recorder.backup import back_up
from services.recorder.backup import restore as restore_backup
from services.recorder.database import sqlite_path
from services.recorder.domain.failures import Unavailable, Unusable
from services.recorder.domain.readings_file import Refusals, Steps, UnknownForm
from services.recorder.domain.records import Happening, MainsRow, microseconds
from services.recorder.monthly import read_month
from services.recorder.opening import OpenHistory, database_url, opened_history
from services.recorder.report_page import page
from services.recorder.report_terminal import show
from services.recorder.settings import RecorderSettings
from services.recorder.transfer import WHAT, WrongDevice, csv_writer, parquet_writer, read_file, records

P = ParamSpec("P")

_MARGIN_US = 86_400_000_000
"""Past the newest reading, so that what happened since is in too."""

_DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"])


class Place:
    """Which history: of which home, and where."""

    def __init__(self) -> None:
        configuration = Configuration.load()
        self.settings = configuration.section(RecorderSettings)
        self.home = configuration.section(HomeSettings)
        self.url = database_url(self.settings, _folder(configuration, self.home))
        self.zone = ZoneInfo(self.home.time_zone)

    def microseconds(self, local: datetime) -> int:
        """A local time."""
        return microseconds(local.replace(tzinfo=self.zone).astimezone(UTC))

    @property
    def tariff(self) -> str | None:
        """The tariff in hems.yaml."""
        return None if self.settings.tariff is None else self.settings.tariff.model_dump_json(by_alias=True)

    async def with_history(self, work: Callable[[OpenHistory], Coroutine[Any, Any, None]], *, may_begin: bool = False) -> None:
        """Open it, and do something with it; only what brings something in may begin a new one."""
        path = sqlite_path(self.url)
        if path and not path.exists() and not may_begin:
            raise Unusable(f"there is no history in {path} yet: `hems up` begins one; else run this in the folder that hems.yaml is in")
        async with opened_history(self.url, self.home, for_service=False) as opened:
            await opened.history.read()
            await work(opened)


def _folder(configuration: Configuration, home: HomeSettings) -> Path:
    """The services' own folder where the environment names it to both, as in a container; else where `hems up` puts it."""
    if "HEMS_STORAGE__DIRECTORY" in os.environ:
        return configuration.section(StorageSettings).directory / home.id
    return home_folder(configuration)


def _command(work: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run it, and say in one sentence why it could not be done."""

    @functools.wraps(work)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            asyncio.run(work(*arguments, **options))
        except (ConfigurationError, Unavailable, Unusable, UnknownForm, WrongDevice, OSError) as error:
            click.echo(f"hems: {error}", err=True)
            sys.exit(78 if isinstance(error, ConfigurationError) else 1)

    return run


@click.command()
@click.option("--from", "start", type=_DAY, required=True, help="First day, or a local time.")
@click.option("--to", "end", type=_DAY, help="The day or time before which it ends.  [default: the newest reading]")
@click.option("--what", type=click.Choice(WHAT), default="mains", show_default=True, help="Readings, roll-ups, or what happened.")
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="csv", show_default=True)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_command
async def export(start: datetime, end: datetime | None, what: str, form: str, file: Path) -> None:
    """Write a part of the history to FILE.

    Example: hems export --from 2026-01-01 --to 2026-02-01 --what 1h january.csv
    """
    place = Place()

    async def work(opened: OpenHistory) -> None:
        count, end_us = 0, place.microseconds(end) if end else opened.history.newest_us + _MARGIN_US
        with (csv_writer if form == "csv" else parquet_writer)(file) as writer:
            async for found in records(opened, what, place.microseconds(start), end_us):
                writer.write(found)
                count += len(found)
        click.echo(f"{count} rows are in {file}." if count else "Nothing is kept of that time.")

    await place.with_history(work)


@click.command("import")
@click.option("--device", help="Which device of the file is the mains, where it holds several.")
@click.option("--time-zone", help="Of times without one.  [default: the home's]")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_command
async def import_(device: str | None, time_zone: str | None, file: Path) -> None:
    """Bring readings of the mains from a CSV or Parquet FILE, such as one with `time,device_id,power`, into the history.

    What is there already makes no second row. A file that `hems disaggregate` wrote brings the appliances of that time.
    Example: hems import --device main old.csv
    """
    place, refusals = Place(), Refusals()

    async def work(opened: OpenHistory) -> None:
        counts, steps = Counter[type](), Steps()
        for batch in read_file(file, place.home.id, ZoneInfo(time_zone) if time_zone else place.zone, device, refusals):
            if not counts and batch:
                await _begin_import(place, opened, min(row.at_us for row in batch))
            await opened.history.record(batch)
            counts.update(map(type, batch))
            steps.follow(batch)
        await opened.history.count_all()
        click.echo(f"{counts[MainsRow]} readings are in the history; {refusals.count} lines could not be read.")
        if counts[Happening]:
            click.echo(f"{counts[Happening]} starts and ends of appliances are there too.")
        if steps.long:
            click.echo(f"{steps.long} times more than a minute lies between two readings: what was used then is not counted but estimated.")
        for sample in refusals.samples:
            click.echo(f"  {sample}", err=True)

    await place.with_history(work, may_begin=True)


async def _begin_import(place: Place, opened: OpenHistory, first_us: int) -> None:
    if not opened.history.pricing.versions:
        await opened.history.start(place.tariff, 0)
    await opened.history.begin_import(first_us)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_command
async def backup(file: Path) -> None:
    """Write the whole history to FILE, consistent while the recorder runs.

    Example: hems backup /media/usb/hems-2026-01-01.db
    """
    place = Place()

    async def work(opened: OpenHistory) -> None:
        await back_up(opened.database, file)
        click.echo(f"The history is in {file}; `hems restore {file}` brings it back, also into the other kind of database.")

    await place.with_history(work)


@click.command()
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_command
async def restore(yes: bool, file: Path) -> None:
    """Put a backup FILE in the place of the history. Stop the recorder first.

    Example: hems restore /media/usb/hems-2026-01-01.db
    """
    place = Place()
    if not yes and not click.confirm("This replaces the whole history. Go on?"):
        click.echo("Nothing was changed.")
        return
    aside = await restore_backup(place.url, file)
    click.echo("The history is what the backup held." + (f" The one before is kept as {aside}." if aside else ""))


@click.command()
@click.option("--month", type=click.DateTime(["%Y-%m"]), help="Such as 2026-01.  [default: the newest]")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write it as one HTML file too.")
@_command
async def report(month: datetime | None, html: Path | None) -> None:
    """Show a month: energy, cost, appliances, hours, standby, against the month before.

    Example: hems report --month 2026-01 --html january.html
    """
    place = Place()

    async def work(opened: OpenHistory) -> None:
        if not opened.history.newest_us:
            raise Unusable("nothing has been measured yet: the first report is there a minute after the first reading")
        newest_s = opened.history.newest_us // 1_000_000
        first = month.date() if month else opened.history.calendar.local(newest_s).date().replace(day=1)
        found = await read_month(opened, first, place.home.currency, newest_s)
        show(found, place.home.id, Console())
        if html is not None:
            await asyncio.to_thread(html.write_text, page(found, place.home.id), encoding="utf-8")
            click.echo(f"The report is in {html}.")

    await place.with_history(work)


@click.command()
@click.option("--from", "start", type=_DAY, required=True, help="First day to price anew.")
@_command
async def recost(start: datetime) -> None:
    """Price the past anew with the tariff that hems.yaml has now, from a day on. Energies stay as they are.

    Example: hems recost --from 2026-01-01
    """
    place = Place()
    if place.tariff is None:
        raise Unusable("hems.yaml has no recorder.tariff, and every cost from then on would be lost: `hems setup tariff` asks for one")

    async def work(opened: OpenHistory) -> None:
        end_s = (opened.history.newest_us + _MARGIN_US) // 1_000_000
        await opened.history.recost(place.microseconds(start) // 1_000_000, end_s, place.tariff)
        click.echo(f"All costs from {start:%Y-%m-%d} on are those of the tariff in hems.yaml.")

    await place.with_history(work)
