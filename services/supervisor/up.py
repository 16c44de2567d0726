"""Starts a home: its broker, its services, and for the demo the recorded home that stands in for the meters."""

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from hems.actor.clock import WallClock
from hems.actor.health import Health
from hems.actor.vital_signs import VitalSigns
from services.supervisor.demo_past import recall
from services.supervisor.domain import demo_lead_s
from services.supervisor.mosquitto import BrokerFailed, Mosquitto
from services.supervisor.plan import Plan
from services.supervisor.processes import Say, keep_running, python, run_attached, run_once

_BROKER_DELAY_S = 0.5


class RecordingUnreadable(RuntimeError):
    """The demo's recording can't be played; the message says why."""


async def run(plan: Plan, say: Say, *, watch: bool) -> None:
    """Start all of it, and keep it up until SIGINT or SIGTERM, or until the person leaves the watch.

    Raises:
        BrokerFailed: the broker did not start.
        BrokerNotFound: there is no Mosquitto.
        RecordingUnreadable: the demo has nothing to play.
    """
    stop = _stop_signal()
    keepers: list[asyncio.Task[None]] = []
    async with AsyncExitStack() as stack:
        if plan.own_broker:
            broker = await stack.enter_async_context(_broker(plan, say))
            keepers = [asyncio.create_task(_keep_broker(plan, broker, say))]
            stack.push_async_callback(_end, keepers)
        if plan.demo and "recorder" in plan.services:
            await recall(plan, say)
        clock = await _clock(plan, say) if plan.demo else {}
        tasks = [asyncio.create_task(work) for work in _work(plan, clock, say)]
        tasks.append(asyncio.create_task(VitalSigns(Health(WallClock().now()), lambda: True, os.environ).show()))
        stack.push_async_callback(_end, tasks)
        await _until_told(stop, (*keepers, *tasks), plan, clock, watch=watch)
        say("up", "stopping")


def _broker(plan: Plan, say: Say) -> Mosquitto:
    broker = plan.broker
    configuration = plan.workspace.prepare_broker(host=broker.host, port=broker.port, prefix=broker.prefix, home=plan.home)
    return Mosquitto(configuration, host=broker.host, port=broker.port, log=lambda line: say("broker", line))


async def _keep_broker(plan: Plan, broker: Mosquitto, say: Say) -> None:
    async with AsyncExitStack() as stack:
        while True:
            say("broker", f"broker ended with status {await broker.ended()}; it starts again")
            await asyncio.sleep(_BROKER_DELAY_S)
            try:
                broker = await stack.enter_async_context(_broker(plan, say))
            except BrokerFailed as error:
                say("broker", str(error))


async def _clock(plan: Plan, say: Say) -> dict[str, str]:
    lines: list[str] = []
    began_s = time.monotonic()
    status = await run_once("replay", python("services.replay", "--print-start"), plan.of("sensor"), lambda _, line: lines.append(line))
    if status or not lines:
        raise RecordingUnreadable(f"the recording can't be read: {' '.join(lines[-1:])}")
    say("up", f"the recording starts at {lines[-1]}")
    now_s = time.monotonic()
    return {"HEMS_CLOCK__EPOCH": lines[-1], "HEMS_CLOCK__ANCHOR_S": str(now_s + demo_lead_s(now_s - began_s))}


def _work(plan: Plan, clock: Mapping[str, str], say: Say) -> Iterator[Coroutine[Any, Any, None]]:
    if plan.demo:
        links = ("--meter-link", str(plan.meter_link), "--voltage-link", str(plan.voltage_link))
        yield keep_running("replay", python("services.replay", *links), {**plan.of("sensor"), **clock}, say)
    for service in plan.services:
        yield keep_running(service, python(f"services.{service}"), {**plan.of(service), **clock}, say)


async def _until_told(
    stop: asyncio.Event, tasks: "Sequence[asyncio.Task[None]]", plan: Plan, clock: Mapping[str, str], *, watch: bool
) -> None:
    """Wait for a signal, or for the person to leave; what keeps a service up has no end of its own, and its end is a bug."""
    told: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
    if watch:
        told.append(
            asyncio.create_task(
                run_attached(
                    python("services.watch", "--account", str(plan.account), *(("--page", plan.page) if plan.page else ())),
                    {**plan.of("client"), **clock},
                )
            )
        )
    try:
        await asyncio.wait((*told, *tasks), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _end(told)
    for task in tasks:
        if task.done():
            task.result()


async def _end(tasks: "Sequence[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _stop_signal() -> asyncio.Event:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    return stop
