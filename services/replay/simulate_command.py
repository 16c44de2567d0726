"""`hems simulate`: many homes at once, to see what a broker and the services behind it hold."""

import asyncio
import contextlib
import csv
import os
import signal
import sys
import time
from array import array
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np
import structlog
from pydantic import SecretStr

from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.logs import configure_logs
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings
from services.replay.domain.recording import Recording, UnusableRecording
from services.replay.domain.street import Reading, Street
from services.replay.parquet_file import read_recording
from services.replay.simulator import MOST_KEPT, Line, Simulator

_DEMO = Path(__file__).parent / "demo" / "home.parquet"
_PROGRESS_S = 5.0


@click.command()
@click.option("--homes", type=click.IntRange(1, 100_000), required=True, help="How many.")
@click.option(
    "--period", "period_s", type=click.FloatRange(0.1, 3_600), default=3.0, show_default=True, help="Seconds between a home's readings."
)
@click.option("--for", "for_s", type=click.FloatRange(min=1), help="Seconds; for ever without it.")
@click.option("--connections", type=click.IntRange(1, 1_000), default=8, show_default=True, help="Homes share them evenly.")
@click.option(
    "--recordings",
    type=click.Path(exists=True, path_type=Path),
    default=_DEMO,
    help="A recording, or a folder of them (.parquet).  [default: the demo's home]",
)
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="The number of the first home, for several simulators.")
@click.option("--user", default="sensor", show_default=True, help="The broker's user, which may speak for these homes.")
@click.option(
    "--password-file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Holds its password.  [default: as in hems.yaml]"
)
@click.option(
    "--acknowledged",
    "target",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write each reading that the broker acknowledged (CSV).",
)
def simulate(
    homes: int, period_s: float, for_s: float | None, connections: int, recordings: Path, first: int, user: str,
    password_file: Path | None, target: Path | None,
) -> None:  # fmt: skip
    """Play many homes: recorded ones, each shifted in time and scaled, on the broker that hems.yaml names.

    The homes are called sim-00000 and so on, and share a few connections; a real home has one of its own, which costs a
    broker more. Each reading bears the time at which it was due, so that whoever reads it knows how long it took. What the
    broker did not acknowledge is said again, in order.

    Example: hems simulate --homes 1000 --period 3 --for 600
    """
    configure_logs("simulate")
    try:
        settings = _account(Configuration.load().section(BrokerSettings), user, password_file)
        street = Street(_read(recordings), homes, period_s, first)
    except (ConfigurationError, UnusableRecording, OSError) as error:
        raise click.ClickException(str(error)) from None
    asyncio.run(_simulate(street, settings, connections, for_s, target))


def _account(settings: BrokerSettings, user: str, password_file: Path | None) -> BrokerSettings:
    password = SecretStr(password_file.read_text(encoding="utf-8").strip()) if password_file else settings.password
    return settings.model_copy(update={"username": settings.username or user, "password": password})


def _read(path: Path) -> list[Recording]:
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise UnusableRecording(f"{path} holds no recordings; those of `hems convert` end in .parquet")
    return [read_recording(file) for file in files]


async def _simulate(street: Street, settings: BrokerSettings, connections: int, for_s: float | None, target: Path | None) -> None:
    log, latency_s = structlog.get_logger(), array("f")
    with ExitStack() as stack:
        rows = _rows(stack, target)

        def told(reading: Reading, at_s: float) -> None:
            if len(latency_s) >= 2 * MOST_KEPT:
                del latency_s[:MOST_KEPT]
            latency_s.append(at_s - reading.at_s)
            if rows is not None:
                rows.writerow((reading.home, f"{reading.at_s:.3f}", reading.power_w, f"{at_s:.6f}"))

        names = [f"{settings.prefix}-simulate-{os.getpid()}-{number}" for number in range(min(connections, len(street.homes)))]
        lines = [Line(MqttBroker(settings), name, settings.prefix, log, told) for name in names]
        start_s = float(round(time.time()) + 1)
        simulator = Simulator(street.readings(start_s), lines)
        began_s = time.monotonic()
        progress = asyncio.ensure_future(_show_progress(simulator))
        _end_on_signals()
        with contextlib.suppress(asyncio.CancelledError):
            await simulator.run(float("inf") if for_s is None else start_s + for_s)
        progress.cancel()
        click.echo(_table(street, len(lines), simulator, latency_s, time.monotonic() - began_s))


def _end_on_signals() -> None:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: task and task.cancel())


def _rows(stack: ExitStack, target: Path | None) -> Any:
    if target is None:
        return None
    rows = csv.writer(stack.enter_context(target.open("w", newline="", encoding="utf-8")))
    rows.writerow(("home", "measured_at_s", "power_w", "acknowledged_at_s"))
    return rows


async def _show_progress(simulator: Simulator) -> None:
    """A line now and then, on stderr; rewritten in a terminal."""
    before, end = 0, "\r" if sys.stderr.isatty() else "\n"
    while True:
        await asyncio.sleep(_PROGRESS_S)
        counts = simulator.counts
        rate = (counts.acknowledged - before) / _PROGRESS_S
        before = counts.acknowledged
        click.echo(f"{counts.acknowledged:>9} acknowledged, {rate:7.0f} a second, {counts.waiting:>6} waiting   ", nl=False, err=True)
        click.echo(end, nl=False, err=True)


def _table(street: Street, connections: int, simulator: Simulator, latency_s: Sequence[float], lasted_s: float) -> str:
    counts = simulator.counts
    rows = (
        ("homes, over connections", f"{len(street.homes)}, {connections}"),
        ("a reading each", f"{street.period_s:g} s"),
        ("readings due", f"{counts.due}"),
        ("acknowledged", f"{counts.acknowledged}"),
        ("said again, since a connection broke", f"{counts.said_again}"),
        ("not acknowledged at the end", f"{counts.waiting}"),
        ("acknowledged a second", f"{counts.acknowledged / lasted_s:.1f}"),
        ("due to handed over: p50, p99", _percentiles(simulator.lags_s)),
        ("due to acknowledged: p50, p99", _percentiles(latency_s)),
    )
    return "\n".join(f"{name:<38} {value}" for name, value in rows)


def _percentiles(seconds: Sequence[float]) -> str:
    if not len(seconds):
        return "-"
    p50, p99 = np.percentile(np.asarray(seconds, dtype=np.float64) * 1e3, [50, 99])
    return f"{p50:.1f} ms, {p99:.1f} ms"
