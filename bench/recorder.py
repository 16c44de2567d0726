"""A year of one home in the recorder's history: how fast, how large, and how quickly it answers.

`python -m bench.recorder [--days 365]`. DuckDB over a Parquet file of the same readings answers the same questions in the
same run, for comparison.
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np

from hems.actor.settings import HomeSettings
from hems.contracts.energy import HistoryQuery
from services.recorder.domain.energy import SECOND_US
from services.recorder.domain.questions import pieces, plan
from services.recorder.domain.records import MainsRow, microseconds
from services.recorder.opening import OpenHistory, opened_history

_START = datetime(2024, 1, 1, tzinfo=UTC)
_PERIOD_S = 3
_CHUNK = 28_800
_LIVE = 20
_TARIFF = '{"kind": "time_of_use", "rates": [{"from": "00:30", "to": "04:30", "per_kwh": 0.09}, {"per_kwh": 0.27}]}'


def powers_mw(day: int) -> np.ndarray:
    """A day that looks like a home: a base load, a fridge, evenings, kettles."""
    chance = np.random.default_rng(day)
    seconds = np.arange(0, 86_400, _PERIOD_S)
    base = 120 + 90 * ((seconds // 1_500) % 2) + 400 * np.clip(np.sin((seconds - 50_000) / 86_400 * 2 * np.pi), 0, 1)
    for start in chance.integers(0, 86_400, 12):
        base[(seconds >= start) & (seconds < start + 180)] += 2_800
    return np.rint((base + chance.normal(0, 4, len(seconds))) * 1_000).astype(int)


def readings(day: int) -> list[MainsRow]:
    """A day's readings, with a voltage."""
    start_us = microseconds(_START + timedelta(days=day))
    return [
        MainsRow(start_us + place * _PERIOD_S * SECOND_US, power, voltage_mv=230_000 + power % 2_000)
        for place, power in enumerate(powers_mw(day).tolist())
    ]


async def measure(days: int, folder: Path) -> None:
    """All figures."""
    home = HomeSettings.read({}, {})
    async with opened_history(f"sqlite:///{folder}/history.db", home, for_service=True) as opened:
        await opened.history.start(_TARIFF, int(_START.timestamp()))
        began_s = time.perf_counter()
        for day in range(days):
            await opened.history.record(readings(day))
        await opened.history.count_all()
        spent_s = time.perf_counter() - began_s
        rows = days * _CHUNK
        say("rows in bulk", f"{rows:,}", f"{rows / spent_s:,.0f} rows/s")
        say("size", f"{_size(folder) / 1e6:,.0f} MB", f"{_size(folder) / rows:.1f} bytes a row, roll-ups included")
        await live(opened, days)
        await answers(opened, days, folder)
        say("memory, with numpy and DuckDB loaded", f"{_most_memory_mb():,.0f} MB", "")
        await thinned(opened, days, folder)


async def live(opened: OpenHistory, days: int) -> None:
    """A backlog as the broker hands it out, 20 rows a commit, and the bytes of an hour as it comes, two rows a commit."""
    rows = readings(days)
    began_s = time.perf_counter()
    for start in range(0, 10_000, _LIVE):
        await opened.history.record(rows[start : start + _LIVE])
    spent_s = time.perf_counter() - began_s
    say("rows of a backlog, 20 a commit, each on the disk", f"{10_000 / spent_s:,.0f} rows/s", "")
    before = _written_bytes()
    for start in range(10_000, 11_200, 2):
        await opened.history.record(rows[start : start + 2])
    written = (_written_bytes() - before) * 24
    say("bytes written a day, a commit each 6 s", f"{written / 1e6:,.0f} MB", "the log and the checkpoints, from an hour of readings")


async def answers(opened: OpenHistory, days: int, folder: Path) -> None:
    """The dashboard's two largest questions, against DuckDB."""
    import duckdb

    parquet = folder / "readings.parquet"
    write_parquet(days, parquet)
    database: Any = duckdb.connect()
    end = _START + timedelta(days=days)
    year = HistoryQuery(id="y", client="bench", what="energy", start=_START, end=end, resolution="1d")
    last = HistoryQuery(id="d", client="bench", what="mains", start=end - timedelta(days=2), end=end - timedelta(days=1), resolution="raw")
    bars = f"""
        SELECT at_us // 86400000000 AS day, sum((power_mw + following) / 2.0 * least(gap_us, 60000000)) / 3.6e15
        FROM (
            SELECT at_us, power_mw, lead(power_mw) OVER w AS following, lead(at_us) OVER w - at_us AS gap_us
            FROM '{parquet}' WINDOW w AS (ORDER BY at_us)
        ) GROUP BY day ORDER BY day
    """  # noqa: S608 - our own file
    first_us, width_us = microseconds(last.start), 86_400
    thin = f"""
        SELECT (at_us - {first_us}) // {width_us * 1_000} AS slot, avg(power_mw), min(power_mw), max(power_mw)
        FROM '{parquet}' WHERE at_us >= {first_us} AND at_us < {microseconds(last.end)} GROUP BY slot ORDER BY slot
    """  # noqa: S608 - our own file
    for name, query, sql in (("a year's daily bars", year, bars), ("a day thinned to 1,000 points", last, thin)):
        ours_ms = await timed(lambda query=query: _answered(opened, query))
        theirs_ms = await timed(lambda sql=sql: _fetched(database, sql))
        say(name, f"{ours_ms:.1f} ms", f"DuckDB over Parquet {theirs_ms:.1f} ms: {theirs_ms / ours_ms:.2f} times ours")


async def _answered(opened: OpenHistory, query: HistoryQuery) -> None:
    columns, rows = await opened.answers.answer(plan(query), 60)
    assert rows
    assert [piece.to_wire() for piece in pieces(query.id, columns, rows)]


async def _fetched(database: Any, sql: str) -> None:
    assert database.execute(sql).fetchall()


async def timed(work: Callable[[], Awaitable[None]]) -> float:
    """The median of seven, ms."""
    spent: list[float] = []
    for _ in range(7):
        began_s = time.perf_counter()
        await work()
        spent.append((time.perf_counter() - began_s) * 1_000)
    return median(spent)


async def thinned(opened: OpenHistory, days: int, folder: Path) -> None:
    """What is left of a year when single readings stay for 90 days."""
    if days > 90:
        began_s = time.perf_counter()
        gone = await opened.history.thin(microseconds(_START + timedelta(days=days - 90)))
        say("thinned to 90 days of readings", f"{gone:,} rows", f"{gone / (time.perf_counter() - began_s):,.0f} rows/s")
        async with opened.database.writer.connect() as connection:
            raw: Any = await connection.get_raw_connection()
            await raw.driver_connection.execute("VACUUM INTO ?", (str(folder / "compact.db"),))
        say("size then", f"{(folder / 'compact.db').stat().st_size / 1e6:,.0f} MB", "90 days of readings and a year of roll-ups")


def write_parquet(days: int, file: Path) -> None:
    """The same readings."""
    import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]
    import pyarrow.parquet as pq  # pyright: ignore[reportMissingTypeStubs]

    arrow: Any = pa
    writer: Any = None
    for table in _tables(days, arrow):
        writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)
    writer.close()


def _tables(days: int, arrow: Any) -> Iterator[Any]:
    for day in range(days):
        start_us = microseconds(_START + timedelta(days=day))
        at_us = start_us + np.arange(_CHUNK) * _PERIOD_S * SECOND_US
        yield arrow.table({"at_us": at_us, "power_mw": powers_mw(day)})


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("history.db*"))


def _most_memory_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1_024


def _written_bytes() -> int:
    return next(int(line.split()[1]) for line in Path("/proc/self/io").read_text().splitlines() if line.startswith("wchar"))


def say(what: str, figure: str, note: str) -> None:
    """A line of the result."""
    print(f"{what:<50} {figure:>16}  {note}", flush=True)


@click.command()
@click.option("--days", type=click.IntRange(3, 3_660), default=365, show_default=True)
def main(days: int) -> None:
    """Measure the recorder's history over some days at a reading each 3 s."""
    with tempfile.TemporaryDirectory(prefix="hems-bench-") as folder:
        asyncio.run(measure(days, Path(folder)))


if __name__ == "__main__":
    main()
