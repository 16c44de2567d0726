"""`hems record`."""

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Any

import click

from services.sensor.recorder import record_port
from services.sensor.serial_port import SerialPort

_target: Any = click.Path(dir_okay=False, writable=True, path_type=Path)


@click.command()
@click.argument("target", type=_target, default=Path("port.jsonl"))
@click.option("--port", default="/dev/ttyAMA0", show_default=True, help="The serial port; stop the sensor first.")
@click.option(
    "--baud",
    type=click.IntRange(50, 4_000_000),
    default=38_400,
    show_default=True,
    help="38400 for an RPICT, most often 115200 for an ESP8266.",
)
@click.option("--for", "seconds", type=click.FloatRange(min=0.1), default=None, help="Stop after so many seconds.")
def record(target: Path, port: str, baud: int, seconds: float | None) -> None:
    """Write a port's raw bytes with their times to TARGET, for a bug report. Ctrl-C stops it; `hems replay TARGET` plays it.

    Example: hems record meter.jsonl --port /dev/ttyUSB0 --baud 115200 --for 60
    """
    try:
        asyncio.run(_record(SerialPort(port, baud), baud, target, seconds))
    except OSError as error:
        if error.filename == str(target):
            raise click.ClickException(f"{target} can't be written ({error.strerror}); choose another place for it") from None
        raise click.ClickException(f"{error}; check --port, and that nothing else reads it (stop the sensor)") from None
    click.echo(f"\nwritten to {target}")


async def _record(port: SerialPort, baud: int, target: Path, seconds: float | None) -> None:
    task = asyncio.ensure_future(record_port(port, baud, target, _show))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    if seconds is not None:
        loop.call_later(seconds, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _show(byte_count: int) -> None:
    click.echo(f"\r{byte_count} bytes", nl=False, err=True)
