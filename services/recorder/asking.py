"""`hems setup tariff`: what energy costs."""

from typing import Any

from hems.setting_up.configuration_file import ConfigurationFile
from hems.setting_up.conversation import Conversation
from services.recorder.settings import RecorderSettings

_KINDS = {
    "flat": "one price at all times",
    "day_night": "a cheaper price at night",
    "other": "by time, season, use or half hour: write it by hand (docs/history.md)",
    "none": "costs are not shown",
}


def ask(talk: Conversation, file: ConfigurationFile) -> None:
    """Ask for the kind and its prices."""
    talk.say("\nThe tariff, in the home's currency: pounds or euros, not pence or cents.")
    known = file.get("recorder", "tariff", "kind")
    kind = talk.choose("Which tariff do you have?", _KINDS, known if known in _KINDS else "other" if known else "flat")
    if kind == "none":
        file.remove("recorder", "tariff")
    elif kind != "other":
        file.set("recorder", "tariff", to=_tariff(talk, file, kind))
    file.save(RecorderSettings)


def _tariff(talk: Conversation, file: ConfigurationFile, kind: str) -> dict[str, Any]:
    def price(key: str, text: str, default: float) -> float:
        return talk.ask(text, str(file.get("recorder", "tariff", key) or default), _number)

    prices: dict[str, Any] = {}
    if kind == "flat":
        prices["per_kwh"] = price("per_kwh", "Price of a kWh", 0.25)
    else:
        prices["day_per_kwh"] = price("day_per_kwh", "Price of a kWh by day", 0.30)
        prices["night_per_kwh"] = price("night_per_kwh", "Price of a kWh at night", 0.12)
        prices["night_from"] = talk.ask("The night's price begins at", str(file.get("recorder", "tariff", "night_from") or "00:30"))
        prices["night_to"] = talk.ask("and ends at", str(file.get("recorder", "tariff", "night_to") or "07:30"))
    return {"kind": kind, **prices, "standing_charge_per_day": price("standing_charge_per_day", "Standing charge a day", 0)}


def _number(text: str) -> float:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        raise ValueError("it is a number, such as 0.27") from None
    if not 0 <= number < 100:
        raise ValueError("a price is between 0 and 100; in pounds or euros, not in pence or cents")
    return number
