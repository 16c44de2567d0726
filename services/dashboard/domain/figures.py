"""Figures as people read them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥", "INR": "₹"}
_WITHOUT_MINOR = {"JPY", "KRW", "HUF", "ISK"}
_LB_PER_KG = 2.204_622_6


@dataclass(frozen=True)
class Figures:
    """The home's units, currency and time zone."""

    zone: ZoneInfo
    currency: str = "GBP"
    power_unit: Literal["auto", "W", "kW"] = "W"
    carbon_unit: Literal["kg", "lb"] = "kg"
    temperature_unit: Literal["C", "F"] = "C"
    clock: Literal["24h", "12h"] = "24h"

    def power_parts(self, power_w: float) -> tuple[str, str]:
        """A figure and its unit: `1,250` and `W`."""
        if self.power_unit == "kW" or (self.power_unit == "auto" and abs(power_w) >= 10_000):
            return f"{power_w / 1_000:,.2f}", "kW"
        return f"{round(power_w):,}", "W"

    def power(self, power_w: float) -> str:
        """`1,250 W`."""
        return " ".join(self.power_parts(power_w))

    def energy(self, energy_kwh: float) -> str:
        """`0.42 kWh`, `12.5 kWh`, `1,250 kWh`."""
        size = abs(energy_kwh)
        digits = 2 if size < 10 else 1 if size < 100 else 0
        return f"{energy_kwh:,.{digits}f} kWh"

    def money(self, amount: float, *, fine: bool = False) -> str:
        """`£1.25`; with `fine`, a price of a kWh such as `£0.2718`. A currency without a symbol stands behind."""
        least = 0 if self.currency in _WITHOUT_MINOR else 2
        digits = least + (2 if fine and round(amount, least) != round(amount, least + 2) else 0)
        sign, text = "\u2212" if round(amount, digits) < 0 else "", f"{abs(amount):,.{digits}f}"
        symbol = _SYMBOLS.get(self.currency)
        return f"{sign}{symbol}{text}" if symbol else f"{sign}{text} {self.currency}"

    def carbon(self, carbon_kg: float) -> str:
        """`1.8 kg`."""
        amount = carbon_kg if self.carbon_unit == "kg" else carbon_kg * _LB_PER_KG
        return f"{amount:.{2 if abs(amount) < 10 else 1}f} {self.carbon_unit}"

    def temperature(self, temperature_c: float) -> str:
        """`21.5 °C`."""
        degrees = temperature_c if self.temperature_unit == "C" else temperature_c * 1.8 + 32
        return f"{degrees:.1f} °{self.temperature_unit}"

    def time(self, moment: datetime, now: datetime | None = None) -> str:
        """`14:05`; with `now`, on another day `Mon 14:05`, further away `4 Jan 14:05`."""
        local = moment.astimezone(self.zone)
        text = local.strftime("%H:%M") if self.clock == "24h" else local.strftime("%I:%M %p").lstrip("0")
        if now is None or local.date() == now.astimezone(self.zone).date():
            return text
        near = abs((moment - now).days) < 6
        return f"{local:%a} {text}" if near else f"{local.day} {local:%b} {text}"

    def date(self, moment: datetime) -> str:
        """`Sunday 4 January 2015`."""
        local = moment.astimezone(self.zone)
        return f"{local:%A} {local.day} {local:%B %Y}"

    def local_ms(self, moment: datetime) -> int:
        """Milliseconds on the wall clock's own count: the home's time in any browser, where the chart takes it as UTC."""
        local = moment.astimezone(self.zone)
        offset = local.utcoffset()
        return round((moment.timestamp() + (offset.total_seconds() if offset else 0)) * 1_000)


def duration(seconds: float) -> str:
    """`75` is "1 min"; `6720` is "1 h 52 min"; below a minute, seconds."""
    if seconds < 60:
        return f"{max(round(seconds), 0)} s"
    minutes = round(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def percent(part: float) -> str:
    """`0.126` is "13 %"; something that is not nothing is at least "<1 %"."""
    if 0 < part < 0.005:
        return "<1 %"
    return f"{part * 100:.0f} %"


def change(now: float, before: float) -> float | None:
    """The relative change; None where it says nothing."""
    return None if before <= 0 else (now - before) / before
