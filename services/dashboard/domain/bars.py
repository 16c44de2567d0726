"""Bars of energy and cost by appliance, the heat map, and files of them."""

import bisect
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from services.dashboard.domain.answers import Answer
from services.dashboard.domain.periods import Period

REST = ""
"""The name of what no appliance has used."""

_HOURS = 24
_STANDBY_SHARE = 0.1


@dataclass(frozen=True)
class Part:
    """What one appliance, or the rest, has used in each slot; a cost is None where there was no tariff."""

    name: str
    energy_kwh: tuple[float, ...]
    cost: tuple[float | None, ...]

    @property
    def total_kwh(self) -> float:
        """All slots together."""
        return sum(self.energy_kwh)

    @property
    def total_cost(self) -> float | None:
        """All slots together."""
        return _sum(self.cost)


@dataclass(frozen=True)
class Bars:
    """A period's slots, and what each appliance and the rest have used in them: together they are the home."""

    starts: tuple[datetime, ...] = ()
    labels: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    home: Part = field(default_factory=lambda: Part(REST, (), ()))


def stack(period: Period, home: Answer, appliances: Mapping[str, Answer]) -> Bars:
    """Stack appliances under the home's own sums: the rest is what is left, and never less than nothing.

    Where estimates are more than the home has used, they are scaled down to it.
    """
    slots = period.slots()
    total = _gathered(REST, home, slots)
    parts = [_gathered(name, answer, slots) for name, answer in appliances.items()]
    scales = [_scale(total.energy_kwh[place], sum(part.energy_kwh[place] for part in parts)) for place in range(len(slots))]
    scaled = [_scaled(part, scales) for part in parts]
    named = sorted((part for part in scaled if part.total_kwh > 0), key=lambda part: -part.total_kwh)
    return Bars(tuple(slots), tuple(period.slot_labels()), (*named, _rest(total, named)), total)


def _gathered(name: str, answer: Answer, slots: Sequence[datetime]) -> Part:
    energy, costs = [0.0] * len(slots), list[float | None]([None] * len(slots))
    for at, kwh, cost in zip(answer.moments(), answer.column("energy_kwh"), answer.column("cost"), strict=True):
        place = bisect.bisect_right(slots, at) - 1
        if place >= 0:
            energy[place] += kwh
            costs[place] = _sum((costs[place], cost))
    return Part(name, tuple(energy), tuple(costs))


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _scale(home_kwh: float, named_kwh: float) -> float:
    return home_kwh / named_kwh if named_kwh > home_kwh > 0 else 0.0 if named_kwh > home_kwh else 1.0


def _scaled(part: Part, scales: Sequence[float]) -> Part:
    energy = tuple(kwh * scale for kwh, scale in zip(part.energy_kwh, scales, strict=True))
    cost = tuple(None if amount is None else amount * scale for amount, scale in zip(part.cost, scales, strict=True))
    return Part(part.name, energy, cost)


def _rest(home: Part, parts: Sequence[Part]) -> Part:
    energy = tuple(max(kwh - sum(part.energy_kwh[place] for part in parts), 0.0) for place, kwh in enumerate(home.energy_kwh))
    cost = tuple(
        None if amount is None else amount - sum(part.cost[place] or 0.0 for part in parts) for place, amount in enumerate(home.cost)
    )
    return Part(REST, energy, cost)


@dataclass(frozen=True)
class Heat:
    """Energy by hour of the day; a row a day, or a month of a year. None where nothing was recorded."""

    rows: tuple[str, ...]
    cells: tuple[tuple[float | None, ...], ...]

    @property
    def largest_kwh(self) -> float:
        """The darkest cell."""
        return max((cell for row in self.cells for cell in row if cell is not None), default=0.0)


def heat(period: Period, hourly: Answer) -> Heat:
    """Mean energy of each hour of the day, local time, for each day of a week or month, or each month of a year."""
    zone: ZoneInfo = period.zone
    by_month = period.name == "year"
    sums: dict[tuple[int, int], tuple[float, int]] = {}
    for at, kwh in zip(hourly.moments(), hourly.column("energy_kwh"), strict=True):
        local = at.astimezone(zone)
        row = local.month if by_month else local.date().toordinal()
        total, count = sums.get((row, local.hour), (0.0, 0))
        sums[row, local.hour] = (total + kwh, count + 1)
    starts = [slot.astimezone(zone) for slot in period.slots()] if period.name != "day" else [period.start.astimezone(zone)]
    keys = [start.month if by_month else start.date().toordinal() for start in starts]
    labels = [start.strftime("%b") if by_month else f"{start:%a} {start.day}" for start in starts]
    return Heat(tuple(labels), tuple(tuple(_mean(sums.get((key, hour))) for hour in range(_HOURS)) for key in keys))


def _mean(found: tuple[float, int] | None) -> float | None:
    return None if found is None else found[0] / found[1]


def standby_w(power: Answer) -> float | None:
    """What is always on: the power below which the home hardly ever falls, W.

    The lowest power of each slot, and of those the one that a tenth lie below: a power cut does not count.
    """
    lows = sorted(low for low in power.column("min_w") if low is not None and low > 0)
    return lows[int(len(lows) * _STANDBY_SHARE)] if lows else None


def bars_csv(bars: Bars, rest: str, currency: str) -> str:
    """The bars as a file: a line a slot, the energy and cost of each part."""
    names = [part.name or rest for part in bars.parts]
    header = ["from", "energy_kwh", f"cost_{currency.lower()}"]
    header += [f"{name}_{what}" for name in names for what in ("energy_kwh", f"cost_{currency.lower()}")]
    rows = list[list[object]]()
    for place, start in enumerate(bars.starts):
        row: list[object] = [start.isoformat(), round(bars.home.energy_kwh[place], 6), _rounded(bars.home.cost[place])]
        for part in bars.parts:
            row += [round(part.energy_kwh[place], 6), _rounded(part.cost[place])]
        rows.append(row)
    return table_csv(header, rows)


def heat_csv(picture: Heat) -> str:
    """The heat map as a file."""
    rows = (
        [label, *("" if cell is None else round(cell, 6) for cell in cells)]
        for label, cells in zip(picture.rows, picture.cells, strict=True)
    )
    return table_csv(["row", *(f"hour_{hour:02d}_kwh" for hour in range(_HOURS))], list(rows))


def table_csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A file of rows; a text that a spreadsheet would take for a formula is defused."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([_safe(name) for name in header])
    writer.writerows([_safe(value) for value in row] for row in rows)
    return text.getvalue()


def _safe(value: object) -> object:
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _rounded(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 6)
