"""The doctor's look at the meter: its port, the Pi's UART, and whether what it says can be true."""

import os
from collections.abc import Iterator, Sequence

from hems.actor.configuration import ConfigurationError
from hems.actor.settings import HomeSettings
from hems.contracts.mains import Mains
from hems.setting_up.checkup import HomeSeen
from hems.setting_up.findings import Finding, left_out, look, well
from services.sensor.detecting import listen
from services.sensor.domain.plausibility import Remark, Sample, line_remarks, meter_remarks, sample, voltage_remarks
from services.sensor.domain.profiles import layouts, meter_parser
from services.sensor.domain.proposal import ESP8266_STEP
from services.sensor.domain.readings import MeterLine, VoltageLine
from services.sensor.domain.recognition import Heard, recognise
from services.sensor.domain.telling import port_problem
from services.sensor.domain.zmpt101b import parse_voltage
from services.sensor.pi_uart import uart_findings
from services.sensor.settings import MeterSettings, SensorSettings

_ENOUGH_LINES = 40
_NOISE_SHARE = 0.02
_FEW_LINES = 20


async def check(home: HomeSeen) -> Sequence[Finding]:
    """The meter and the voltage sensor; through the bus where the sensor runs, else at their ports."""
    try:
        settings = home.configuration.section(SensorSettings)
        nominal_voltage_v = home.configuration.section(HomeSettings).nominal_voltage_v
    except ConfigurationError:
        return [left_out("meter", "the configuration has to be mended first")]
    found = list(uart_findings(settings.meter.port, home.root))
    if home.overheard is not None and home.overheard.runs("sensor"):
        return [*found, *_through_the_bus(home, settings, nominal_voltage_v)]
    found += await _meter(settings.meter, nominal_voltage_v, home.listen_s)
    if settings.voltage.port is not None:
        found += await _voltage(settings.voltage.port, settings.voltage.baud, settings.voltage.scale, nominal_voltage_v, home.listen_s)
    return found


async def _meter(settings: MeterSettings, nominal_voltage_v: float, listen_s: float) -> list[Finding]:
    heard = await _heard("meter", settings.port, settings.baud, listen_s)
    if isinstance(heard, Finding):
        return [heard]
    taken = sample(heard.lines, meter_parser(settings.profile, settings.columns))
    lines = [line for line in taken.good if isinstance(line, MeterLine)]
    remarks = [*line_remarks(taken, "sensor.meter")]
    if lines:
        remarks += meter_remarks(lines, settings.mains_channels, settings.invert, nominal_voltage_v)
    said = f"{len(taken.good)} lines of {settings.profile} at {settings.baud} baud"
    return _found("meter", remarks, said, _hint(heard, taken, settings, nominal_voltage_v))


async def _voltage(port: str, baud: int, scale: float, nominal_voltage_v: float, listen_s: float) -> list[Finding]:
    heard = await _heard("voltage", port, baud, listen_s)
    if isinstance(heard, Finding):
        return [heard]
    taken = sample(heard.lines, parse_voltage)
    volts = [line.voltage_v * scale for line in taken.good if isinstance(line, VoltageLine)]
    remarks = [*line_remarks(taken, "sensor.voltage"), *(voltage_remarks(volts, nominal_voltage_v, ESP8266_STEP) if volts else ())]
    return _found("voltage", remarks, f"{volts[-1]:.1f} V" if volts else "", "")


async def _heard(subject: str, port: str, baud: int, listen_s: float) -> Heard | Finding:
    try:
        heard = await listen(port, baud, listen_s, _nothing, lambda heard: len(heard.lines) >= _ENOUGH_LINES)
    except OSError as error:
        problem, _, step = port_problem(port, error.errno, os.strerror(error.errno) if error.errno else str(error)).rpartition("; ")
        return look(subject, problem, f"{step}, or find it with `hems detect`")
    if not heard.lines:
        said = "nothing comes" if not heard.byte_count else "no whole line comes"
        step = "check its supply and cable; `hems detect` tries other speeds"
        return look(subject, f"{said} from {port} within {listen_s:g} s", step)
    return heard


def _hint(heard: Heard, taken: Sample, settings: MeterSettings, nominal_voltage_v: float) -> str:
    """The name of the profile that would fit better."""
    other = recognise(heard, nominal_voltage_v) if taken.noise_share > 0.5 else None
    return f" (these look like {other.profile})" if other and other.profile != settings.profile else ""


def _found(subject: str, remarks: Sequence[Remark], said: str, hint: str) -> list[Finding]:
    return [look(subject, remark.says + hint, remark.step) for remark in remarks] or [well(subject, said)]


def _through_the_bus(home: HomeSeen, settings: SensorSettings, nominal_voltage_v: float) -> Iterator[Finding]:
    assert home.overheard is not None  # noqa: S101  the sensor was seen there
    mains = home.overheard.mains
    remarks = [*_counted(home)]
    lines = [_line(reading) for reading in mains]
    if lines:
        remarks += meter_remarks(lines, settings.meter.mains_channels, settings.meter.invert, nominal_voltage_v)
    if mains or remarks:
        yield from _found("meter", remarks, f"{mains[-1].power_w:.0f} W" if mains else "", "")
    else:
        yield left_out("meter", f"no reading came within {home.overheard.seconds:g} s; --listen 30 waits longer")
    expected = settings.voltage.port is not None or _tells_voltage(settings.meter)
    if expected and mains and all(reading.voltage_v is None for reading in mains):
        yield look(
            "voltage", "no voltage that can be used comes", f"check {settings.voltage.port or 'the meter'} and its supply; {ESP8266_STEP}"
        )


def _counted(home: HomeSeen) -> Iterator[Remark]:
    """Lines that could not be read, by the sensor's own count."""
    assert home.overheard is not None  # noqa: S101  the sensor was seen there
    report = home.overheard.health.get("sensor")
    if report is None:
        return
    lines, malformed = report.work.get("lines", 0), report.errors.get("malformed_lines", 0)
    if lines < _FEW_LINES or malformed < _NOISE_SHARE * lines:
        return
    says = f"{malformed} of {lines} lines since the start could not be read"
    if report.work.get("readings", 0):
        yield Remark("noise", says, "check the cable, its ground and its length, and keep it away from mains cables")
    else:
        yield Remark("wrong profile", says, "the profile or the speed is wrong: stop the services, and let `hems detect` find them")


def _line(reading: Mains) -> MeterLine:
    powers = {int(channel): power for channel, power in (reading.channels or {}).items()}
    real = reading.quality == "measured"
    return MeterLine(
        real_power_w=powers if real else {}, apparent_power_va={} if real else powers, voltage_v=reading.voltage_v
    )  # fmt: skip


def _tells_voltage(settings: MeterSettings) -> bool:
    return any(column.quantity == "voltage_v" for layout in layouts(settings.profile, settings.columns) for column in layout)


def _nothing(line: bytes) -> None:
    """The lines themselves are not shown."""
