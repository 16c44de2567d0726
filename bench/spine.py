"""From the last byte of a serial line to a subscriber: latency, rate, memory and start, beside plain paho in the same run.

Plain paho is a loop that reads a line and publishes it with QoS 1: it keeps nothing, so what it loses is lost.
"""

import contextlib
import os
import pty
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from bench.measuring import BenchBroker, broker, percentiles_ms, resident_mb

HOME = "bench"
_LINES = 400
_PERIOD_S = 0.05
_FLOOD_LINES = 10_000
_FLOOD_READINGS = 20_000


class Line:
    """A serial line: the meter's end of a pty."""

    def __init__(self, link: Path) -> None:
        self._meter, computer = pty.openpty()
        tty.setraw(self._meter)
        tty.setraw(computer)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(computer))

    def say(self, power_va: float) -> float:
        """Write a line; when its last byte was written."""
        os.write(self._meter, f"11 {power_va:.1f} 0.0 -0.0 21.5\r\n".encode())
        return time.perf_counter()


class Subscriber:
    """Notes when each message came."""

    def __init__(self, running: BenchBroker, topic: str, user: str = "client") -> None:
        self.came = threading.Condition()
        self.count = 0
        self.last: tuple[float, bytes] = (0.0, b"")
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(user, running.password(user))
        self._client.on_message = self._on_message
        self._client.connect(running.host, running.port)
        self._client.subscribe(topic, 1)
        self._client.loop_start()
        time.sleep(0.3)

    def wait_beyond(self, count: int, patience_s: float = 10) -> float:
        """When message number `count + 1` or a later one came."""
        with self.came:
            if not self.came.wait_for(lambda: self.count > count, patience_s):
                raise TimeoutError(f"message {count + 1} did not come")
            return self.last[0]

    def close(self) -> None:
        """Stop listening."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_message(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        now = time.perf_counter()
        if message.retain:
            return
        with self.came:
            self.count += 1
            self.last = (now, bytes(message.payload))
            self.came.notify_all()


def main() -> None:
    """All of it."""
    with broker() as (running, folder):
        link = folder / "meter"
        line = Line(link)
        _measure("plain paho", lambda: _yardstick(running, link), line, running, "hems/bench/mains")
        _measure("sensor", lambda: _service("sensor", running, folder, link), line, running, f"hems/{HOME}/mains")
        _flood(running, folder, link, line)
        _appliances(running, folder, link, line)
        _disaggregator_rate(running, folder)


def _measure(name: str, start: Callable[[], "subprocess.Popen[bytes]"], line: Line, running: BenchBroker, topic: str) -> None:
    subscriber, began = Subscriber(running, topic), time.perf_counter()
    process = start()
    try:
        while subscriber.count == 0:
            line.say(500)
            time.sleep(0.01)
        print(f"{name:<14} start to first message      {time.perf_counter() - began:5.2f} s")
        time.sleep(0.5)
        print(f"{name:<14} line → mains, 20 a second   {percentiles_ms([_once(line, subscriber, 500 + n % 50) for n in range(_LINES)])}")
        print(f"{name:<14} resident memory             {resident_mb(process.pid):5.1f} MB")
    finally:
        subscriber.close()
        _end(process)


def _once(line: Line, subscriber: Subscriber, power_va: float) -> float:
    time.sleep(_PERIOD_S)
    before = subscriber.count
    written = line.say(power_va)
    return subscriber.wait_beyond(before) - written


def _flood(running: BenchBroker, folder: Path, link: Path, line: Line) -> None:
    subscriber = Subscriber(running, f"hems/{HOME}/mains")
    process = _service("sensor", running, folder, link)
    try:
        # Until it listens, and has said again what the sensor before it kept: its first line passes for a torn one.
        listens_from = time.perf_counter() + 2
        while subscriber.count == 0 or time.perf_counter() < listens_from:
            line.say(500)
            time.sleep(0.05)
        time.sleep(1)
        first, began = subscriber.count, time.perf_counter()
        for number in range(_FLOOD_LINES):
            line.say(500 + number % 100)
        came = subscriber.wait_beyond(first + _FLOOD_LINES - 1, patience_s=120)
        print(f"sensor         lines a second, accepted, said and acknowledged   {_FLOOD_LINES / (came - began):,.0f}")
    finally:
        subscriber.close()
        _end(process)


def _appliances(running: BenchBroker, folder: Path, link: Path, line: Line) -> None:
    # At 60 times the speed a tick of the 30-s model comes each half second; the kettle's line completes it.
    clock = {"HEMS_CLOCK__EPOCH": "2025-01-06T07:00:00+00:00", "HEMS_CLOCK__ANCHOR_S": str(time.monotonic()), "HEMS_CLOCK__RATE": "60"}
    sensor, started = _service("sensor", running, folder / "fast", link, clock), time.perf_counter()
    disaggregator = _service("disaggregator", running, folder / "fast", link, clock)
    subscriber = Subscriber(running, f"hems/{HOME}/appliance/kettle")
    try:
        delays, boiling = list[float](), False
        give_up_at = time.perf_counter() + 120
        while len(delays) < 50 and time.perf_counter() < give_up_at:
            before = subscriber.count
            boiling = (time.perf_counter() - started) % 4 < 1
            written = line.say(3_000 if boiling else 300)
            time.sleep(0.25)
            if subscriber.count > before:
                delays.append(subscriber.last[0] - written)
        print(f"disaggregator  line → appliance, at its tick {percentiles_ms(delays)}")
        print(f"disaggregator  resident memory             {resident_mb(disaggregator.pid):5.1f} MB")
    finally:
        subscriber.close()
        _end(sensor)
        _end(disaggregator)


def _disaggregator_rate(running: BenchBroker, folder: Path) -> None:
    """A label said after the last reading is kept when all of them are: both queue on one durable session."""
    process = _service("disaggregator", running, folder, folder, {"HEMS_HOME__ID": "rate"})
    sayer, person = _sayer(running, "sensor"), _sayer(running, "client")
    state = folder / "rate" / "disaggregator.db"
    try:
        _wait_until(state.exists)
        time.sleep(2)
        began, said = time.perf_counter(), list[mqtt.MQTTMessageInfo]()
        for number in range(_FLOOD_READINGS):
            moment = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(1_736_146_800 + 6 * number))
            reading = f'{{"measured_at":"{moment}","power_w":{300 + number % 40},"quality":"measured"}}'
            said.append(sayer.publish("hems/rate/mains", reading, qos=1))
        said[-1].wait_for_publish()
        person.publish(
            "hems/rate/appliance/kettle/label", '{"id":"last","at":"2025-01-06T07:00:00Z","verdict":"off","source":"bench"}', qos=1
        )
        _wait_until(lambda: _keeps(state, "labels"))
        print(f"disaggregator  readings a second, one home, each committed   {_FLOOD_READINGS / (time.perf_counter() - began):,.0f}")
    finally:
        for client in (sayer, person):
            client.disconnect()
            client.loop_stop()
        _end(process)


def _sayer(running: BenchBroker, user: str) -> mqtt.Client:
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(user, running.password(user))
    client.connect(running.host, running.port)
    client.loop_start()
    return client


def _keeps(state: Path, key: str) -> bool:
    with contextlib.closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT 1 FROM state WHERE key = ?", (key,)).fetchone() is not None


def _wait_until(condition: Callable[[], bool], patience_s: float = 120) -> None:
    give_up_at = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > give_up_at:
            raise TimeoutError
        time.sleep(0.02)


def _yardstick(running: BenchBroker, link: Path) -> "subprocess.Popen[bytes]":
    program = f"""
import paho.mqtt.client as mqtt, serial
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.username_pw_set("sensor", "password-of-sensor")
client.connect("127.0.0.1", {running.port})
client.loop_start()
with serial.Serial({str(link)!r}, 38400) as port:
    while True:
        fields = port.readline().split()
        client.publish("hems/bench/mains", b'{{"power_w": %s}}' % fields[1], qos=1)
"""
    return subprocess.Popen([sys.executable, "-c", program])


def _service(name: str, running: BenchBroker, folder: Path, link: Path, extra: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "HEMS_LOG_FORMAT": "json",
        "HEMS_HOME__ID": HOME,
        "HEMS_BROKER__PORT": str(running.port),
        "HEMS_BROKER__PASSWORD": running.password(name),
        "HEMS_STORAGE__DIRECTORY": str(folder),
        "HEMS_SENSOR__METER__PORT": str(link),
    }
    return subprocess.Popen([sys.executable, "-m", f"services.{name}"], env=environment | (extra or {}), stderr=subprocess.DEVNULL)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    process.wait()
