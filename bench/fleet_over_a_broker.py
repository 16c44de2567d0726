"""A replica of the disaggregator as a process, `hems simulate` as its homes, and a listener that takes the times."""

import csv
import json
import os
import subprocess
import sys
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from bench.measuring import BenchBroker, broker, resident_mb

_WINDOW = 2_000
_LASTS_S = 75
_BEGINS_AFTER_S = 15.0
_WORTH_W, _WORTH_SHARE = 50.0, 0.2
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Measured:
    """µs of processor time a reading, the resident set, and the delay from a reading to the state that changed by it."""

    reading_us: float
    resident_mb: float
    delay: str


@dataclass
class _Heard:
    """What the listener notes, at the time when it comes."""

    pid: int
    states: list[tuple[float, str, bytes]] = field(default_factory=list[tuple[float, str, bytes]])
    health: list[tuple[float, float, int]] = field(default_factory=list[tuple[float, float, int]])

    def on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        at_s, topic = time.time(), message.topic
        if not topic.endswith("/health"):
            self.states.append((at_s, topic, bytes(message.payload)))
        elif topic.endswith("fleet/service/disaggregator/health"):
            readings = json.loads(bytes(message.payload))["work"].get("readings", 0)
            self.health.append((at_s, _spent_s(self.pid), readings))


def measure(homes: int, period_s: float) -> Measured:
    """Run for a minute and a quarter."""
    with broker(inflight=_WINDOW) as (running, folder):
        environment = _environment(running, folder)
        replica = subprocess.Popen([sys.executable, "-m", "services.disaggregator"], env=environment, stderr=subprocess.DEVNULL)
        try:
            heard = _Heard(replica.pid)
            listener = _listener(running, heard)
            _wait_for(heard)
            said = folder / "said.csv"
            _simulate(running, environment, homes, period_s, said)
            time.sleep(11)  # for one more report
            memory_mb = resident_mb(replica.pid)
            listener.loop_stop()
        finally:
            replica.terminate()
            replica.wait()
        return Measured(_reading_us(heard), memory_mb, _delay(heard, said))


def _environment(running: BenchBroker, folder: Path) -> dict[str, str]:
    return os.environ | {
        "HEMS_CONFIG": "",
        "HEMS_HOME__ID": "fleet",
        "HEMS_BROKER__HOST": running.host,
        "HEMS_BROKER__PORT": str(running.port),
        "HEMS_BROKER__PROTOCOL": "3.1.1",
        "HEMS_BROKER__PASSWORD": running.password("disaggregator"),
        "HEMS_STORAGE__DIRECTORY": str(folder / "var"),
        "HEMS_DISAGGREGATOR__FLEET": json.dumps({"window": _WINDOW}),
    }


def _simulate(running: BenchBroker, environment: dict[str, str], homes: int, period_s: float, said: Path) -> None:
    password = said.with_name("sensors-password")
    password.write_text(running.password("sensor"))
    options = ("--homes", homes, "--period", period_s, "--for", _LASTS_S, "--password-file", password, "--acknowledged", said)
    command = [sys.executable, "-m", "services.cli", "simulate", *map(str, options)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _listener(running: BenchBroker, heard: _Heard) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, "bench-listener")
    client.username_pw_set("client", running.password("client"))
    client.on_message = heard.on_message
    client.on_connect = _subscribe
    client.connect(running.host, running.port)
    client.loop_start()
    return client


def _subscribe(client: Client, _data: Any, _flags: ConnectFlags, _reason: ReasonCode, _properties: Properties | None) -> None:
    client.subscribe([("hems/+/appliance/+", 1), ("hems/+/service/disaggregator/health", 0)])


def _wait_for(heard: _Heard) -> None:
    while not heard.health:
        time.sleep(0.05)


def _spent_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_A_SECOND


def _reading_us(heard: _Heard) -> float:
    """Between the first report after the homes are known and the last that counted more."""
    began_s = next(at_s for at_s, _, readings in heard.health if readings)
    reports = [report for report in heard.health if report[0] >= began_s + _BEGINS_AFTER_S]
    first, last = reports[0], next(report for report in reversed(reports) if report[2] > reports[0][2])
    return (last[1] - first[1]) / (last[2] - first[2]) * 1e6


def _delay(heard: _Heard, said: Path) -> str:
    times_s: defaultdict[str, list[float]] = defaultdict(list)
    with said.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            times_s[row["home"]].append(float(row["measured_at_s"]))
    delays_s = delays(heard.states, {home: sorted(times) for home, times in times_s.items()})
    if not delays_s:
        return "unknown: no state changed"
    p50, p99 = np.percentile(np.asarray(delays_s) * 1e3, [50, 99])
    return f"p50 {p50:.0f} ms, p99 {p99:.0f} ms ({len(delays_s)} of them)"


def delays(states: Sequence[tuple[float, str, bytes]], times_s: Mapping[str, Sequence[float]]) -> list[float]:
    """From the moment at which a reading was due to the state that it changed, s.

    Args:
        states: when each came, its topic and its payload. Those that repeat what was said before don't count, nor does the first.
        times_s: when each home's readings were due, in order. A tick is known with the first reading that is not before it.
    """
    before, found = dict[str, dict[str, Any]](), list[float]()
    for at_s, topic, payload in states:
        state, last = json.loads(payload), before.get(topic)
        before[topic] = state
        if last is not None and _has_changed(last, state):
            home = times_s[topic.split("/")[1]]
            place = bisect_left(home, datetime.fromisoformat(state["observed_at"]).timestamp())
            found.extend([at_s - home[place]] if place < len(home) else [])
    return found


def _has_changed(last: dict[str, Any], state: dict[str, Any]) -> bool:
    worth_w = max(_WORTH_W, _WORTH_SHARE * last["power_w"])
    return last["running"] != state["running"] or abs(last["power_w"] - state["power_w"]) > worth_w
