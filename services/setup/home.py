"""The home itself: its name in the topics, its time, its money, its mains."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hems.actor.settings import HomeSettings
from hems.setting_up.configuration_file import ConfigurationFile
from hems.setting_up.conversation import Conversation

_LOCAL_TIME = Path("/etc/localtime")


def ask(talk: Conversation, file: ConfigurationFile) -> None:
    """Ask for it."""
    talk.say("\nYour home.")
    known = {name: file.get("home", name) for name in HomeSettings.model_fields}
    default = HomeSettings()
    file.set("home", "id", to=talk.ask("A name for it, in every topic", str(known["id"] or default.id), _identifier))
    file.set("home", "time_zone", to=talk.ask("Its time zone", str(known["time_zone"] or time_zone_here()), _time_zone))
    file.set("home", "currency", to=talk.ask("Its currency, in three letters", str(known["currency"] or default.currency), _currency))
    nominal = f"{known['nominal_voltage_v'] or default.nominal_voltage_v:g}"
    file.set("home", "nominal_voltage_v", to=talk.ask("Its mains voltage, V", nominal, _voltage))
    file.save(HomeSettings)


def time_zone_here(link: Path = _LOCAL_TIME) -> str:
    """The computer's own, if it can be told."""
    _, found, name = str(link.resolve()).partition("zoneinfo/")
    return name if found else HomeSettings().time_zone


def _identifier(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,32}", text):
        raise ValueError("a name has small letters, digits, - and _ only, 32 at most")
    return text


def _time_zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("it is no time zone; one is Europe/London") from None
    return text


def _currency(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}", text):
        raise ValueError("it has three letters; one is GBP")
    return text.upper()


def _voltage(text: str) -> float:
    value = float(text)
    if not 90 <= value <= 260:
        raise ValueError("homes have between 90 and 260 V")
    return value
