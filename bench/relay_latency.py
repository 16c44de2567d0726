"""From a command's publication to the pin: the actuator, and a bare paho handler in the same run.

The actuator has its journal on the disk before a pin leaves its safe state; the way back to safety waits for nothing.
The handler switches on each message and keeps, checks and answers nothing. Both use the simulated board, whose log has
each switch's time on the clock that all processes share.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from bench.measuring import BenchBroker, broker, percentiles_ms, resident_mb
from hems.contracts.relays import Level
from services.actuator.simulated_board import SimulatedBoard

_HOME = "bench"
_COMMANDS = 400
_PERIOD_S = 0.03
_PATIENCE_S = 20.0
_CONFIGURATION = "actuator: {relays: {bulb: {max_switches_per_hour: 3600}}}\n"


def main() -> None:
    """Measure both, one after the other."""
    with broker() as (running, folder):
        (folder / "hems.yaml").write_text(_CONFIGURATION)
        bare = folder / "bare.jsonl"
        _measure("bare handler", running, [sys.executable, "-m", "bench.relay_latency", str(running.port), str(bare)], bare, folder)
        _measure("actuator", running, [sys.executable, "-m", "services.actuator"], folder / _HOME / "relays.jsonl", folder)


def bare_handler(port: int, log: Path) -> None:
    """The yardstick: the least that can switch a relay."""
    running = BenchBroker(port)
    with SimulatedBoard(log, {"bulb": "OFF"}) as board:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.username_pw_set("actuator", running.password("actuator"))
        client.on_message = lambda _client, _data, message: board.switch("bulb", "ON" if message.payload == b"ON" else "OFF")
        client.connect(running.host, port)
        client.subscribe(f"hems/{_HOME}/relay/bulb/set", 1)
        client.loop_forever()


def _measure(name: str, running: BenchBroker, command: list[str], log: Path, folder: Path) -> None:
    environment = {
        **os.environ,
        "HEMS_CONFIG": str(folder / "hems.yaml"),
        "HEMS_HOME__ID": _HOME,
        "HEMS_BROKER__PORT": str(running.port),
        "HEMS_BROKER__PASSWORD": running.password("actuator"),
        "HEMS_STORAGE__DIRECTORY": str(folder),
    }
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        said = _say_all(running, log)
        memory_mb = resident_mb(process.pid)
    finally:
        process.terminate()
        process.wait()
    switched = _switched(log)[: len(said)]
    for level in ("ON", "OFF"):
        taken = [done - asked for (asked, state), (done, pin) in zip(said, switched, strict=True) if state == pin == level]
        print(f"{name:<13} command -> pin {level:<3}  {percentiles_ms(taken)}")
    print(f"{name:<13} memory {memory_mb:.0f} MB")


def _say_all(running: BenchBroker, log: Path) -> list[tuple[float, Level]]:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set("client", running.password("client"))
    client.connect(running.host, running.port)
    client.loop_start()
    said: list[tuple[float, Level]] = []
    _until_heard(client, log)
    for number in range(_COMMANDS):
        level: Level = "OFF" if number % 2 else "ON"
        said.append((time.monotonic(), level))
        client.publish(f"hems/{_HOME}/relay/bulb/set", level.encode(), qos=1)
        time.sleep(_PERIOD_S)
    _wait(lambda: len(_switched(log)) >= len(said), "some commands were not done")
    time.sleep(0.5)
    client.disconnect()
    client.loop_stop()
    return said


def _until_heard(client: mqtt.Client, log: Path) -> None:
    """Whoever switches has subscribed once a first command gets through; the relay is off again after it."""
    give_up_at = time.monotonic() + _PATIENCE_S
    while not _switched(log):
        if time.monotonic() > give_up_at:
            sys.exit("bench: nobody switches the relay")
        client.publish(f"hems/{_HOME}/relay/bulb/set", b"ON", qos=1)
        time.sleep(0.2)
    client.publish(f"hems/{_HOME}/relay/bulb/set", b"OFF", qos=1)
    time.sleep(1.0)
    log.write_text("")


def _wait(holds: Callable[[], bool], otherwise: str) -> None:
    give_up_at = time.monotonic() + _PATIENCE_S
    while not holds():
        if time.monotonic() > give_up_at:
            sys.exit(f"bench: {otherwise}")
        time.sleep(0.05)


def _switched(log: Path) -> list[tuple[float, str]]:
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return [(line["monotonic_s"], line["level"]) for line in lines if line["event"] == "switched"]


if __name__ == "__main__":
    bare_handler(int(sys.argv[1]), Path(sys.argv[2]))
