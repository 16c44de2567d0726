"""The history out to files, and readings in."""

import csv
import importlib
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, tzinfo
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Table, select

from services.recorder.answers import ROLLUPS
from services.recorder.database import available
from services.recorder.domain.energy import MJ_PER_KWH, SECOND_US
from services.recorder.domain.questions import HAPPENINGS
from services.recorder.domain.readings_file import Refusals, columns, devices, readings
from services.recorder.domain.records import Row, moment
from services.recorder.domain.tariff import NANO
from services.recorder.opening import OpenHistory
from services.recorder.tables import HOME, gaps, happenings, mains, states

WHAT = ("mains", "appliances", "1min", "15min", "1h", "1d", "gaps", *HAPPENINGS)
_STEP_US = 86_400 * SECOND_US
_BATCH = 5_000
_EMPTY: list[str] = []

Record = dict[str, Any]


class Writer(Protocol):
    """Takes records, a batch at a time."""

    def write(self, records: Sequence[Record]) -> None:
        """Add some."""
        ...


class WrongDevice(ValueError):
    """A file holds several devices, and it was not said which is the mains."""


async def records(opened: OpenHistory, what: str, start_us: int, end_us: int) -> AsyncIterator[list[Record]]:
    """What a range holds, a day at a time, with the units in the names."""
    table, at, shape = _shape(opened, what)
    step = _STEP_US if at.name.endswith("_us") else _STEP_US // SECOND_US
    first, last = (start_us, end_us) if at.name.endswith("_us") else (start_us // SECOND_US, -(-end_us // SECOND_US))
    conditions = [table.c.home == opened.history.home_id]
    if table is happenings:
        conditions.append(happenings.c.kind == HAPPENINGS[what])
    for day in range(first, last, step):
        with available():
            async with opened.database.reader.begin() as connection:
                found = await connection.execute(
                    select(table).where(*conditions, at >= day, at < min(day + step, last)).order_by(*table.primary_key)
                )
                rows = [shape(row) for row in found.mappings()]
        if rows:
            yield rows


def _shape(opened: OpenHistory, what: str) -> tuple[Table, Any, Callable[[Any], Record]]:
    names = {HOME: ""} | {number: name for name, number in opened.history.subjects.items()}
    if what == "mains":
        return mains, mains.c.at_us, _reading
    if what == "appliances":
        return states, states.c.at_us, lambda row: _state(row, names)
    if what == "gaps":
        return gaps, gaps.c.start_us, _gap
    if what in ROLLUPS:
        return ROLLUPS[what], ROLLUPS[what].c.at_s, lambda row: _rollup(row, names)
    return happenings, happenings.c.at_us, _happening


def _reading(row: Any) -> Record:
    return {
        "time": moment(row["at_us"]).isoformat(),
        "power_w": row["power_mw"] / 1_000,
        "quality": "estimated" if row["estimated"] else "measured",
        "apparent_power_va": _whole(row["apparent_power_mva"]),
        "voltage_v": _whole(row["voltage_mv"]),
        "current_a": _whole(row["current_ma"]),
        "power_factor": _whole(row["power_factor_thousandths"]),
        "temperature_c": _whole(row["temperature_mc"]),
        "channels": row["channels"],
    }


def _state(row: Any, names: dict[int, str]) -> Record:
    return {
        "time": moment(row["at_us"]).isoformat(),
        "appliance": names.get(row["subject"], ""),
        "running": bool(row["running"]),
        "power_w": row["power_mw"] / 1_000,
        "confidence": row["confidence_thousandths"] / 1_000,
    }


def _gap(row: Any) -> Record:
    return {
        "time": moment(row["start_us"]).isoformat(),
        "to": moment(row["end_us"]).isoformat(),
        "estimated_kwh": row["estimate_mj"] / MJ_PER_KWH,
    }


def _rollup(row: Any, names: dict[int, str]) -> Record:
    return {
        "time": moment(row["at_s"] * SECOND_US).isoformat(),
        "appliance": names.get(row["subject"], ""),
        "min_w": row["least_mw"] / 1_000,
        "max_w": row["most_mw"] / 1_000,
        "covered_s": row["covered_ms"] / 1_000,
        "energy_kwh": row["imported_mj"] / MJ_PER_KWH,
        "exported_kwh": row["exported_mj"] / MJ_PER_KWH,
        "cost": None if row["cost_nano"] is None else row["cost_nano"] / NANO,
    }


def _happening(row: Any) -> Record:
    return {"time": moment(row["at_us"]).isoformat(), "subject": row["subject"], "said": row["body"]}


def _whole(thousandths: int | None) -> float | None:
    return None if thousandths is None else thousandths / 1_000


@contextmanager
def csv_writer(path: Path) -> Generator[Writer]:
    """A CSV file with a header; none where there is nothing to write."""
    with ExitStack() as stack:
        yield _Csv(path, stack)


class _Csv:
    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._path = path
        self._stack = stack
        self._writer: Any = None

    def write(self, records: Sequence[Record]) -> None:
        if self._writer is None:
            self._writer = csv.writer(self._stack.enter_context(self._path.open("w", encoding="utf-8", newline="")))
            self._writer.writerow(records[0])
        self._writer.writerows(["" if value is None else value for value in record.values()] for record in records)


@contextmanager
def parquet_writer(path: Path) -> Generator[Writer]:
    """A Parquet file; times are timestamps in UTC."""
    writer = _Parquet(path)
    try:
        yield writer
    finally:
        writer.close()


class _Parquet:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def write(self, records: Sequence[Record]) -> None:
        # Loaded for this format alone: it takes a second.
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
        if self._writer is None:
            kinds = {"running": arrow.bool_()} | dict.fromkeys(
                ("quality", "appliance", "channels", "subject", "said", "to"), arrow.string()
            )
            times = {"time": arrow.timestamp("us", tz="UTC")}
            self._schema = arrow.schema([(name, (kinds | times).get(name, arrow.float64())) for name in records[0]])
            self._writer = parquet.ParquetWriter(self._path, self._schema, compression="zstd")
        self._writer.write_table(arrow.Table.from_pylist([_typed(record) for record in records], schema=self._schema))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


def _typed(record: Record) -> Record:
    return record | {"time": datetime.fromisoformat(record["time"])}


def read_file(path: Path, home: str, zone: tzinfo, device: str | None, refusals: Refusals) -> Iterator[Sequence[Row]]:
    """The rows of a CSV or Parquet file, in batches.

    Raises:
        services.recorder.domain.readings_file.UnknownForm: it names no time or no power.
        WrongDevice: it holds several devices, or not the one that was named.
    """
    if path.suffix == ".parquet":
        read = importlib.import_module("services.recorder.parquet_source").read
        yield from read(path, home, zone, refusals, _BATCH)
        return
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file)
        where = columns(next(rows, _EMPTY))
        if where.device is not None:
            device = _device(path, device)
        found = readings(rows, where, zone, device, refusals)
        while batch := list(islice(found, _BATCH)):
            yield batch


def _device(path: Path, wanted: str | None) -> str:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file)
        present = sorted(devices(rows, columns(next(rows, _EMPTY))))
    if wanted is None and len(present) == 1:
        return present[0]
    if wanted not in present:
        raise WrongDevice(f"{path} holds the devices {', '.join(present)}: say with --device which is the mains")
    return wanted or ""
