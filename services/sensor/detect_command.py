"""`hems detect`."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.settings import HomeSettings
from services.sensor.detecting import LISTEN_S
from services.sensor.domain.proposal import as_yaml
from services.sensor.examination import examine
from services.sensor.serial_ports import SerialPortFound, port_named, serial_ports

_DEV = Path("/dev")


@click.command()
@click.argument("ports", nargs=-1)
@click.option("--speed", type=click.IntRange(300, 1_000_000), help="Try this speed only, baud.")
@click.option("--listen", "listen_s", type=click.FloatRange(min=0.2), default=LISTEN_S, show_default=True, help="So long at each speed, s.")
@click.option("--all", "every", is_flag=True, help="Open every port, save those that are obviously something else's.")
def detect(ports: Sequence[str], speed: int | None, listen_s: float, *, every: bool) -> None:
    """Find the meter: list the serial ports, listen at the usual speeds, and print the `sensor:` section for hems.yaml.

    Only ports are opened that are named (PORTS) or obviously a meter's: opening somebody else's may disturb it. Stop the services first.

    Example: hems detect /dev/ttyUSB0 --listen 5
    """
    nominal_voltage_v = _nominal_voltage_v()
    found = [port_named(port) for port in ports] or list(_listed(every=every))
    proposals = [proposal for port in found if (proposal := examine(port, speed, listen_s, nominal_voltage_v, click.echo))]
    parts = {proposal.part: proposal.values for proposal in reversed(proposals)}
    if not parts:
        click.echo("\nNo meter was found. Name the port that it is on, such as `hems detect /dev/ttyUSB0`, or see docs/failures.md.")
        sys.exit(1)
    click.echo(f"\nFor hems.yaml (or let `hems setup meter` write it):\n\n{as_yaml(parts)}")


def _listed(*, every: bool) -> Iterator[SerialPortFound]:
    found = serial_ports(_DEV)
    click.echo("Serial ports:" if found else "This computer has no serial ports.")
    for port in found:
        opened = port.guess == "meter" or (every and port.guess == "unknown")
        click.echo(f"  {port.path}  {port.about}{'' if opened else '; not opened'}")
        if opened:
            yield port


def _nominal_voltage_v() -> float:
    try:
        return Configuration.load().section(HomeSettings).nominal_voltage_v
    except ConfigurationError:
        return HomeSettings().nominal_voltage_v
