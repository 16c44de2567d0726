"""`hems calibrate`."""

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.settings import HomeSettings, StorageSettings
from hems.setting_up.configuration_file import ConfigurationFile
from hems.setting_up.conversation import Left, Question, Terminal
from hems.setting_up.places import configuration_path, load
from services.sensor.calibrating import Phase, PortFailed, powers, take_phase, take_voltages
from services.sensor.calibration_book import CalibrationBook, Change, Entry
from services.sensor.domain.calibration import LEAST_READINGS, Calibration, Refused, load_at, power_calibration, voltage_calibration
from services.sensor.domain.mains import is_near
from services.sensor.domain.telling import port_problem
from services.sensor.settings import SensorSettings

T = TypeVar("T")
_NO_SENSOR = (
    "no voltage sensor on a port is set in hems.yaml. One that says its voltage by Wi-Fi is calibrated in its own settings "
    "(firmware/esp8266_voltage), and a meter board's own voltage by the board's vcal"
)
_readings = click.option("--readings", default=20, show_default=True, type=click.IntRange(LEAST_READINGS, 1_000), help="So many at a time.")
_yes = click.option("--yes", is_flag=True, help="Write it without asking.")
_config = click.option("--config", type=click.Path(dir_okay=False, path_type=Path), help="The configuration, if it is not hems.yaml.")


@click.group()
def calibrate() -> None:
    """Make the meter read true, and write it into hems.yaml. Stop the services first.

    Example: hems calibrate voltage 231.4
    """


@calibrate.command()
@click.argument("true_v", type=float)
@_readings
@_yes
@_config
def voltage(true_v: float, readings: int, config: Path | None, *, yes: bool) -> None:
    """Set the voltage sensor's scale, TRUE_V being what a trusted meter shows at the same time, V.

    Example: hems calibrate voltage 231.4 --readings 20
    """
    configuration = _loaded(config)
    settings, home = configuration.section(SensorSettings), configuration.section(HomeSettings)
    if settings.voltage.port is None:
        raise click.ClickException(_NO_SENSOR)
    volts = _read(take_voltages(settings.voltage, readings, _progress))
    found = _judged(lambda: voltage_calibration(volts, true_v, settings.voltage.scale, home.nominal_voltage_v))
    click.echo(f"Before: {found.before:.1f} V. After: {found.after:.1f} V, as your meter shows.")
    _write(configuration, found, {"sensor.voltage.scale": found.scale}, yes=yes)


@calibrate.command()
@click.option(
    "--load", "load_w", type=float, required=True, help="What the load draws, W: a kettle or a heater, by a plug-in meter or its plate."
)
@click.option("--rated-at", "rated_v", type=click.FloatRange(90, 260), help="The plate's voltage, V, where the figure is the plate's.")
@click.option("--wifi-voltage", "wifi_v", type=click.FloatRange(90, 260), help="What a voltage sensor on Wi-Fi says meanwhile, V.")
@_readings
@_yes
@_config
def power(load_w: float, rated_v: float | None, wifi_v: float | None, readings: int, config: Path | None, *, yes: bool) -> None:
    """Set the meter's scale by a known load, which is switched on when this asks. Let the rest of the home rest meanwhile.

    Where the board says its `vest` meanwhile (it does when it starts), that is written too. A voltage sensor that speaks by Wi-Fi is not
    heard while the services are stopped: note what it says before, and give it with --wifi-voltage.

    Example: hems calibrate power --load 2000 --rated-at 230
    """
    configuration = _loaded(config)
    settings, home = configuration.section(SensorSettings), configuration.section(HomeSettings)
    _check_voltage(settings, home, wifi_v)
    phases = [
        _with_voltage(_phase(settings, home, readings, words), wifi_v)
        for words in ("Switch the load off", "Switch the load on", "Switch the load off again")
    ]  # fmt: skip
    vest_v = _vest(phases) or settings.meter.vest_v
    wiring = replace(settings.wiring(home.nominal_voltage_v), vest_v=vest_v)
    off_w, on_w, again_w = (powers(phase, settings.meter, wiring) for phase in phases)
    true_w = _true_load(load_w, rated_v, phases[1])
    found = _judged(lambda: power_calibration(off_w, on_w, again_w, true_w, settings.meter.scale))
    click.echo(f"Before: the meter says {found.before:.0f} W for this load of {true_w:.0f} W. After: {found.after:.0f} W.")
    changes = {"sensor.meter.scale": found.scale}
    if abs(vest_v - settings.meter.vest_v) > 0.01 * vest_v:
        changes["sensor.meter.vest_v"] = vest_v
    _write(configuration, found, changes, yes=yes)


@calibrate.command()
@_config
def undo(config: Path | None) -> None:
    """Put back what stood in hems.yaml before the last calibration; again, before the one before that.

    Example: hems calibrate undo
    """
    configuration = _loaded(config)
    book = CalibrationBook(configuration.section(StorageSettings).directory)
    last = book.last()
    if last is None:
        raise click.ClickException("there is no calibration to undo")
    file = ConfigurationFile(Path(configuration.file))
    for change in last.changes:
        key = change.key.split(".")
        if file.get(*key) != change.after:
            raise click.ClickException(f"{change.key} was changed since ({file.get(*key)}, not {change.after:g}); change it by hand")
        file.remove(*key) if change.before is None else file.set(*key, to=change.before)
    _save(file, book, replace(last, undone=True))
    for change in last.changes:
        click.echo(f"{change.key}: {change.after:g} → {'its default' if change.before is None else format(change.before, 'g')}")


def _loaded(config: Path | None) -> Configuration:
    try:
        configuration = load(configuration_path(config))
        for section in (SensorSettings, HomeSettings, StorageSettings):
            configuration.section(section)
    except ConfigurationError as error:
        raise click.ClickException(f"{error}\nMend hems.yaml first; `hems check-config` names every mistake") from None
    return configuration


def _phase(settings: SensorSettings, home: HomeSettings, readings: int, words: str) -> Phase:
    try:
        Terminal().answer(Question(f"{words}, wait a moment, and press Enter", default=""))
    except Left:
        raise click.Abort from None
    return _read(take_phase(settings, home.nominal_voltage_v, readings, _progress))


def _check_voltage(settings: SensorSettings, home: HomeSettings, wifi_v: float | None) -> None:
    if wifi_v is None:
        return
    if settings.voltage.port is not None:
        raise click.ClickException(f"the voltage sensor on {settings.voltage.port} is read itself: leave --wifi-voltage out")
    if not is_near(wifi_v, home.nominal_voltage_v):
        raise click.ClickException(
            f"{wifi_v:g} V is no mains voltage of {home.nominal_voltage_v:g} V; the services would not use it either"
        )


def _with_voltage(phase: Phase, wifi_v: float | None) -> Phase:
    return phase if wifi_v is None else replace(phase, voltage_v=wifi_v)


def _read(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except PortFailed as failed:
        number = failed.reason.errno
        problem = port_problem(failed.path, number, os.strerror(number) if number else str(failed.reason))
        raise click.ClickException(f"{problem}; the services hold their ports, stop them first") from None
    finally:
        click.echo("", err=True)


def _progress(count: int, wanted: int) -> None:
    click.echo(f"\r  {min(count, wanted)} of {wanted} readings", nl=False, err=True)


def _vest(phases: list[Phase]) -> float | None:
    said = [phase.meter.vest_v for phase in phases if phase.meter.vest_v is not None]
    return round(said[-1], 1) if said else None


def _true_load(load_w: float, rated_v: float | None, loaded: Phase) -> float:
    """A plate's figure holds at the plate's voltage; at another one a heater draws by its square."""
    if rated_v is None:
        return load_w
    if loaded.voltage_v is None:
        click.echo("The voltage is not known, so that the plate's figure is taken as it is: that may be off by 10 %.")
        return load_w
    return load_at(load_w, rated_v, loaded.voltage_v)


def _judged(work: Any) -> Calibration:
    try:
        return work()
    except Refused as error:
        raise click.ClickException(f"{error}. Nothing was changed") from None


def _write(configuration: Configuration, found: Calibration, changes: dict[str, float], *, yes: bool) -> None:
    file = ConfigurationFile(Path(configuration.file))
    entries = [Change(key, file.get(*key.split(".")), round(value, 5)) for key, value in changes.items()]
    for change in entries:
        click.echo(f"{change.key}: {'its default' if change.before is None else format(change.before, 'g')} → {change.after:g}")
    click.echo(f"Sure to ±{found.uncertainty:.1%} by {found.count} readings; what it was compared with may be off on top of that.")
    if not yes and not click.confirm(f"Write it into {configuration.file}?", default=True):
        click.echo("Nothing was changed.")
        return
    for change in entries:
        file.set(*change.key.split("."), to=change.after)
    entry = Entry(datetime.now(UTC).isoformat(), tuple(entries), found.uncertainty)
    _save(file, CalibrationBook(configuration.section(StorageSettings).directory), entry)
    click.echo("Written. `hems calibrate undo` takes it back.")


def _save(file: ConfigurationFile, book: CalibrationBook, entry: Entry) -> None:
    """Write both, the book first: what stands in hems.yaml alone could not be undone."""
    try:
        book.add(entry)
        try:
            file.save(SensorSettings)
        except BaseException:
            book.add(replace(entry, undone=not entry.undone))
            raise
    except (ConfigurationError, OSError) as error:
        raise click.ClickException(f"it can't be written ({error}); nothing was changed. Does {file.path} belong to this user?") from None
