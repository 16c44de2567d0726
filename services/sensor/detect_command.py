"""`hems detect`."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import click

from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.settings import HomeSettings
from hems.setting_up.places import configuration_path, load
from services.sensor.detecting import LISTEN_S
from services.sensor.domain.proposal import as_yaml
from services.sensor.examination import examine
from services.sensor.serial_ports import SerialPortFound, port_named, serial_ports
from services.sensor.settings import Baud

_DEV = Path("/dev")


@click.command()
@click.argument("ports", nargs=-1)
@click.option("--speed", type=click.Choice([str(baud) for baud in get_args(Baud)]), help="Try this speed only, baud.")
@click.option("--listen", "listen_s", type=click.FloatRange(min=0.2), default=LISTEN_S, show_default=True, help="So long at each speed, s.")
@click.option("--all", "every", is_flag=True, help="Open every port, save those that are obviously something else's.")
def detect(ports: Sequence[str], speed: str | None, listen_s: float, *, every: bool) -> None:
    """Find the meter: list the serial ports, listen at the usual speeds, and print the `sensor:` section for hems.yaml.

    Only ports are opened that are named (PORTS, or in hems.yaml) or obviously a meter's: opening somebody else's may disturb it. Stop the
    services first.

    Example: hems detect /dev/ttyUSB0 --listen 5
    """
    try:
        configuration = load(configuration_path())
    except ConfigurationError as error:
        raise click.ClickException(f"{error}\nMend hems.yaml first; `hems check-config` names every mistake") from None
    nominal_voltage_v = _nominal_voltage_v(configuration)
    found = [port_named(port) for port in ports] or list(_listed(_configured(configuration), every=every))
    proposals = [
        proposal for port in found if (proposal := examine(port, int(speed) if speed else None, listen_s, nominal_voltage_v, click.echo))
    ]
    parts = {proposal.part: proposal.values for proposal in reversed(proposals)}
    if not parts:
        click.echo("\nNo meter was found. Name the port that it is on, such as `hems detect /dev/ttyUSB0`, or see docs/failures.md.")
        sys.exit(1)
    click.echo(f"\nFor hems.yaml (or let `hems setup meter` write it):\n\n{as_yaml(parts)}")


def _listed(configured: Sequence[str], *, every: bool) -> Iterator[SerialPortFound]:
    found = serial_ports(_DEV)
    known = {Path(port.path).resolve() for port in found}
    found += [port_named(port) for port in configured if Path(port).resolve() not in known]
    asked = {Path(port).resolve() for port in configured}
    click.echo("Serial ports:" if found else "This computer has no serial ports.")
    for port in found:
        opened = port.guess == "meter" or Path(port.path).resolve() in asked or (every and port.guess == "unknown")
        click.echo(f"  {port.path}  {port.about}{'' if opened else '; not opened'}")
        if opened:
            yield port


def _configured(configuration: Configuration) -> list[str]:
    """The ports that hems.yaml names itself."""
    sensor: Mapping[str, Any] = configuration.sections.get("sensor", {})
    ports: list[Any] = [sensor.get(part, {}).get("port") for part in ("meter", "voltage") if isinstance(sensor.get(part, {}), dict)]
    return [str(port) for port in ports if port]


def _nominal_voltage_v(configuration: Configuration) -> float:
    try:
        return configuration.section(HomeSettings).nominal_voltage_v
    except ConfigurationError:
        return HomeSettings().nominal_voltage_v
