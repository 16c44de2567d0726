"""`make chaos`: a home of real processes, or of containers, 200 faults, and what became of the promises.

The seed decides which faults come, in which order, and how long each lasts.
"""

import argparse
import asyncio
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from scripts.containers import bring
from scripts.tell import Failed
from tests.chaos.faults import drawn
from tests.chaos.home import ChaosHome
from tests.chaos.in_containers import InContainers
from tests.chaos.in_processes import Processes
from tests.chaos.promises import judge, settled

_SETTLES_WITHIN_S = 240.0
_WORKS_AGAIN_WITHIN_S = 240.0
_ALERT_EVERY = 3
"""The notifier sends at most two hundred messages a day."""
_LOOK_EVERY = 5
_PAGE_WITHIN_S = 120.0
"""The engine waits longer each time before it starts a container that ends again and again, up to a minute."""


def main() -> None:
    """Run, report, and exit with 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--keep", type=Path, help="leave all files in this folder, which must not exist yet")
    parser.add_argument("--containers", action="store_true", help="disturb containers in place of processes; needs root")
    wishes = parser.parse_args()
    again = f"--seed {wishes.seed} --faults {wishes.faults}{' --containers' if wishes.containers else ''}"
    _say(f"seed {wishes.seed}: make chaos ARGS='{again}' draws the same faults again")
    if wishes.containers:
        bring()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended either way
    with tempfile.TemporaryDirectory() as name:
        folder = wishes.keep.absolute() if wishes.keep else Path(name) / "home"
        folder.mkdir(parents=True)
        kept = asyncio.run(_run(InContainers(folder) if wishes.containers else Processes(folder), wishes.seed, wishes.faults))
    sys.exit(0 if kept else 1)


async def _run(home: InContainers | Processes, seed: int, count: int) -> bool:
    chance, began_s = random.Random(seed), time.monotonic()
    async with home.running():
        await _disturb(home, chance, count)
        calm = await _comes_to_rest(home)
        verdicts = judge(home)
    for verdict in verdicts:
        _say(str(verdict))
    where = f" in containers, which the engine started again after {home.kills} kills" if isinstance(home, InContainers) else ""
    _say(f"{count} faults in {time.monotonic() - began_s:.0f} s, seed {seed}{where}{'' if calm else '; it did not come to rest'}")
    return calm and all(verdict.kept for verdict in verdicts)


async def _disturb(home: ChaosHome, chance: random.Random, count: int) -> None:
    done: Counter[str] = Counter()
    for number, fault in enumerate(drawn(chance, count), 1):
        if number % _ALERT_EVERY == 0:
            home.seen.alert()
        said = await fault.do(home, chance)
        done[fault.name] += 1
        _say(f"{number:4} {fault.name}{': ' if said else ''}{said}")
        await home.revive_all()
        if number % _LOOK_EVERY == 0:
            await home.page.look(_PAGE_WITHIN_S)
        await asyncio.sleep(chance.uniform(0.1, 1.5))
    for name, times in done.most_common():
        _say(f"{times:6} x {name}")


async def _comes_to_rest(home: ChaosHome) -> bool:
    """Every service works again, and what was accepted has arrived."""
    give_up_at = time.monotonic() + _WORKS_AGAIN_WITHIN_S
    while not await home.all_work():
        if time.monotonic() > give_up_at:
            return False
        await asyncio.sleep(1)
    calm = await home.until(lambda: settled(home), _SETTLES_WITHIN_S)
    await home.page.look(_PAGE_WITHIN_S)
    home.meter.pull()
    await asyncio.sleep(2)
    return calm and await home.until(lambda: settled(home), _SETTLES_WITHIN_S)


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  a person reads it


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"make: {failure}")
