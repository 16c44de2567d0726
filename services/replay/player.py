"""Prints each line when it is due, by the clock that all services share."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from hems.actor.clock import Clock
from services.replay.domain.lines import Assumptions, esp8266_line, made_up_voltage_v, rpict3t1_line
from services.replay.domain.raw import Chunk
from services.replay.domain.recording import Recording, Schedule, from_us, to_us
from services.replay.ports import Output

_VOLTAGE_LEAD_S = 0.005
_PAUSE_S = 1.0


def shift_for(recording: Recording, epoch: datetime | None, now: datetime, start: datetime | None, usual_start: datetime) -> timedelta:
    """Domain time less the recording's.

    A simulated clock whose epoch lies in the recording tells the recording's own time, unless a start is asked for; so
    a replay that is started again goes on where the clock is.
    """
    if start is None and epoch is not None and recording.first <= epoch <= recording.last:
        return timedelta(0)
    return now - (start or usual_start)


class Player:
    """Plays a recorded home as an RPICT3T1 and an ESP8266 with a ZMPT101B."""

    def __init__(self, schedule: Schedule, clock: Clock, meter: Output, voltage: Output, assumptions: Assumptions) -> None:
        self._schedule = schedule
        self._clock = clock
        self._meter = meter
        self._voltage = voltage
        self._assumptions = assumptions

    async def play(self) -> None:
        """Play for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._play_readings())
            # A fast clock would make a flood of it: there a voltage goes before each reading, and that is all.
            if self._clock.rate <= 1:
                tasks.create_task(self._play_voltage())

    async def _play_readings(self) -> None:
        said_us = to_us(self._clock.now())
        while True:
            due = self._schedule.after(said_us)
            await self._sleep_until(due.at_us - round(_VOLTAGE_LEAD_S * self._clock.rate * 1e6))
            voltage_v = made_up_voltage_v(due.at_us)
            self._voltage.write(esp8266_line(voltage_v))
            await self._sleep_until(due.at_us)
            # After a pause of this process a real meter's old lines would be gone too.
            newest = self._schedule.until(to_us(self._clock.now()))
            due = newest if newest.at_us > due.at_us else due
            self._meter.write(rpict3t1_line(due.power_w, voltage_v, self._assumptions))
            said_us = due.at_us

    async def _play_voltage(self) -> None:
        while True:
            self._voltage.write(esp8266_line(made_up_voltage_v(to_us(self._clock.now()))))
            await self._clock.sleep(1)

    async def _sleep_until(self, at_us: int) -> None:
        await self._clock.sleep(max((from_us(at_us) - self._clock.now()).total_seconds(), 0))


async def play_raw(chunks: Sequence[Chunk], clock: Clock, meter: Output) -> None:
    """Play a port's recorded bytes with the pauses between them, again and again."""
    while True:
        began_s = clock.monotonic()
        for chunk in chunks:
            await clock.sleep(max(began_s + chunk.after_s - clock.monotonic(), 0))
            meter.write(chunk.data)
        await clock.sleep(_PAUSE_S)
