"""`hems setup meter`: which port the meter is on, what its inputs are, and whether there is a voltage sensor."""

from collections.abc import Mapping
from typing import Any, cast

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
        invert = _numbers_in(_before(file, part, given).get("invert"))
        proposal = examine(port_named(given), None, LISTEN_S, _nominal_voltage_v(load(file.path)), talk.say, invert=invert)
        if proposal is not None and proposal.part == part:
            _write(talk, file, proposal)
            return
        if proposal is not None:
            talk.say(f"That is not {what}.")
        default = _NONE
    known = file.get("sensor", part, "port")
    if part == "meter" and not known:
        talk.say("No meter is set yet: run `hems setup meter` when it is plugged in.")
    if part == "voltage" and known:
        _take_out(talk, file, known)


def _take_out(talk: Conversation, file: ConfigurationFile, port: str) -> None:
    if talk.confirm(f"Shall the voltage sensor on {port} be taken out of {file.path}?", default=False):
        file.remove("sensor", "voltage", "port")
        file.save(SensorSettings)


def _write(talk: Conversation, file: ConfigurationFile, proposal: Proposal) -> None:
    before = _before(file, proposal.part, proposal.values["port"])
    inputs = _inputs(talk, before, proposal) if proposal.part == "meter" else {}
    file.set("sensor", proposal.part, to={**before, **proposal.values, **inputs})
    file.save(SensorSettings)
    talk.say(f"Written into {file.path}.")


def _inputs(talk: Conversation, before: Mapping[str, Any], proposal: Proposal) -> dict[str, Any]:
    known = [channel for channel in _numbers_in(before.get("mains_channels")) if channel in proposal.inputs]
    default = ", ".join(map(str, known or proposal.values["mains_channels"]))
    inputs = talk.ask("Which inputs have their clamp on the incoming supply? Only these are summed", default, _numbers)
    turned = sorted(set(inputs) & set(proposal.negative))
    question = (
        f"The clamp of input {' and '.join(map(str, turned))} sits the wrong way round. Shall its sign be turned here, not the clamp?"
    )
    if not turned or not talk.confirm(question):
        return {"mains_channels": inputs}
    return {"mains_channels": inputs, "invert": sorted(set(_numbers_in(before.get("invert"))) ^ set(turned))}


def _numbers(text: str) -> list[int]:
    numbers = [int(part) for part in text.replace(",", " ").split() if part.isdigit()]
    if not numbers:
        raise ValueError("it names no input; one is 1, two are 1, 2")
    return numbers


def _before(file: ConfigurationFile, part: str, port: str) -> Mapping[str, Any]:
    """What was set for this very port by hand or by calibration: it stays."""
    return file.get("sensor", part) if file.get("sensor", part, "port") == port else {}


def _numbers_in(value: Any) -> list[int]:
    return [one for one in cast("list[Any]", value) if isinstance(one, int)] if isinstance(value, list) else []


def _nominal_voltage_v(configuration: Configuration) -> float:
    return configuration.section(HomeSettings).nominal_voltage_v
