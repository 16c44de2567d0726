"""The sensor as an actor, with ports in memory."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hems.actor.context import Context
from hems.actor.store import NotAccepted
from hems.contracts.alerts import Alert
from hems.contracts.catalog import ALERT, MAINS, VOLTAGE
from hems.contracts.health import ServiceHealth
from hems.contracts.mains import Mains, Voltage
from hems.testing.clocks import START, ManualClock, settle
from hems.testing.harness import Stage, on_stage
from services.sensor.actor import Sensor
from services.sensor.settings import SensorSettings

RESET_BLOCK = bytes.fromhex("432d7c19a0") + struct.pack("<BBHfff", 3, 11, 5000, 30.0, 0.0, 240.0)


class FastClock(ManualClock):
    """Moved by hand, and known as sixty times as fast as the wall."""

    rate = 60.0


class PortInMemory:
    """A port that a test plugs in and out."""

    def __init__(self, path: str = "/dev/meter") -> None:
        self.path = path
        self.plugged = True
        self.open = asyncio.Event()
        self._came: asyncio.Queue[bytes | OSError] = asyncio.Queue()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncGenerator["PortInMemory"]:
        if not self.plugged:
            raise FileNotFoundError(2, "No such file or directory", self.path)
        self._came = asyncio.Queue()
        self.open.set()
        yield self

    async def read(self) -> bytes:
        came = await self._came.get()
        if isinstance(came, OSError):
            raise came
        return came

    async def say(self, data: bytes) -> None:
        """Bytes come, and the sensor takes them."""
        self._came.put_nowait(data)
        await settle()

    async def unplug(self) -> None:
        self.plugged = False
        self.open.clear()
        self._came.put_nowait(OSError(5, "Input/output error"))
        await settle()


class Rig:
    """A running sensor, its ports, and what it has said."""

    def __init__(self, stage: Stage, context: Context, meter: PortInMemory, voltage: PortInMemory) -> None:
        self.stage = stage
        self.context = context
        self.meter = meter
        self.voltage = voltage

    @property
    def readings(self) -> list[Mains]:
        return [payload for _, payload in self.stage.said(MAINS)]

    @property
    def alerts(self) -> list[Alert]:
        return [payload for _, payload in self.stage.said(ALERT)]

    @property
    def health(self) -> ServiceHealth:
        return self.context.health.report(self.stage.clock.now(), 0)


@contextlib.asynccontextmanager
async def sensing(directory: Path, *, clock: ManualClock | None = None, **meter: Any) -> AsyncGenerator[Rig]:
    """A sensor whose ports are open and past their first line."""
    settings = SensorSettings.read({"meter": {"silent_after_s": 90, **meter}}, {})
    ports = PortInMemory(), PortInMemory("/dev/voltage")

    contexts: list[Context] = []

    def build(context: Context) -> Sensor:
        contexts.append(context)
        return Sensor(settings, context, *ports, nominal_voltage_v=230.0)

    async with on_stage("sensor", build, directory, clock=clock) as stage:
        for port in ports:
            await port.say(b"half a line\n")
        yield Rig(stage, contexts[0], *ports)


async def test_a_line_becomes_a_reading(tmp_path: Path) -> None:
    """Said on `mains` with the time at which its last byte came."""
    async with sensing(tmp_path) as rig:
        await rig.meter.say(b"11 1000.0 0.0 ")
        assert rig.readings == []
        await rig.meter.say(b"-0.0 21.5\r\n")
        (reading,) = rig.readings
        assert (reading.power_w, reading.quality, reading.measured_at) == (950.0, "estimated", START)


async def test_readings_of_one_moment_have_times_of_their_own(tmp_path: Path) -> None:
    """Three lines in one piece are three readings, none with another's time."""
    async with sensing(tmp_path) as rig:
        await rig.meter.say(b"11 1 0 0 21\r\n11 2 0 0 21\r\n11 3 0 0 21\r\n")
        assert [reading.apparent_power_va for reading in rig.readings] == [1.0, 2.0, 3.0]
        assert len({reading.measured_at for reading in rig.readings}) == 3


async def test_the_voltage_of_a_second_port_is_used_for_ten_seconds(tmp_path: Path) -> None:
    """Then the meter's own assumption stands again."""
    async with sensing(tmp_path) as rig:
        await rig.voltage.say(b"Vrms: 241.5 V\r\n")
        await rig.meter.say(b"11 1000.0 0 0 21\r\n")
        await rig.stage.clock.advance(11)
        await rig.meter.say(b"11 1000.0 0 0 21\r\n")
        assert [reading.voltage_v for reading in rig.readings] == [241.5, None]
        assert [reading.apparent_power_va for reading in rig.readings] == pytest.approx([1_050.0, 1_000.0])


async def test_a_voltage_said_over_the_broker_is_used(tmp_path: Path) -> None:
    """An ESP8266 that publishes by itself; what is old or impossible is not used."""
    async with sensing(tmp_path) as rig:
        await rig.stage.tell(VOLTAGE, Voltage(voltage_v=3.0))
        await rig.stage.tell(VOLTAGE, Voltage(voltage_v=236.0, measured_at=START - timedelta(minutes=1)))
        await rig.meter.say(b"11 1000.0 0 0 21\r\n")
        await rig.stage.tell(VOLTAGE, Voltage(voltage_v=236.0, measured_at=START + timedelta(days=1)))
        await rig.meter.say(b"11 1000.0 0 0 21\r\n")
        assert [reading.voltage_v for reading in rig.readings] == [None, 236.0]


async def test_malformed_lines_are_counted_and_say_nothing(tmp_path: Path) -> None:
    """Words, missing columns and NaN on the mains input; the next good line is read."""
    async with sensing(tmp_path) as rig:
        await rig.meter.say(b"interval 5\r\n11 1 2\r\n11 nan 0 0 21\r\n\xff\xfe\xfd\r\n11 5 0 0 21\r\n")
        await rig.voltage.say(b"boot\r\nVrms: 3.1 V\r\n")
        assert len(rig.readings) == 1
        health = rig.health
        assert health.errors["malformed_lines"] == 4
        assert health.errors["malformed_voltage_lines"] == 2
        assert health.work["lines"] == 5
        assert health.work["readings"] == 1


async def test_a_reset_of_the_meter_is_counted_and_its_voltage_told(tmp_path: Path) -> None:
    """The block is no line; `vest` stands in the health, for who set another."""
    async with sensing(tmp_path) as rig:
        await rig.meter.say(b"11 12" + RESET_BLOCK + b"11 5 0 0 21\r\n")
        health = rig.health
        assert (health.work["resets"], health.gauges["meter_vest_v"]) == (1, 240.0)
        assert "malformed_lines" not in health.errors
        assert [reading.apparent_power_va for reading in rig.readings] == [5.0]


async def test_before_the_first_line_it_says_that_it_is_blind(tmp_path: Path) -> None:
    """And no longer after it."""
    async with sensing(tmp_path) as rig:
        assert rig.health.blind == "no line has come from /dev/meter yet"
        await rig.meter.say(b"11 5 0 0 21\r\n")
        assert rig.health.blind is None


async def test_a_dead_line_raises_one_alert_and_its_recovery_another(tmp_path: Path) -> None:
    """Silent for 90 s: blind, told once; heard again: told once."""
    async with sensing(tmp_path) as rig:
        await rig.meter.say(b"11 5 0 0 21\r\n")
        await rig.stage.clock.advance(89)
        assert rig.alerts == []
        await rig.stage.clock.advance(500)
        await rig.meter.say(b"only noise\r\n")
        assert [alert.rule for alert in rig.alerts] == ["sensor.silent"]
        assert "no valid line has come from /dev/meter for 90 s" in (rig.health.blind or "")
        await rig.meter.say(b"11 5 0 0 21\r\n11 5 0 0 21\r\n")
        assert [alert.rule for alert in rig.alerts] == ["sensor.silent", "sensor.recovered"]
        assert rig.health.blind is None


async def test_a_silence_that_was_told_is_not_told_again_after_a_restart(tmp_path: Path) -> None:
    """The alert is remembered with the outbox; the recovery is told by the sensor that sees it."""
    async with sensing(tmp_path) as rig:
        await rig.stage.clock.advance(100)
        assert [alert.rule for alert in rig.alerts] == ["sensor.silent"]
    async with sensing(tmp_path) as rig:
        await rig.stage.clock.advance(500)
        assert {alert.rule for alert in rig.alerts} <= {"sensor.silent"}
        assert len({alert.id for alert in rig.alerts}) <= 1
        await rig.meter.say(b"11 5 0 0 21\r\n")
        assert rig.alerts[-1].rule == "sensor.recovered"


async def test_an_unplugged_meter_makes_it_blind_until_it_is_back(tmp_path: Path) -> None:
    """It says why, keeps trying, and takes no half line of before and after for a whole one."""
    async with sensing(tmp_path) as rig:
        await rig.meter.say(b"11 5 0 0 21\r\n11 99")
        await rig.meter.unplug()
        assert "/dev/meter can't be read" in (rig.health.blind or "")
        rig.meter.plugged = True
        await rig.meter.open.wait()
        await rig.meter.say(b"9 0 0 21\r\n11 6 0 0 21\r\n")
        assert [reading.apparent_power_va for reading in rig.readings] == [5.0, 6.0]
        assert rig.health.blind is None


async def test_on_a_fast_clock_a_silence_lasts_at_least_fifteen_real_seconds(tmp_path: Path) -> None:
    """At sixty times the speed the services' own start takes longer than ninety seconds of the home."""
    async with sensing(tmp_path, clock=FastClock()) as rig:
        await rig.stage.clock.advance(14 * 60)
        assert rig.alerts == []
        await rig.stage.clock.advance(2 * 60)
        assert [alert.rule for alert in rig.alerts] == ["sensor.silent"]


async def test_a_full_disk_makes_it_blind_and_does_not_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be kept is not said either, and is counted; it goes on when there is space again."""

    def refuse(*_: object, **__: object) -> None:
        raise NotAccepted("database or disk is full")

    async with sensing(tmp_path) as rig:
        with monkeypatch.context() as patched:
            patched.setattr(rig.context, "accept", refuse)
            await rig.meter.say(b"11 5 0 0 21\r\n")
            assert rig.readings == []
            assert rig.health.errors["readings_not_accepted"] == 1
            assert "free some disk space" in (rig.health.blind or "")
        await rig.meter.say(b"11 6 0 0 21\r\n")
        assert [reading.apparent_power_va for reading in rig.readings] == [6.0]
        assert rig.health.blind is None
