"""The same with containers: the demo at twenty times its speed, killed, paused and cut off by the engine."""

import contextlib
import json
import random
import sqlite3
import time
from collections.abc import Callable, Generator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.verdict import Verdict
from tests.support.containers import Containers, docker

_PROJECT = "hems-chaos"
_SERVICES = ("sensor", "disaggregator", "actuator", "load_manager", "recorder", "notifier", "dashboard")
_SAFE = {"bulb": "OFF", "fridge": "ON", "heater": "OFF"}
_SETTLES_WITHIN_S = 180.0

Fault = Callable[[Containers, random.Random], str]


def run(folder: Path, seed: int, count: int, say: Callable[[str], None]) -> bool:
    """Disturb it, and judge it; whether all was kept. Needs root, to look into the volumes."""
    chance, began_s = random.Random(seed), time.monotonic()
    with _running(folder) as demo:
        for number in range(1, count + 1):
            (name, fault) = chance.choices(list(FAULTS), list(FAULTS.values()), k=1)[0]
            say(f"{number:4} {name}: {fault(demo, chance)}")
            time.sleep(chance.uniform(0.2, 2))
        demo.until(lambda: all(demo.health(f"demo-{service}") == "healthy" for service in _SERVICES), "not all is healthy again")
        demo.compose("stop", "demo-meter")
        calm = _until(lambda: _accepted() <= _recorded(), _SETTLES_WITHIN_S)
        verdicts = _judge(demo)
    for verdict in verdicts:
        say(str(verdict))
    say(f"{count} faults in {time.monotonic() - began_s:.0f} s, seed {seed}, in containers")
    return calm and all(verdict.kept for verdict in verdicts)


@contextlib.contextmanager
def _running(folder: Path) -> Generator[Containers]:
    override = folder / "keep-said.yml"
    override.write_text(yaml.safe_dump({"services": {"demo-sensor": {"environment": {"HEMS_STORAGE__KEEP_SAID_S": "7200"}}}}))
    demo = Containers(_PROJECT, "demo", {"SPEED": "20"}, files=[str(override)])
    try:
        demo.compose("up", "--detach")
        demo.until(lambda: (_state() / "recorder/home/history.db").exists() and _recorded(), "nothing is recorded")
        yield demo
    finally:
        demo.down()


def _kill(demo: Containers, chance: random.Random) -> str:
    service = chance.choice(_SERVICES)
    demo.kill(f"demo-{service}")
    return service


def _kill_broker(demo: Containers, _chance: random.Random) -> str:
    demo.kill("demo-broker")
    return "kill -9"


def _pause(demo: Containers, chance: random.Random) -> str:
    service, seconds = chance.choice((*_SERVICES, "broker")), chance.uniform(0.5, 6)
    docker("pause", demo.identity(f"demo-{service}"))
    time.sleep(seconds)
    docker("unpause", demo.identity(f"demo-{service}"))
    return f"{service} for {seconds:.1f} s"


def _cut_off(demo: Containers, chance: random.Random) -> str:
    service, seconds, network = chance.choice(_SERVICES), chance.uniform(0.5, 6), f"{_PROJECT}_demo"
    identity = demo.identity(f"demo-{service}")
    docker("network", "disconnect", network, identity)
    time.sleep(seconds)
    docker("network", "connect", network, identity)
    return f"{service} for {seconds:.1f} s"


def _restart(demo: Containers, chance: random.Random) -> str:
    service = chance.choice((*_SERVICES, "broker", "meter"))
    demo.compose("restart", "--timeout", "5", f"demo-{service}")
    return service


FAULTS: dict[tuple[str, Fault], int] = {
    ("kill a container's process", _kill): 8,
    ("kill the broker", _kill_broker): 3,
    ("pause", _pause): 3,
    ("cut off from the network", _cut_off): 3,
    ("restart", _restart): 3,
}


def _judge(demo: Containers) -> list[Verdict]:
    accepted, recorded, logs = _accepted(), _recorded(), demo.logs()
    lines = [json.loads(line) for line in (_state() / "actuator/home/relays.jsonl").read_text().splitlines()]
    claimed = [line for line in lines if line["event"] == "claimed"]
    unsafe = [line for line in claimed if line["level"] != _SAFE[line["relay"]]]
    figures = f"{len(accepted)} accepted, {len(recorded)} recorded, {len(accepted - recorded)} missing"
    restarts = sum(demo.restarts(f"demo-{service}") for service in (*_SERVICES, "broker"))
    return [
        Verdict("every accepted reading is in the history", accepted <= recorded and bool(accepted), figures),
        Verdict("every relay is safe at every start", not unsafe, f"{len(claimed)} starts, {len(unsafe)} unsafe"),
        Verdict("no bug ended a service", "a bug stopped the service" not in logs, f"{logs.count('a bug stopped')} did"),
        Verdict("the engine brought back what was killed", restarts > 0, f"{restarts} times"),
    ]


def _state() -> Path:
    return Path(docker("volume", "inspect", "--format", "{{.Mountpoint}}", f"{_PROJECT}_demo-state").strip())


def _accepted() -> set[int]:
    found = _rows("sensor/home/sensor.db", "SELECT message_id FROM outbox WHERE topic LIKE '%/mains'")
    return {round(datetime.fromisoformat(at).timestamp() * 1e6) for (at,) in found}


def _recorded() -> set[int]:
    return {at_us for (at_us,) in _rows("recorder/home/history.db", "SELECT at_us FROM mains")}


def _rows(file: str, question: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(f"file:{_state() / file}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute(question).fetchall()
        except sqlite3.OperationalError:  # not there yet
            return []


def _until(holds: Callable[[], object], patience_s: float) -> bool:
    give_up_at = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(1)
    return True
