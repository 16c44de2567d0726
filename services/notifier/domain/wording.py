"""How things are said in a message, and the templates that people write."""

import string
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, tzinfo

_FORMATTER = string.Formatter()


def name_of(identifier: str) -> str:
    """`washing_machine` as people write it."""
    words = identifier.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def span(length: timedelta) -> str:
    """`1 h 52 min`: two units at most."""
    minutes = round(length.total_seconds() / 60)
    if length < timedelta(minutes=1):
        return f"{max(round(length.total_seconds()), 0)} s"
    days, hours, rest = minutes // 1_440, minutes // 60 % 24, minutes % 60
    parts = ((days, "d"), (hours, "h"), (rest, "min"))
    shown = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(shown[:2])


def energy(energy_kwh: float) -> str:
    """`0.9 kWh`: two figures where they say something."""
    if energy_kwh >= 100:
        return f"{energy_kwh:.0f} kWh"
    return f"{energy_kwh:.2f} kWh" if energy_kwh < 0.1 else f"{energy_kwh:.1f} kWh"


def money(amount: float, currency: str) -> str:
    """`0.24 GBP`: pound and euro signs cost nothing, others would; the code is the same everywhere."""
    return f"{amount:.0f} {currency}" if abs(amount) >= 100 else f"{amount:.2f} {currency}"


def power(power_w: float) -> str:
    """`850 W`, `10.2 kW`."""
    return f"{power_w / 1_000:.1f} kW" if abs(power_w) >= 1_000 else f"{power_w:.0f} W"


def clock_time(moment: datetime, zone: tzinfo) -> str:
    """`14:05` on the wall."""
    return f"{moment.astimezone(zone):%H:%M}"


def day_and_time(moment: datetime, now: datetime, zone: tzinfo) -> str:
    """`14:05` where that is today, else `Tue 14:05`, or `Tue 14 Jan 14:05` where it is a week away."""
    shown, days = moment.astimezone(zone), (moment.astimezone(zone).date() - now.astimezone(zone).date()).days
    return f"{shown:%H:%M}" if days == 0 else f"{shown:%a %H:%M}" if 0 < days < 7 else f"{shown:%a %d %b %H:%M}"


def listed(parts: Iterable[str]) -> str:
    """What is known, with commas between."""
    return ", ".join(part for part in parts if part)


def check_template(template: str, fields: Iterable[str]) -> None:
    """See that a person's template names only what its rule knows.

    Raises:
        ValueError: it names something else, or has a stray brace.
    """
    known = sorted(fields)
    for _, field, form, conversion in _FORMATTER.parse(template):
        if field is None:
            continue
        if field not in known or form or conversion:
            raise ValueError(f"{{{field}}} is not known here; there are {', '.join(f'{{{name}}}' for name in known)}")


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill a template that was checked."""
    return _FORMATTER.vformat(template, (), values)
