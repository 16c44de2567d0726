"""The sensor on a real pty: noise, resets, cables that are pulled, and lines that die."""

import asyncio
import contextlib
import fcntl
import os
import struct
import tty
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from hems.actor.context import Context
from hems.contracts.catalog import ALERT, MAINS
from hems.testing.harness import Stage, on_stage
from services.sensor.actor import Sensor
from services.sensor.domain.telling import port_problem
from services.sensor.serial_port import SerialPort
from services.sensor.settings import SensorSettings

RESET_BLOCK = bytes.fromhex("432d7c19a0") + struct.pack("<BBHfff", 3, 11, 5000, 30.0, 0.0, 230.0)
PATIENCE_S = 15


class PtyMeter:
    """A meter on a pty behind a name that stays: plugged in, it prints; unplugged, the port is gone."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self._ours: int | None = None

    def plug(self) -> None:
        self._ours, theirs = os.openpty()
        tty.setraw(theirs)
        self.link.symlink_to(os.ttyname(theirs))
        # A master ends with its last slave: it is kept open until the sensor has it.
        self._theirs = theirs

    def unplug(self) -> None:
        self.link.unlink()
        assert self._ours is not None
        os.close(self._theirs)
        os.close(self._ours)
        self._ours = None

    def say(self, data: bytes) -> None:
        assert self._ours is not None
        os.write(self._ours, data)

    @property
    def is_read(self) -> bool:
        """Whether the sensor holds the port: it locks what it has opened."""
        try:
            fcntl.flock(self._theirs, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(self._theirs, fcntl.LOCK_UN)
        return False


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what takes real time."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - the condition lies outside of this process
            await asyncio.sleep(0.005)


class Rig:
    """A running sensor on a pty."""

    def __init__(self, stage: Stage, context: Context, meter: PtyMeter) -> None:
        self.stage = stage
        self.context = context
        self.meter = meter

    @property
    def readings(self) -> list[float | None]:
        """By their times: the outbox may say a reading twice, and it is still the same one."""
        unique = {payload.measured_at: payload.apparent_power_va for _, payload in self.stage.said(MAINS)}
        return list(unique.values())

    async def plug(self) -> None:
        """Plug the meter in, and wait until the sensor is past the first line."""
        self.meter.plug()
        await eventually(lambda: self.meter.is_read)
        lines = self.errors("noise_bytes")
        await eventually(lambda: self._nudged() and self.errors("noise_bytes") > lines)

    def _nudged(self) -> bool:
        self.meter.say(b"\n")  # opening a port drops what was there, so that one may be lost
        return True

    def errors(self, name: str) -> int:
        return self.context.health.report(self.stage.clock.now(), 0).errors.get(name, 0)

    async def read(self, count: int) -> list[float | None]:
        """The readings, once there are so many."""
        await eventually(lambda: len(self.readings) >= count)
        return self.readings


@contextlib.asynccontextmanager
async def sensing(directory: Path) -> AsyncGenerator[Rig]:
    """A sensor with a meter on a pty, plugged in."""
    contexts: list[Context] = []
    link = directory / "serial-by-id-meter"
    settings = SensorSettings.read({"meter": {"port": str(link), "silent_after_s": 60}}, {})

    def build(context: Context) -> Sensor:
        contexts.append(context)
        return Sensor(settings, context, SerialPort(settings.meter.port, settings.meter.baud), None, 230.0)

    async with on_stage("sensor", build, directory) as stage:
        rig = Rig(stage, contexts[0], PtyMeter(link))
        try:
            await rig.plug()
            yield rig
        finally:
            rig.meter.unplug()


async def test_lines_with_noise_between_them(tmp_path: Path) -> None:
    """Every good line is read, whatever stands between."""
    async with sensing(tmp_path) as rig:
        rig.meter.say(b"11 1 0 0 21\r\n\xff\x00\xfe\x13\r\n11 2 0 0 21\r\nWelcome to the interval\r\n11 3 0 0 21\r\n")
        assert await rig.read(3) == [1.0, 2.0, 3.0]
        assert rig.errors("malformed_lines") == 2


async def test_a_meter_that_restarts_in_the_middle_of_a_line(tmp_path: Path) -> None:
    """The line before is dropped, the binary block is understood, the line after is read."""
    async with sensing(tmp_path) as rig:
        rig.meter.say(b"11 1 0 0 21\r\n11 99")
        rig.meter.say(RESET_BLOCK + b"11 2 0 0 21\r\n")
        assert await rig.read(2) == [1.0, 2.0]
        assert rig.errors("malformed_lines") == 0


async def test_every_byte_value_passes(tmp_path: Path) -> None:
    """Control characters neither end the port nor change what follows: the line discipline is off."""
    async with sensing(tmp_path) as rig:
        rig.meter.say(bytes(range(256)) + b"\n11 7 0 0 21\r\n")
        assert await rig.read(1) == [7.0]


async def test_unplugged_and_plugged_in_again(tmp_path: Path) -> None:
    """It says that it is blind, and comes back by itself behind the same name."""
    async with sensing(tmp_path) as rig:
        rig.meter.say(b"11 1 0 0 21\r\n")
        await rig.read(1)
        for count in range(2, 5):
            rig.meter.unplug()
            await eventually(lambda: "can't be read" in (rig.context.health.blind or ""))
            await rig.plug()
            rig.meter.say(b"11 %d 0 0 21\r\n" % count)
            assert await rig.read(count) == [float(reading) for reading in range(1, count + 1)]
            assert rig.context.health.blind is None


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_hundred_cycles_of_the_cable(tmp_path: Path) -> None:
    """Every reading of every cycle arrives, and no file stays open."""
    async with sensing(tmp_path) as rig:
        open_files: list[int] = []
        for count in range(1, 101):
            rig.meter.say(b"11 %d 0 0 21\r\n" % count)
            assert await rig.read(count) == [float(reading) for reading in range(1, count + 1)]
            open_files.append(len(os.listdir("/proc/self/fd")))  # noqa: PTH208
            rig.meter.unplug()
            await rig.plug()
        assert open_files[-1] <= open_files[4] + 5


async def test_a_dead_line_is_told(tmp_path: Path) -> None:
    """The port is there and nothing comes: one alert, and one when a line comes again."""
    async with sensing(tmp_path) as rig:
        rig.meter.say(b"11 1 0 0 21\r\n")
        await rig.read(1)
        await rig.stage.clock.advance(61)
        assert [alert.rule for _, alert in rig.stage.said(ALERT)] == ["sensor.silent"]
        rig.meter.say(b"11 2 0 0 21\r\n")
        await rig.read(2)
        assert [alert.rule for _, alert in rig.stage.said(ALERT)] == ["sensor.silent", "sensor.recovered"]


async def test_a_second_reader_is_turned_away(tmp_path: Path) -> None:
    """Two programs on one port would each get half of the bytes."""
    async with sensing(tmp_path) as rig:
        with pytest.raises(OSError, match="lock") as caught:
            async with SerialPort(str(rig.meter.link), 38_400).opened():
                pass
        assert "another program reads it" in port_problem("/dev/meter", caught.value.errno, "")


async def test_what_is_no_serial_port_is_told(tmp_path: Path) -> None:
    """A missing path and a plain file are failures to try again, not bugs."""
    (tmp_path / "file").write_text("11 1 0 0 21\n")
    for path, message in (("missing", "No such file"), ("file", "Could not configure port")):
        with pytest.raises(OSError, match=message):
            async with SerialPort(str(tmp_path / path), 38_400).opened():
                pass
