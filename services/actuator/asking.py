"""`hems setup relays`: names them, wires them, and tries each for two seconds."""

import re
from collections.abc import Mapping
from typing import Any

from hems.actor.configuration import ConfigurationError
from hems.actor.settings import HomeSettings
from hems.contracts.relays import Level
from hems.setting_up.configuration_file import ConfigurationFile, as_part
from hems.setting_up.conversation import Conversation
from hems.setting_up.places import home_folder, load
from services.actuator.domain.pins import boot_warning, refused_pin
from services.actuator.gpio_board import is_raspberry_pi
from services.actuator.settings import ActuatorSettings
from services.actuator.trying import LEASE_S, Refused, try_relay

_NO_MORE = "no"
_BOARDS = {
    "gpio": "relays on this Pi's pins",
    "tasmota": "switches that speak Tasmota's MQTT",
    "simulated": "none yet: the relays exist in a file",
}
_COMPRESSOR_OFF_S = 600
_COMPRESSOR_AWAY_S = 3_600
_LAMP_ON_S = 43_200
_OF_SAFE = ("resting", "max_on_s", "max_away_s")
"""What says something else once another state is safe."""


def ask(talk: Conversation, file: ConfigurationFile) -> None:
    """Ask for relays until there are no more; each is written, and tried if the person wishes."""
    talk.say(
        "\nRelays. Wire each so that without power it stands where it is safe (docs/hardware.md); mains is work for a qualified person."
    )
    board = _ask_board(talk, file)
    file.set("actuator", "board", to=board)
    _save(talk, file)
    while (name := talk.ask(f"Name of a relay to add or change, such as bulb, or {_NO_MORE}", _NO_MORE, _relay_name)) != _NO_MORE:
        _ask_relay(talk, file, board, name)


def _ask_board(talk: Conversation, file: ConfigurationFile) -> str:
    before = file.get("actuator", "board")
    board = talk.choose("What do the relays hang on?", _BOARDS, before or ("gpio" if is_raspberry_pi() else "simulated"))
    if before in (None, board) or not file.get("actuator", "relays"):
        return board
    if not talk.confirm(f"The relays in {file.path} belong to the {before} board. Take them out?", default=False):
        return before
    file.remove("actuator", "relays")
    return board


def _ask_relay(talk: Conversation, file: ConfigurationFile, board: str, name: str) -> None:
    before = file.part("actuator", "relays", name)
    place = _ask_place(talk, file, board, name, before)
    compressor = talk.confirm("Does it feed a fridge, a freezer or a heat pump?", default=bool(before.get("min_off_s")))
    safe = talk.choose(
        "Which state is safe, also for days?", {"off": "a heater, a lamp", "on": "a fridge, a freezer"}, _word(before, compressor)
    )
    _warn(talk, place, safe)
    page = talk.confirm("May the page switch it?", default="dashboard" in before.get("allow", () if before else ("dashboard",)))
    # What somebody has set is kept: a limit of ten minutes must not become one of twelve hours because the pin is another.
    changed = (() if _word(before, compressor) == safe else _OF_SAFE) + (() if compressor else ("min_off_s",))
    kept = {key: value for key, value in before.items() if key not in changed}
    values = {
        **_limits(safe, kept, compressor=compressor),
        "resting": safe,
        **kept,
        **place,
        "safe": safe,
        "allow": _allow(before, page=page),
    }
    file.set("actuator", "relays", name, to=values)
    if _save(talk, file) and board != "tasmota" and talk.confirm(f"Try {name} now, for {LEASE_S:g} seconds?", default=not compressor):
        _try(talk, file, name, compressor=compressor)


def _ask_place(talk: Conversation, file: ConfigurationFile, board: str, name: str, before: Mapping[str, Any]) -> dict[str, Any]:
    if board == "tasmota":
        return {
            "device": talk.ask(
                "The switch's own topic (Tasmota, Configure MQTT, Topic), with /2 for its second relay", before.get("device") or name
            )
        }
    if board == "simulated":
        return {}
    taken = {as_part(relay).get("pin"): other for other, relay in file.part("actuator", "relays").items() if other != name}
    talk.say("With the load on a normally closed contact, the level is the other one than the board's.")
    pin = talk.ask("Pin, by its BCM number; 22, 23, 24 are free on every Pi", str(before.get("pin") or ""), lambda text: _pin(text, taken))
    levels = {"high": "most boards with a transistor", "low": "most opto-coupled boards"}
    level = talk.choose("Which level of the pin switches the load on?", levels, before.get("active") or "high")
    return {"pin": pin, "active": level}


def _warn(talk: Conversation, place: Mapping[str, Any], safe: str) -> None:
    if "pin" in place:
        level: Level = "ON" if safe == "on" else "OFF"
        if warning := boot_warning(place["pin"], active_high=place["active"] == "high", safe=level):
            talk.say(f"Look here: {warning}.")


def _try(talk: Conversation, file: ConfigurationFile, name: str, *, compressor: bool) -> None:
    if compressor and not talk.confirm(
        "A compressor must not be switched for seconds. Is it unplugged, with a lamp in its place?", default=False
    ):
        return
    configuration = load(file.path)
    settings, home = configuration.section(ActuatorSettings), configuration.section(HomeSettings).id
    try:
        try_relay(settings, home_folder(configuration), home, name, lambda level: talk.say(f"  {name} is {level}"))
    except (Refused, OSError) as error:
        talk.say(f"  {name} was not switched: {error}.")
        return
    if not talk.confirm("Did it do so, and was nothing else switched?"):
        talk.say("Then check its pin, its level and its wiring, and name it here again.")


def _save(talk: Conversation, file: ConfigurationFile) -> bool:
    try:
        file.save(ActuatorSettings)
    except ConfigurationError as error:
        talk.say(f"That was not written: {error}")
        return False
    return True


def _limits(safe: str, kept: Mapping[str, Any], *, compressor: bool) -> dict[str, Any]:
    """Those that a relay should not be without; another longest time makes ours superfluous."""
    minimum = {"min_off_s": _COMPRESSOR_OFF_S} if compressor else {}
    if "max_on_s" in kept or "max_away_s" in kept:
        return minimum
    return {**minimum, **({"max_on_s": _LAMP_ON_S} if safe == "off" else {"max_away_s": _COMPRESSOR_AWAY_S})}


def _allow(before: Mapping[str, Any], *, page: bool) -> list[str]:
    others = [source for source in before.get("allow") or ["local"] if source != "dashboard"]
    return [*others, "dashboard"] if page else others


def _word(before: Mapping[str, Any], compressor: bool) -> str:
    known = before.get("safe")
    if isinstance(known, bool):
        return "on" if known else "off"
    return str(known).lower() if known else ("on" if compressor else "off")


def _relay_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,32}", text):
        raise ValueError("a name has small letters, digits, - and _ only")
    return text


def _pin(text: str, taken: Mapping[Any, str]) -> int:
    if not text.isdigit():
        raise ValueError("it is a number")
    if reason := refused_pin(int(text)):
        raise ValueError(reason)
    if int(text) in taken:
        raise ValueError(f"BCM {text} drives {taken[int(text)]} already")
    return int(text)
