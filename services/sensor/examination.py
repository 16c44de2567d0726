"""Listens to a port, and tells a person what comes and what it seems to be."""

import asyncio
import os
from collections.abc import Callable, Sequence

from services.sensor.detecting import Outcome, detect_port, shown
from services.sensor.domain.plausibility import line_remarks, sample
from services.sensor.domain.profiles import meter_parser
from services.sensor.domain.proposal import Proposal, propose
from services.sensor.domain.readings import MeterLine, Rejected, VoltageLine
from services.sensor.domain.recognition import Recognised
from services.sensor.domain.telling import port_problem
from services.sensor.domain.zmpt101b import parse_voltage
from services.sensor.serial_ports import SerialPortFound

Say = Callable[[str], None]


def examine(
    port: SerialPortFound, speed: int | None, listen_s: float, nominal_voltage_v: float, say: Say, *, invert: Sequence[int] = ()
) -> Proposal | None:
    """Its settings, where it is known; `invert` are the inputs whose sign is turned already."""
    speeds = (speed,) if speed else port.speeds
    say(f"\n{port.path} ({port.about})")
    try:
        outcome = asyncio.run(
            detect_port(port.path, speeds, nominal_voltage_v, lambda baud, line: say(f"  {baud:>6}  {shown(line)}"), listen_s)
        )
    except OSError as error:
        say(f"  {port_problem(port.path, error.errno, os.strerror(error.errno) if error.errno else str(error))}")
        return None
    return _judge(port.path, outcome, nominal_voltage_v, invert, say)


def _judge(path: str, outcome: Outcome, nominal_voltage_v: float, invert: Sequence[int], say: Say) -> Proposal | None:
    if outcome.silent:
        say("  Nothing comes, at no speed: check the supply and the cable; on the Pi's UART, that the board's TXD is on BCM 15.")
        return None
    if outcome.recognised is None:
        say("  Something comes that is no known meter's. Keep it with `hems record`, for a bug report.")
        return None
    return _tell(path, outcome, outcome.recognised, nominal_voltage_v, invert, say)


def _tell(path: str, outcome: Outcome, found: Recognised, nominal_voltage_v: float, invert: Sequence[int], say: Say) -> Proposal:
    what = "a voltage sensor" if found.kind == "voltage" else "a meter"
    say(f"  This is {what} ({found.profile}) at {outcome.baud} baud: {found.why}.")
    proposal = propose(path, outcome.baud, outcome.heard, found, nominal_voltage_v, invert=invert)
    for fact in proposal.facts:
        say(f"  {fact}")
    taken = sample(outcome.heard.lines, lambda line: _parse(line, found))
    for remark in (*line_remarks(taken, f"sensor.{proposal.part}"), *proposal.remarks):
        say(f"  Look here: {remark.says}; {remark.step}.")
    return proposal


def _parse(line: bytes, found: Recognised) -> MeterLine | VoltageLine | Rejected:
    return parse_voltage(line) if found.profile == "zmpt101b" else meter_parser(found.profile)(line)
