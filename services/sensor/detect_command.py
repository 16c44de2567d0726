"""`hems detect`."""

import asyncio
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.settings import HomeSettings
from services.sensor.detecting import LISTEN_S, Outcome, detect_port, shown
from services.sensor.domain.plausibility import line_remarks, sample
from services.sensor.domain.profiles import meter_parser
from services.sensor.domain.proposal import Proposal, as_yaml, propose
from services.sensor.domain.readings import MeterLine, Rejected, VoltageLine
from services.sensor.domain.recognition import Recognised
from services.sensor.domain.telling import port_problem
from services.sensor.domain.zmpt101b import parse_voltage
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

    Example: hems detect /dev/serial/by-id/usb-esp8266 --listen 5
    """
    nominal_voltage_v = _nominal_voltage_v()
    found = [port_named(port) for port in ports] or list(_listed(every=every))
    proposals = [proposal for port in found if (proposal := examine(port, speed, listen_s, nominal_voltage_v))]
    parts = {proposal.part: proposal.values for proposal in reversed(proposals)}
    if not parts:
        click.echo("\nNo meter was found. Name the port that it is on, such as `hems detect /dev/ttyUSB0`, or see docs/failures.md.")
        sys.exit(1)
    click.echo(f"\nFor hems.yaml (or let `hems setup meter` write it):\n\n{as_yaml(parts)}")


def examine(port: SerialPortFound, speed: int | None, listen_s: float, nominal_voltage_v: float) -> Proposal | None:
    """Listen to one port, tell what comes and what it seems to be; its settings, where it is known."""
    speeds = (speed,) if speed else port.speeds
    click.echo(f"\n{port.path} ({port.about})")
    try:
        outcome = asyncio.run(detect_port(str(port.path), speeds, nominal_voltage_v, _show, listen_s))
    except OSError as error:
        click.echo(f"  {port_problem(str(port.path), error.errno, os.strerror(error.errno) if error.errno else str(error))}")
        return None
    return _judge(str(port.path), outcome, nominal_voltage_v)


def _listed(*, every: bool) -> Iterator[SerialPortFound]:
    found = serial_ports(_DEV)
    click.echo("Serial ports:" if found else "This computer has no serial ports.")
    for port in found:
        opened = port.guess == "meter" or (every and port.guess == "unknown")
        click.echo(f"  {port.path}  {port.about}{'' if opened else '; not opened'}")
        if opened:
            yield port


def _judge(path: str, outcome: Outcome, nominal_voltage_v: float) -> Proposal | None:
    if outcome.silent:
        click.echo("  Nothing comes, at no speed: check the supply and the cable; on the Pi's UART, that the board's TXD is on BCM 15.")
        return None
    if outcome.recognised is None:
        click.echo("  Something comes that is no known meter's. Keep it with `hems record`, for a bug report.")
        return None
    return _tell(path, outcome, outcome.recognised, nominal_voltage_v)


def _tell(path: str, outcome: Outcome, found: Recognised, nominal_voltage_v: float) -> Proposal:
    what = "a voltage sensor" if found.kind == "voltage" else "a meter"
    click.echo(f"  This is {what} ({found.profile}) at {outcome.baud} baud: {found.why}.")
    proposal = propose(path, outcome.baud, outcome.heard, found, nominal_voltage_v)
    for fact in proposal.facts:
        click.echo(f"  {fact}")
    taken = sample(outcome.heard.lines, lambda line: _parse(line, found))
    for remark in (*line_remarks(taken, f"sensor.{proposal.part}"), *proposal.remarks):
        click.echo(f"  Look here: {remark.says}; {remark.step}.")
    return proposal


def _parse(line: bytes, found: Recognised) -> MeterLine | VoltageLine | Rejected:
    return parse_voltage(line) if found.profile == "zmpt101b" else meter_parser(found.profile)(line)


def _show(baud: int, line: bytes) -> None:
    click.echo(f"  {baud:>6}  {shown(line)}")


def _nominal_voltage_v() -> float:
    try:
        return Configuration.load().section(HomeSettings).nominal_voltage_v
    except ConfigurationError:
        return HomeSettings().nominal_voltage_v
