"""`make chaos`: a home of real processes, 200 faults, and what became of the promises.

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

from tests.chaos import in_containers
from tests.chaos.faults import drawn
from tests.chaos.home import ChaosHome, chaos_home
from tests.chaos.promises import judge, settled

_SETTLES_WITHIN_S = 120.0
_ALERT_EVERY = 3
"""The notifier sends at most two hundred messages a day."""


def main() -> None:
    """Run, report, and exit with 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--keep", type=Path, help="leave all files in this folder")
    parser.add_argument("--containers", action="store_true", help="disturb containers in place of processes; needs root")
    wishes = parser.parse_args()
    again = f"--seed {wishes.seed} --faults {wishes.faults}{' --containers' if wishes.containers else ''}"
    _say(f"seed {wishes.seed}: make chaos ARGS='{again}' draws the same faults again")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended either way
    with tempfile.TemporaryDirectory() as name:
        folder = wishes.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        kept = (
            in_containers.run(folder, wishes.seed, wishes.faults, _say)
            if wishes.containers
            else asyncio.run(_run(folder, wishes.seed, wishes.faults))
        )
        sys.exit(0 if kept else 1)


async def _run(folder: Path, seed: int, count: int) -> bool:
    chance, began_s = random.Random(seed), time.monotonic()
    async with chaos_home(folder, random.Random(seed + 1)) as home:
        await asyncio.sleep(5)
        await _disturb(home, chance, count)
        calm = await home.until(lambda: settled(home), _SETTLES_WITHIN_S)
        await asyncio.sleep(2)
        home.meter.pull()
        await home.until(lambda: settled(home), 20)
        verdicts = judge(home)
    for verdict in verdicts:
        _say(str(verdict))
    _say(f"{count} faults in {time.monotonic() - began_s:.0f} s, seed {seed}" + ("" if calm else "; it did not come to rest"))
    return calm and all(verdict.kept for verdict in verdicts)


async def _disturb(home: ChaosHome, chance: random.Random, count: int) -> None:
    done: Counter[str] = Counter()
    for number, fault in enumerate(drawn(chance, count), 1):
        if number % _ALERT_EVERY == 0:
            home.seen.alert()
        said = await fault.do(home, chance)
        done[fault.name] += 1
        _say(f"{number:4} {fault.name}{': ' if said else ''}{said}")
        for name in home.processes:
            home.revive(name)
        await asyncio.sleep(chance.uniform(0.1, 1.5))
    for name, times in done.most_common():
        _say(f"{times:6} x {name}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  a person reads it


if __name__ == "__main__":
    main()
