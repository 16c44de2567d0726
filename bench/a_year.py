"""A year of one home's history that ends now, for measurements that need one behind them."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from bench.recorder import powers_mw
from hems.actor.settings import HomeSettings
from hems.contracts.appliances import ApplianceEvent
from services.recorder.domain.energy import SECOND_US
from services.recorder.domain.records import MainsRow, Row, StateRow, happening, microseconds
from services.recorder.opening import opened_history

TARIFF = {"kind": "flat", "per_kwh": 0.27}
_DAYS = 365
_FINE_DAYS = 2
_COARSE = 20
_PERIOD_S = 3
_RUNS = {"kettle": (7, 4, 2_800), "microwave": (12, 6, 1_100), "dishwasher": (19, 90, 650), "washing_machine": (10, 70, 350)}
"""Each appliance's hour of the day, minutes, W."""


def write(url: str) -> None:
    """Readings each minute (each 3 s in the last two days) and four appliances' runs."""
    asyncio.run(_write(url))


async def _write(url: str) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    async with opened_history(url, HomeSettings.read({}, {}), for_service=True) as opened:
        await opened.history.start(json.dumps(TARIFF), int((now - timedelta(days=_DAYS)).timestamp()))
        for day in range(_DAYS):
            every = 1 if day >= _DAYS - _FINE_DAYS else _COARSE
            await opened.history.record(list(_day(day, now - timedelta(days=_DAYS - day), every)))
        await opened.history.count_all()


def _day(number: int, start: datetime, every: int) -> Iterator[Row]:
    start_us = microseconds(start)
    for place, power_mw in enumerate(powers_mw(number)[::every].tolist()):
        yield MainsRow(start_us + place * every * _PERIOD_S * SECOND_US, power_mw, voltage_mv=230_000)
    for appliance, (hour, minutes, power_w) in _RUNS.items():
        begin, end = start + timedelta(hours=hour), start + timedelta(hours=hour, minutes=minutes)
        yield StateRow(microseconds(begin), appliance, running=True, power_mw=power_w * 1_000, confidence_thousandths=900)
        yield StateRow(microseconds(end), appliance, running=False, power_mw=0, confidence_thousandths=900)
        told = {"duration_s": minutes * 60.0, "energy_kwh": power_w * minutes / 60e3}
        for event in (
            ApplianceEvent(id=f"{appliance}-{number}", kind="started", at=begin, announced_at=begin, confidence=0.9),
            ApplianceEvent(id=f"{appliance}-{number}-over", kind="finished", at=end, announced_at=end, confidence=0.9, **told),
        ):
            yield happening("event", event.at, appliance, event, event.id)


def write_carbon(file: Path) -> None:
    """Two days of an intensity, g/kWh, for a source of the plain form."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
    hours = [start + timedelta(hours=hour) for hour in range(49)]
    rows = [f"{begin.isoformat()},{end.isoformat()},{120 + number % 24 * 5}" for number, (begin, end) in enumerate(pairwise(hours))]
    file.write_text("\n".join(["from,to,value", *rows]) + "\n")
