"""`hems replay` and `hems convert`."""

import asyncio
import contextlib
import signal
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import structlog

from hems.actor.clock import Clock, SimulatedClock, WallClock
from hems.actor.configuration import Configuration, ConfigurationError
from hems.actor.logs import configure_logs
from hems.actor.settings import ClockSettings
from services.replay.domain.averaging import averaged
from services.replay.domain.lines import Assumptions
from services.replay.domain.raw import read_chunks
from services.replay.domain.recording import Recording, Schedule, UnusableRecording
from services.replay.domain.start import demo_start
from services.replay.player import Player, play_raw, shift_for
from services.replay.ports import NetworkPort, Output, PseudoTerminal, SerialOutput

DEMO = Path(__file__).parent / "demo" / "home.parquet"

_METER_BAUD = 38_400
_PAST = timedelta(days=3)
_VOLTAGE_BAUD = 115_200
_path: Any = click.Path(path_type=Path)
_file: Any = click.Path(exists=True, dir_okay=False, path_type=Path)


def _moment(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if value else None
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a time; one is 2015-01-04T09:30") from None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


@click.command()
@click.argument("recording", type=_file, default=DEMO)
@click.option("--meter-link", type=_path, default=Path("var/ports/meter"), show_default=True, help="Name of the meter's pty.")
@click.option("--voltage-link", type=_path, default=Path("var/ports/voltage"), show_default=True, help="Name of the ESP8266's pty.")
@click.option("--meter-port", type=_file, help="Print on this serial port instead, at 38400 baud.")
@click.option("--voltage-port", type=_file, help="Print on this serial port instead, at 115200 baud.")
@click.option("--listen", type=click.IntRange(1, 65_534), help="Print over TCP on this port, and the voltage on the next.")
@click.option("--from", "start", callback=_moment, help="Begin at this time of the recording (UTC unless it has an offset).")
@click.option("--power-factor", type=click.FloatRange(0.01, 1), default=0.95, show_default=True, help="As in sensor.meter.")
@click.option("--vest", "vest_v", type=click.FloatRange(50, 500), default=230.0, show_default=True, help="As sensor.meter.vest_v.")
@click.option("--print-start", is_flag=True, help="Only print where the recording would begin.")
@click.option("--write-past", type=_path, help="Only write the days before that, as a recording of the mains.")
def replay(
    recording: Path,
    meter_link: Path,
    voltage_link: Path,
    meter_port: Path | None,
    voltage_port: Path | None,
    listen: int | None,
    start: datetime | None,
    power_factor: float,
    vest_v: float,
    print_start: bool,
    write_past: Path | None,
) -> None:
    """Play a recorded home as the meters that would stand there.

    RECORDING is a Parquet file (`timestamp`, `mains`), or what `hems record` wrote; without one, the demo's home. Each
    line comes when the services' clock says so. At its end the recording begins again; time goes on.

    Example: hems replay home.parquet --meter-link var/ports/meter
    """
    configure_logs("replay")
    try:
        raw = read_chunks(recording.read_text(encoding="utf-8")) if recording.suffix == ".jsonl" else None
        home = None if raw else _read(recording)
        settings = Configuration.load().section(ClockSettings)
        if print_start:
            click.echo(_start_of(home, start, settings).isoformat())
            return
        if write_past:
            _write_past(home, _start_of(home, start, settings), write_past)
            return
        clock = _clock(settings)
        with ExitStack() as stack:
            meter = stack.enter_context(_output(meter_port, _METER_BAUD, meter_link, listen))
            if home is None:
                playing = play_raw(raw or [], clock, meter)
            else:
                voltage = stack.enter_context(_output(voltage_port, _VOLTAGE_BAUD, voltage_link, listen and listen + 1))
                player = _player(home, settings, clock, start, (meter, voltage), Assumptions(power_factor, vest_v))
                playing = player.play()
            place = f"TCP port {listen}" if listen else str(meter_port or meter_link)
            structlog.get_logger().info("plays", recording=str(recording), meter=place, rate=clock.rate)
            asyncio.run(_until_stopped(playing))
    except (UnusableRecording, ConfigurationError, OSError) as error:
        raise click.ClickException(str(error)) from None


def _output(port: Path | None, baud: int, link: Path, listen: int | None) -> PseudoTerminal | SerialOutput | NetworkPort:
    if listen:
        return NetworkPort("0.0.0.0", listen)  # noqa: S104  a container's own network
    return SerialOutput(port, baud) if port else PseudoTerminal(link)


def _read(path: Path) -> Recording:
    from services.replay.parquet_file import read_recording  # pyarrow takes its time; a raw recording doesn't need it

    return read_recording(path)


def _start_of(home: Recording | None, start: datetime | None, settings: ClockSettings) -> datetime:
    if home is None:
        raise UnusableRecording("a port's raw recording has no time of day to begin at")
    epoch = settings.epoch if settings.epoch and home.first <= settings.epoch <= home.last else None
    return start or epoch or demo_start(home)


def _write_past(home: Recording | None, start: datetime, path: Path) -> None:
    from services.replay.parquet_file import write_recording

    if home is not None:
        write_recording(path, home.mains_between(start - _PAST, start))


def _clock(settings: ClockSettings) -> Clock:
    return WallClock() if settings.epoch is None else SimulatedClock(settings.epoch, settings.anchor_s, settings.rate)


def _player(
    home: Recording, settings: ClockSettings, clock: Clock, start: datetime | None, ports: tuple[Output, Output], assumptions: Assumptions
) -> Player:
    shift = shift_for(home, settings.epoch, clock.now(), start, demo_start(home))
    return Player(Schedule(home, shift), clock, *ports, assumptions)


async def _until_stopped(playing: Any) -> None:
    task = asyncio.ensure_future(playing)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("target", type=_path)
@click.option("--name", "names", multiple=True, metavar="COLUMN=APPLIANCE", help="What a column or channel is, as Appliance8=kettle.")
@click.option("--every", type=click.IntRange(1, 300), metavar="SECONDS", help="Means of so many seconds, instead of every reading.")
def convert(source: Path, target: Path, names: tuple[str, ...], every: int | None) -> None:
    """Make a recording out of a published data set's own files.

    SOURCE is a REFIT file (CLEAN_House2.csv) or a house's folder of UK-DALE or of REDD's low_freq (house_1); TARGET the Parquet file to
    write.

    Example: hems convert CLEAN_House2.csv refit_house2_30s.parquet --name Appliance8=kettle --every 30
    """
    from services.replay.original_files import read_house, read_refit
    from services.replay.parquet_file import write_recording

    if any("=" not in name for name in names):
        raise click.BadParameter("give each name as COLUMN=APPLIANCE, such as Appliance8=kettle")
    appliances = dict(name.split("=", 1) for name in names)
    try:
        home = read_house(source, appliances) if source.is_dir() else read_refit(source, appliances)
        home = averaged(home, every) if every else home
        write_recording(target, home)
    except (UnusableRecording, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{target}: {len(home.at_us)} readings from {home.first.isoformat()} to {home.last.isoformat()}")
