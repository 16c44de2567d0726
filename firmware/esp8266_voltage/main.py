"""A ZMPT101B on an ESP8266: the mains voltage, once a second, on the serial port and, where Wi-Fi is set, over MQTT.

Prints `Vrms: 230.1` at 115200 baud. Settings, all optional, are in settings.json beside this file; see README.md.
"""

import json
import time
from array import array

from machine import ADC
from rms import measure

_SAMPLES = 400
_EVERY_US = 500  # 400 samples are 200 ms: ten cycles at 50 Hz, twelve at 60 Hz
_PERIOD_MS = 1000
_WAIT_MS = 10000  # between attempts at Wi-Fi and broker
_PATIENCE_S = 3  # nothing is measured while the broker is waited for


def main():
    """Measure for ever."""
    settings = _settings()
    scale = settings.get("volts_per_count", 1.0)
    speaker = Speaker(settings) if "wifi" in settings and "broker" in settings else None
    converter = ADC(0)
    values, times_us = array("H", [0] * _SAMPLES), array("L", [0] * _SAMPLES)
    while True:
        began = time.ticks_ms()
        sample(converter, values, times_us)
        counts, hertz = measure(values, times_us)
        voltage_v = counts * scale
        print(f"Vrms: {voltage_v:.1f}")  # noqa: T201 - the serial port is what this is for
        if speaker and hertz:
            speaker.say(voltage_v)
        time.sleep_ms(max(0, _PERIOD_MS - time.ticks_diff(time.ticks_ms(), began)))


def sample(converter, values, times_us):
    """Fill both arrays at an even pace. The time is taken of each sample, since Wi-Fi may come between."""
    start = time.ticks_us()
    for place in range(len(values)):
        due = place * _EVERY_US
        while time.ticks_diff(time.ticks_us(), start) < due:
            pass
        times_us[place] = time.ticks_diff(time.ticks_us(), start)
        values[place] = converter.read()


class Speaker:
    """Says the voltage on `<prefix>/<home>/voltage`. No network and no broker ever stop the measuring."""

    def __init__(self, settings):
        import network

        self._wifi, self._broker = settings["wifi"], settings["broker"]
        self._station = network.WLAN(network.STA_IF)
        self._client = None
        self._again = time.ticks_ms()
        self._told = None

    def say(self, voltage_v):
        """Say it once; lost where nobody can be reached."""
        try:
            if self._client is None:
                self._connect()
            if self._client is not None:
                self._client.publish(self._topic(), json.dumps({"voltage_v": round(voltage_v, 1)}))
        except Exception as error:  # umqtt has exceptions of its own, as for a wrong password, and assertions
            self._drop()
            self._tell(f"not said by Wi-Fi: {error!r}")

    def _connect(self):
        if time.ticks_diff(time.ticks_ms(), self._again) < 0:
            return
        self._again = time.ticks_add(time.ticks_ms(), _WAIT_MS)
        if not self._station.isconnected():
            self._station.active(True)
            self._station.connect(self._wifi["name"], self._wifi["password"])
            return  # it takes seconds; the next attempt finds it
        from umqtt.simple import MQTTClient

        broker = self._broker
        address = broker["host"], broker.get("port", 1883)
        self._client = MQTTClient("esp8266-voltage", *address, "device", broker["password"], keepalive=30)
        try:
            self._client.connect(timeout=_PATIENCE_S)
        except TypeError:  # an older umqtt waits for as long as the network pleases
            self._client.connect()
        self._told = None

    def _drop(self):
        client, self._client = self._client, None
        try:  # noqa: SIM105 - MicroPython has no contextlib
            client.sock.close()
        except Exception:  # noqa: S110 - it never had one, or it is closed
            pass

    def _tell(self, words):
        if words != self._told:  # once: the serial port is for voltages
            print(words)  # noqa: T201
        self._told = words

    def _topic(self):
        return f"{self._broker.get('prefix', 'hems')}/{self._broker.get('home', 'home')}/voltage"


def _settings():
    try:
        with open("settings.json") as file:  # noqa: PTH123 - MicroPython has no pathlib
            return json.load(file)
    except OSError:
        return {}
    except ValueError:
        print("settings.json is no JSON: it is left out")  # noqa: T201
        return {}


main()
