"""The doctor's look at whether the relays do what the load manager will ask."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

from hems.actor.configuration import ConfigurationError
from hems.setting_up.checkup import HomeSeen
from hems.setting_up.findings import Finding, left_out, look, well
from services.load_manager.settings import LoadManagerSettings, OpenAdrSettings

_OFF = (False, "off", "OFF")


async def check(home: HomeSeen) -> Sequence[Finding]:
    """Which loads have a relay that would refuse, or that would not come back by itself. The relays are read as hems.yaml has them."""
    try:
        settings = home.configuration.section(LoadManagerSettings)
    except ConfigurationError:
        return [left_out("loads", "the configuration has to be mended first")]
    return [*_loads(home, settings), *_openadr(settings.openadr)]


def _loads(home: HomeSeen, settings: LoadManagerSettings) -> Sequence[Finding]:
    names = list(dict.fromkeys((*settings.sheddable, *(schedule.relay for schedule in settings.schedules))))
    if not names:
        return [left_out("loads", "none is held back or switched by a schedule")]
    relays = _mapping(home.configuration.sections.get("actuator", {}).get("relays"))
    found = [finding for name in names for finding in _relay(name, relays, held_back=name in settings.sheddable)]
    return found or [well("loads", f"the relays of {', '.join(names)} allow the load manager")]


def _relay(name: str, relays: Mapping[str, Any], *, held_back: bool) -> Iterator[Finding]:
    relay = _mapping(relays.get(name))
    if name not in relays:
        yield look("loads", f"there is no relay {name}", f"name it under actuator.relays, or take {name} out of load_manager")
    elif "load_manager" not in (relay.get("allow") or ()):
        yield look("loads", f"{name} refuses the load manager", f"put load_manager into actuator.relays.{name}.allow")
    elif held_back and relay.get("safe", "off") in _OFF and relay.get("resting", "last") in _OFF:
        says = f"{name} stays off if the load manager ends while it is held back"
        yield look("loads", says, f"set actuator.relays.{name}.resting to last, so that it comes back by itself")


def _openadr(settings: OpenAdrSettings) -> Iterator[Finding]:
    url = urlsplit(settings.vtn_url or "")
    if url.scheme == "http" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
        says = f"{url.hostname} is asked over http: whoever is on the way could hold loads back, and reads what the home draws"
        yield look("openadr", says, "ask the operator for an https address, and set load_manager.openadr.vtn_url to it")


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}
