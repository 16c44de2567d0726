"""Two ports read side by side; every reading is committed before anything else is done with it."""

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Protocol

import structlog

from hems.actor.bus import Input, Received
from hems.actor.context import Context
from hems.actor.logs import FaultLog, Log
from hems.actor.store import NotAccepted
from hems.contracts.alerts import Alert
from hems.contracts.catalog import ALERT, MAINS, VOLTAGE
from hems.contracts.mains import Mains, Voltage
from services.sensor.domain.lines import LineSplitter, ResetBlock
from services.sensor.domain.mains import to_mains
from services.sensor.domain.profiles import meter_parser
from services.sensor.domain.readings import Rejected
from services.sensor.domain.telling import port_problem, recovery_alert, silence_alert, silence_problem
from services.sensor.domain.timing import ReadingTimes, Silence
from services.sensor.domain.zmpt101b import parse_voltage
from services.sensor.settings import SensorSettings

_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0
_LOOK_EVERY_S = 1.0
_SHORTEST_SILENCE_S = 15.0
_CALM_LINES = 60
"""So many good lines in a row end a spell of malformed ones; a line now and then would fill the log otherwise."""
_SILENT_KEY = "silence told"


class Stream(Protocol):
    """An open port."""

    async def read(self) -> bytes:
        """All bytes that have come since the last call, at least one.

        Raises:
            OSError: the port is gone.
        """
        ...


class Port(Protocol):
    """A serial port that may come and go."""

    @property
    def path(self) -> str:
        """Its name, for people."""
        ...

    def opened(self) -> AbstractAsyncContextManager[Stream]:
        """Open it.

        Raises:
            OSError: it is not there, or in use.
        """
        ...


class Sensor:
    """Reads the meter and says what the home draws."""

    outputs = (MAINS, ALERT)

    def __init__(self, settings: SensorSettings, context: Context, meter: Port, voltage: Port | None, nominal_voltage_v: float) -> None:
        self._settings = settings.meter
        self._scale = settings.voltage.scale
        self._context = context
        self._meter = meter
        self._voltage = voltage
        self._wiring = settings.wiring(nominal_voltage_v)
        self._voltmeter = settings.voltmeter(nominal_voltage_v)
        self._parse = meter_parser(settings.meter.profile, settings.meter.columns)
        self._times = ReadingTimes()
        # On a fast clock the start of the services would pass for a silence.
        silent_after_s = max(settings.meter.silent_after_s, _SHORTEST_SILENCE_S * context.clock.rate)
        self._silence = Silence(silent_after_s, since_s=context.clock.monotonic())
        self._log: Log = structlog.get_logger()
        self._malformed = _Malformed(context, self._log, "malformed_lines", "malformed lines from the meter")
        self._malformed_voltage = _Malformed(context, self._log, "malformed_voltage_lines", "malformed lines from the voltage sensor")

    @property
    def inputs(self) -> Sequence[Input[Any]]:
        """A voltage sensor that publishes by itself."""
        return (Input(VOLTAGE, self._hear_voltage),)

    async def run(self) -> None:
        """Read both ports, and watch for silence."""
        self._context.health.blind = f"no line has come from {self._meter.path} yet"
        self._silence.silent = self._context.store.get(_SILENT_KEY) is not None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_reading(self._meter, self._take_meter, self._meter_lost))
            if self._voltage is not None:
                voltage = self._voltage
                faults = FaultLog(self._log, "the voltage sensor's port can't be read", every=100)
                lost = self._voltage_lost(voltage.path, faults)
                tasks.create_task(self._keep_reading(voltage, lambda data, splitter: self._take_voltage(data, splitter, faults), lost))
            tasks.create_task(self._watch_silence())

    async def _keep_reading(self, port: Port, take: Callable[[bytes, LineSplitter], None], lost: Callable[[OSError], None]) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                async with port.opened() as stream:
                    self._log.info("the port is open", port=port.path)
                    splitter = LineSplitter()
                    while True:
                        take(await stream.read(), splitter)
                        wait_s = _FIRST_WAIT_S
            except OSError as error:
                lost(error)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _take_meter(self, data: bytes, splitter: LineSplitter) -> None:
        arrived_at = self._context.clock.now()
        for piece in self._split(data, splitter):
            if isinstance(piece, ResetBlock):
                self._note_reset(piece)
            else:
                self._take_line(piece, arrived_at)

    def _split(self, data: bytes, splitter: LineSplitter) -> Sequence[bytes | ResetBlock]:
        before = splitter.noise_bytes
        pieces = splitter.feed(data)
        if splitter.noise_bytes > before:
            self._context.health.error("noise_bytes", splitter.noise_bytes - before)
        return pieces

    def _take_line(self, line: bytes, arrived_at: datetime) -> None:
        self._context.health.work("lines")
        parsed = self._parse(line)
        mains = (
            parsed
            if isinstance(parsed, Rejected)
            else to_mains(parsed, self._voltmeter.at(arrived_at), self._times.after(arrived_at), self._wiring)
        )
        if isinstance(mains, Mains):
            self._accept(mains)
        else:
            self._malformed.line(line, mains)

    def _accept(self, mains: Mains) -> None:
        try:
            self._context.accept(MAINS, mains, message_id=mains.measured_at.isoformat())
        except NotAccepted as error:
            self._context.health.error("readings_not_accepted")
            self._context.health.blind = f"readings can't be kept: {error}; free some disk space"
            return
        self._context.health.work("readings")
        self._context.health.blind = None
        self._malformed.good_line()
        if self._silence.line(self._context.clock.monotonic()):
            self._tell_recovery()

    def _note_reset(self, block: ResetBlock) -> None:
        self._context.health.work("resets")
        self._context.health.gauge("meter_vest_v", block.vest_v)
        self._log.info("the meter has started anew", node_id=block.node_id, vest_v=block.vest_v, polling_ms=block.polling_ms)
        if abs(block.vest_v - self._settings.vest_v) > 0.01 * block.vest_v:
            advice = f"set sensor.meter.vest_v to {block.vest_v:g} in hems.yaml"
            self._log.warning("the meter assumes another voltage than hems.yaml says", vest_v=block.vest_v, advice=advice)

    def _meter_lost(self, error: OSError) -> None:
        self._context.health.error("port_failures")
        problem = port_problem(self._meter.path, error.errno, os.strerror(error.errno) if error.errno else str(error))
        if self._context.health.blind != problem:
            self._log.warning("the meter's port can't be read; it is tried again", problem=problem)
        self._context.health.blind = problem

    def _voltage_lost(self, path: str, faults: FaultLog) -> Callable[[OSError], None]:
        def lost(error: OSError) -> None:
            self._context.health.error("voltage_port_failures")
            faults.failed(port=path, error=str(error))

        return lost

    def _take_voltage(self, data: bytes, splitter: LineSplitter, faults: FaultLog) -> None:
        arrived_at = self._context.clock.now()
        faults.recovered()
        for piece in self._split(data, splitter):
            if isinstance(piece, bytes):
                self._context.health.work("voltage_lines")
                parsed = parse_voltage(piece)
                refused = parsed if isinstance(parsed, Rejected) else self._note_voltage(parsed.voltage_v * self._scale, arrived_at)
                self._malformed_voltage.line(piece, refused)

    async def _hear_voltage(self, received: Received[Voltage]) -> None:
        # A device's own clock may be wrong: it can make its voltage older, never newer.
        at = min(received.payload.measured_at or received.arrived_at, received.arrived_at)
        if received.retained and received.payload.measured_at is None:
            return
        refused = self._note_voltage(received.payload.voltage_v, at)
        self._malformed_voltage.line(received.payload.to_wire(), refused)

    def _note_voltage(self, voltage_v: float, at: datetime) -> Rejected | None:
        taken = self._voltmeter.with_reading(voltage_v, at)
        if isinstance(taken, Rejected):
            return taken
        self._voltmeter = taken
        return None

    async def _watch_silence(self) -> None:
        while True:
            await self._context.clock.sleep(_LOOK_EVERY_S)
            if self._silence.begins(self._context.clock.monotonic()):
                self._tell_silence()

    def _tell_silence(self) -> None:
        reason = self._context.health.blind or silence_problem(self._meter.path, self._silence.silent_after_s)
        self._context.health.blind = reason
        self._log.error("the meter is silent", reason=reason)
        if not self._tell(silence_alert(reason, self._context.clock.now()), silent=True):
            self._silence.silent = False  # told at the next look

    def _tell_recovery(self) -> None:
        self._log.info("the meter is heard again")
        self._tell(recovery_alert(self._context.clock.now()), silent=False)

    def _tell(self, alert: Alert, *, silent: bool) -> bool:
        """Commit the alert, and that it was told: a restart must not tell it again."""
        try:
            with self._context.store.transaction() as transaction:
                transaction.accept(ALERT, alert, message_id=alert.id)
                transaction.put(_SILENT_KEY, b"1") if silent else transaction.delete(_SILENT_KEY)
        except NotAccepted:
            return False
        return True


class _Malformed:
    """Malformed lines, counted all and logged now and then with a sample."""

    def __init__(self, context: Context, log: Log, counter: str, event: str) -> None:
        self._context = context
        self._counter = counter
        self._faults = FaultLog(log, event, every=100)
        self._good_lines = 0

    def line(self, line: bytes, refused: Rejected | None) -> None:
        """A line was refused, or not."""
        if refused is None:
            self.good_line()
        elif refused.kind == "other_node":
            self._context.health.work("other_node_lines")
        else:
            self._good_lines = 0
            self._context.health.error(self._counter)
            self._faults.failed(reason=str(refused), sample=repr(line[:80]))

    def good_line(self) -> None:
        """A good line: after some, the spell is over."""
        self._good_lines += 1
        if self._good_lines == _CALM_LINES:
            self._faults.recovered()
