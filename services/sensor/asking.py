"""`hems setup meter`: which port the meter is on, what its inputs are, and whether there is a voltage sensor."""

from collections.abc import Mapping
from typing import Any

from hems.actor.configuration import Configuration
from hems.actor.settings import HomeSettings
from hems.setting_up.configuration_file import ConfigurationFile
from hems.setting_up.conversation import Conversation
from hems.setting_up.places import load
from services.sensor.detecting import LISTEN_S
from services.sensor.domain.proposal import Proposal
from services.sensor.examination import examine
from services.sensor.serial_ports import port_named, serial_ports
from services.sensor.settings import SensorSettings

_NONE = "none"


def ask(talk: Conversation, file: ConfigurationFile) -> None:
    """Listen to ports until the meter is found, and write the `sensor:` section."""
    talk.say("\nThe meter. The services are stopped, so that its port is free.")
    for port in serial_ports():
        talk.say(f"  {port.path}  {port.about}")
    obvious = [port.path for port in serial_ports() if port.guess == "meter"]
    _ask_part(talk, file, "meter", file.get("sensor", "meter", "port") or (obvious[0] if obvious else _NONE))
    _ask_part(talk, file, "voltage", file.get("sensor", "voltage", "port") or _NONE)


def _ask_part(talk: Conversation, file: ConfigurationFile, part: str, default: str) -> None:
    what = {"meter": "the meter", "voltage": "a voltage sensor of its own"}[part]
    while (given := talk.ask(f"Port of {what}, such as /dev/ttyUSB0, or {_NONE}", default)) != _NONE:
        proposal = examine(port_named(given), None, LISTEN_S, _nominal_voltage_v(load(file.path)), talk.say)
        if proposal is not None and proposal.part == part:
            _write(talk, file, proposal)
            return
        if proposal is not None:
            talk.say(f"That is not {what}.")
        default = _NONE


def _write(talk: Conversation, file: ConfigurationFile, proposal: Proposal) -> None:
    values = dict(proposal.values)
    if proposal.part == "meter":
        values |= _inputs(talk, values, proposal)
    if _same_port(file, proposal):
        before: Mapping[str, Any] = file.get("sensor", proposal.part)
        values = {**before, **values}
    file.set("sensor", proposal.part, to=values)
    file.save(SensorSettings)
    talk.say(f"Written into {file.path}.")


def _inputs(talk: Conversation, values: Mapping[str, Any], proposal: Proposal) -> dict[str, Any]:
    default = ", ".join(map(str, values["mains_channels"]))
    inputs = talk.ask("Which inputs have their clamp on the incoming supply? Only these are summed", default, _numbers)
    turned = [remark for remark in proposal.remarks if remark.kind == "reversed"]
    if turned and talk.confirm("A clamp sits the wrong way round. Shall its sign be turned here, so that you need not turn the clamp?"):
        return {"mains_channels": inputs, "invert": inputs}
    return {"mains_channels": inputs}


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.replace(",", " ").split() if part.isdigit()]
    if not numbers:
        raise ValueError("it names no input; one is 1, two are 1, 2")
    return numbers


def _same_port(file: ConfigurationFile, proposal: Proposal) -> bool:
    """What was set for this very port by hand or by calibration stays."""
    return file.get("sensor", proposal.part, "port") == proposal.values["port"]


def _nominal_voltage_v(configuration: Configuration) -> float:
    return configuration.section(HomeSettings).nominal_voltage_v
