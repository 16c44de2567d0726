"""The demo's recording as the messages that services would say of it: what was really on, as events and states."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from hems.contracts.appliances import ApplianceEvent, ApplianceState, EventKind, event_id
from hems.contracts.catalog import APPLIANCE, APPLIANCE_EVENT, ENERGY, MAINS
from hems.contracts.energy import Energy
from hems.contracts.mains import Mains
from hems.contracts.topic import Topic
from services.replay.command import DEMO
from services.replay.domain.recording import Recording, from_us
from services.replay.parquet_file import read_recording

RATE = 0.27
ZONE = ZoneInfo("Europe/London")
RULES = {
    "kettle": (1_000, 12, 0),
    "microwave": (200, 12, 30),
    "dishwasher": (10, 1_800, 1_800),
    "washing_machine": (20, 1_800, 180),
    "fridge": (50, 60, 12),
}
"""On above W; at least on, s; gaps merged below, s: what counts as on in the published comparisons."""


@dataclass(frozen=True)
class Said:
    """One message of the home."""

    at: datetime
    topic: Topic[Any]
    payload: Any
    parameters: dict[str, str]


def recorded(start: datetime, end: datetime, path: Path = DEMO) -> list[Said]:
    """Everything between two moments, in order."""
    home = read_recording(path)
    said = [*readings(home), *(message for name in home.appliances_w for message in appliance(home, name))]
    return sorted((message for message in said if start <= message.at < end), key=lambda message: message.at)


def readings(home: Recording) -> Iterator[Said]:
    """The meter once a minute, and the counters once in five."""
    day, month_kwh, today_kwh = None, 0.0, 0.0
    for place in range(0, len(home.at_us), 8):
        at, power_w = from_us(home.at_us[place]), float(home.mains_w[place])
        if np.isnan(power_w):
            continue
        if day != at.astimezone(ZONE).date():
            day, today_kwh = at.astimezone(ZONE).date(), 0.0
        share_kwh = power_w * 64 / 3.6e6
        month_kwh, today_kwh = month_kwh + share_kwh, today_kwh + share_kwh
        yield Said(at, MAINS, Mains(measured_at=at, power_w=power_w, quality="measured"), {})
        if place % 40 == 0:
            counters = {"total_kwh": month_kwh, "today_kwh": today_kwh, "month_kwh": month_kwh}
            money = {"today_cost": today_kwh * RATE, "month_cost": month_kwh * RATE, "currency": "GBP", "rate": RATE}
            yield Said(at, ENERGY, Energy.model_validate({"as_of": at, **counters, **money}), {})


def appliance(home: Recording, column: str) -> Iterator[Said]:
    """Its events, and its state each minute while it runs."""
    name = column.removesuffix("_30s_mean")
    power_w = np.nan_to_num(home.appliances_w[column])
    for first, last in activations(power_w, home.at_us, *RULES[name]):
        start, end = from_us(home.at_us[first]), from_us(home.at_us[last])
        energy_kwh = float(power_w[first:last].sum()) * 8 / 3.6e6
        yield Said(start, APPLIANCE_EVENT, event(name, "started", start), {"appliance": name})
        finished = event(name, "finished", end).model_copy(update={"duration_s": (end - start).total_seconds(), "energy_kwh": energy_kwh})
        yield Said(end, APPLIANCE_EVENT, finished, {"appliance": name})
        at = start
        while at < end:
            state = ApplianceState(observed_at=at, running=True, power_w=float(power_w[first]), confidence=0.9, since=start)
            yield Said(at, APPLIANCE, state, {"appliance": name})
            at += timedelta(minutes=1)
        yield Said(
            end, APPLIANCE, ApplianceState(observed_at=end, running=False, power_w=0, confidence=0.9, since=end), {"appliance": name}
        )


def event(name: str, kind: EventKind, at: datetime) -> ApplianceEvent:
    """An event, known at once."""
    return ApplianceEvent(id=event_id("home", name, kind, at), kind=kind, at=at, announced_at=at, confidence=0.9)


def activations(
    power_w: npt.NDArray[np.float32], at_us: npt.NDArray[np.int64], above_w: float, at_least_s: float, merged_s: float
) -> list[tuple[int, int]]:
    """First and last row of each run, short gaps merged, short runs dropped."""
    rows = np.flatnonzero(power_w > above_w)
    if not len(rows):
        return []
    breaks = np.flatnonzero(np.diff(at_us[rows]) > max(merged_s, 60) * 1_000_000)
    runs = zip(rows[np.concatenate(([0], breaks + 1))], rows[np.concatenate((breaks, [len(rows) - 1]))], strict=True)
    return [(int(first), int(last)) for first, last in runs if (at_us[last] - at_us[first]) / 1e6 >= at_least_s]
