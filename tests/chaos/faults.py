"""What can go wrong, each as one action that comes to its end by itself."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from hems.contracts.catalog import APPLIANCE_LABEL, DEMAND_EVENT, HISTORY_QUERY, RELAY_SET
from hems.contracts.relays import RelayCommand
from tests.chaos.home import BROKER, ROOT, SERVICES, ChaosHome

_RUBBISH_TOPICS = (
    RELAY_SET.at(ROOT, relay="heater"),
    APPLIANCE_LABEL.at(ROOT, appliance="kettle"),
    DEMAND_EVENT.at(ROOT),
    HISTORY_QUERY.at(ROOT),
)
_JUMPING = ("actuator", "actuator", "recorder", "load_manager", "disaggregator", "dashboard", "sensor")
"""Not the notifier: what is older than two minutes by its clock is history, of which nobody is told."""


@dataclass(frozen=True)
class Fault:
    """A kind of trouble."""

    name: str
    do: Callable[[ChaosHome, random.Random], Awaitable[str]]
    weight: int


async def kill_service(home: ChaosHome, chance: random.Random) -> str:
    """kill -9, and a supervisor that starts it again."""
    name, began_s = chance.choice(SERVICES), time.monotonic()
    if name == "actuator":
        home.away.append((began_s, None))
    await home.kill(name)
    await asyncio.sleep(chance.uniform(0, 1))
    await home.revive(name)
    return name


async def restart_service(home: ChaosHome, chance: random.Random) -> str:
    """As at an upgrade."""
    name = chance.choice(SERVICES)
    await home.restart(name)
    return name


async def kill_broker(home: ChaosHome, chance: random.Random) -> str:
    """What it had not saved is gone."""
    await home.kill(BROKER)
    await asyncio.sleep(chance.uniform(0, 1))
    await home.revive(BROKER)
    return ""


async def freeze_service(home: ChaosHome, chance: random.Random) -> str:
    """It hangs for some seconds."""
    name, seconds = chance.choice(SERVICES), chance.uniform(0.5, 4)
    began_s = time.monotonic()
    await _frozen(home, name, seconds)
    if name == "actuator":
        home.away.append((began_s, time.monotonic()))
    return f"{name} for {seconds:.1f} s"


async def freeze_broker(home: ChaosHome, chance: random.Random) -> str:
    """Connections stay, and nothing is answered."""
    seconds = chance.uniform(0.5, 8)
    await _frozen(home, BROKER, seconds)
    return f"for {seconds:.1f} s"


async def _frozen(home: ChaosHome, name: str, seconds: float) -> None:
    await home.freeze(name)
    await asyncio.sleep(seconds)
    await home.thaw(name)


async def cut_network(home: ChaosHome, chance: random.Random) -> str:
    """All connections end at once."""
    return f"{home.proxy.cut()} connections"


async def delay_network(home: ChaosHome, chance: random.Random) -> str:
    """Everything arrives later."""
    home.proxy.delay_s, seconds = chance.uniform(0.05, 0.5), chance.uniform(1, 4)
    said = f"{home.proxy.delay_s * 1_000:.0f} ms for {seconds:.1f} s"
    await asyncio.sleep(seconds)
    home.proxy.delay_s = 0.0
    return said


async def stall_network(home: ChaosHome, chance: random.Random) -> str:
    """Nothing arrives, and nobody is told."""
    seconds = chance.uniform(0.5, 6)
    home.proxy.open.clear()
    await asyncio.sleep(seconds)
    home.proxy.open.set()
    return f"for {seconds:.1f} s"


async def isolate_service(home: ChaosHome, chance: random.Random) -> str:
    """One service alone loses its network, its names and its addresses."""
    name, seconds = chance.choice(SERVICES), chance.uniform(0.5, 6)
    done = await home.isolate(name, seconds)
    return f"{name} for {seconds:.1f} s" if done else "left out: all processes of a computer share one network"


async def fill_disk(home: ChaosHome, chance: random.Random) -> str:
    """No byte is free for some seconds; where this is not possible, it says so."""
    if not home.disk_is_small:
        return "left out: only root can make a small disk"
    in_the_way = home.fill_disk()
    seconds = chance.uniform(0.5, 3)
    await asyncio.sleep(seconds)
    in_the_way.unlink()
    return f"for {seconds:.1f} s"


async def jump_clock(home: ChaosHome, chance: random.Random) -> str:
    """A service starts with a clock that is a day wrong, and then with a right one."""
    name, day = chance.choice(_JUMPING), 86_400.0 * chance.choice((-1, 1))
    for wrong_by_s in (day, 0.0):
        if name == "actuator":
            home.away.append((time.monotonic(), None))
        await home.jump(name, wrong_by_s)
        await asyncio.sleep(chance.uniform(1, 3))
    return f"{name}, {day / 86_400:+.0f} day"


async def pull_meter(home: ChaosHome, chance: random.Random) -> str:
    """The cable is pulled, and plugged in again."""
    seconds = chance.uniform(0.2, 3)
    home.meter.pull()
    await asyncio.sleep(seconds)
    home.meter.plug()
    return f"for {seconds:.1f} s"


async def meter_rubbish(home: ChaosHome, chance: random.Random) -> str:
    """Noise on the line, in the middle of readings."""
    noise = chance.randbytes(chance.randrange(1, 400))
    home.meter.say(noise)
    return f"{len(noise)} bytes"


async def message_rubbish(home: ChaosHome, chance: random.Random) -> str:
    """Payloads that are none."""
    count = chance.randrange(1, 30)
    for _ in range(count):
        home.publish(chance.choice(_RUBBISH_TOPICS), chance.randbytes(chance.randrange(0, 2_000)))
    return f"{count} messages"


async def page_rubbish(home: ChaosHome, chance: random.Random) -> str:
    """What no person's browser sends."""
    size = chance.randrange(1, 20_000)
    return f"{size} bytes, answered with {await home.page.send(chance.randbytes(size))}"


async def command_flood(home: ChaosHome, chance: random.Random) -> str:
    """Many commands at once, to both relays."""
    count = chance.randrange(5, 40)
    for _ in range(count):
        command = RelayCommand(state=chance.choice(("ON", "OFF")), id=str(UUID(int=chance.getrandbits(128), version=4)))
        home.publish(RELAY_SET.at(ROOT, relay=chance.choice(("heater", "fridge"))), command.to_wire())
    return f"{count} commands"


FAULTS = (
    Fault("kill a service", kill_service, 8),
    Fault("restart a service", restart_service, 1),
    Fault("kill the broker", kill_broker, 3),
    Fault("freeze a service", freeze_service, 3),
    Fault("freeze the broker", freeze_broker, 1),
    Fault("cut the network", cut_network, 2),
    Fault("delay the network", delay_network, 1),
    Fault("stall the network", stall_network, 1),
    Fault("unplug one service's network", isolate_service, 1),
    Fault("fill the disk", fill_disk, 2),
    Fault("jump the clock", jump_clock, 2),
    Fault("pull the meter", pull_meter, 3),
    Fault("noise on the meter's line", meter_rubbish, 3),
    Fault("rubbish in messages", message_rubbish, 3),
    Fault("rubbish to the page", page_rubbish, 1),
    Fault("a flood of commands", command_flood, 4),
)


def drawn(chance: random.Random, count: int) -> list[Fault]:
    """So many faults, each kind about as often as its weight says."""
    return chance.choices(FAULTS, [fault.weight for fault in FAULTS], k=count)
