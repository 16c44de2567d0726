"""The bridge as a process: the home's real broker on one side, an Adafruit IO over TLS on the other."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hems.actor.bus import Bus, Session
from hems.actor.clock import WallClock
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings
from hems.contracts.catalog import MAINS, RELAY, RELAY_RESULT, RELAY_SET_BY
from hems.contracts.mains import Mains
from hems.contracts.relays import Level, RelayCommand, RelayResult, RelayState
from hems.contracts.topic import Root
from tests.support.adafruit_account import AdafruitAccount
from tests.support.adafruit_broker import AdafruitBroker, running_adafruit_broker
from tests.support.adafruit_server import KEY, USERNAME, AdafruitServer, running_adafruit
from tests.support.broker import RealBroker
from tests.support.services import ServiceProcess, environment_of
from tests.support.waiting import until

PATIENCE_S = 20.0
FEEDS = "power: {topic: mains, field: power_w, every_s: 1, decimals: 0}"


@dataclass
class Home:
    """The home's side: a sensor and an actuator that a test plays."""

    root: Root
    sensor: Bus
    actuator: Bus
    commands: list[RelayCommand] = field(default_factory=list[RelayCommand])

    async def mains(self, power_w: float) -> None:
        """A reading of now."""
        reading = Mains(measured_at=WallClock().now(), power_w=power_w, quality="measured")
        await self.sensor.publish(MAINS.at(self.root), reading.to_wire(), qos=1, retain=True)

    async def relay(self, level: Level) -> None:
        """Where the bulb stands."""
        state = RelayState(state=level, how="read_back", changed_at=WallClock().now())
        await self.actuator.publish(RELAY.at(self.root, relay="bulb"), state.to_wire(), qos=1, retain=True)

    async def answer(self, *, accepted: bool) -> None:
        """The actuator's answer to the newest command."""
        result = RelayResult(id=self.commands[-1].id, source="adafruit", accepted=accepted, reason=None if accepted else "not allowed")
        await self.actuator.publish(RELAY_RESULT.at(self.root, relay="bulb"), result.to_wire(), qos=1, retain=False)

    async def listen(self) -> None:
        """Take commands, until cancelled."""
        async for delivery in self.actuator.deliveries():
            delivery.acknowledge()
            self.commands.append(RelayCommand.from_wire(delivery.payload))


@contextlib.asynccontextmanager
async def at_home(broker: RealBroker, name: str) -> AsyncGenerator[Home]:
    """Connect to the home's broker as its sensor and its actuator."""

    def connect(user: str) -> MqttBroker:
        values = {"host": broker.host, "port": broker.port, "username": user, "password": broker.password(user)}
        return MqttBroker(BrokerSettings.read(values, {}))

    async with connect("sensor").connect(Session(f"{name} s")) as sensor, connect("actuator").connect(Session(f"{name} a")) as actuator:
        home = Home(Root(name), sensor, actuator)
        await actuator.subscribe(RELAY_SET_BY.filter(home.root, source="adafruit"), 1)
        listening = asyncio.create_task(home.listen())
        try:
            yield home
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


def service(broker: RealBroker, cloud: AdafruitBroker, api: AdafruitServer, folder: Path, home: str) -> ServiceProcess:
    """A bridge with one slow feed and one toggle, its key in a file."""
    (folder / "key").write_text(KEY + "\n")
    mqtt = f"{{host: 127.0.0.1, port: {cloud.port}, ca_file: '{cloud.authority}', reconnect_s: 0.2}}"
    (folder / "hems.yaml").write_text(
        f"bridge_adafruit: {{username: {USERNAME}, feeds: {{{FEEDS}}}, relays: [bulb], mqtt: {mqtt}, http: {{base_url: '{api.url}'}}}}\n"
    )
    given = {"HEMS_CONFIG": str(folder / "hems.yaml"), "HEMS_BRIDGE_ADAFRUIT__KEY_FILE": str(folder / "key")}
    return ServiceProcess("bridge_adafruit", {**environment_of("bridge_adafruit", broker, folder, home), **given}, folder / "log")


async def test_mirror_toggle_and_outage(shared_mosquitto: RealBroker, tmp_path: Path) -> None:
    """Over TLS: the home is shown, a toggle goes home and back, a killed cloud is survived and filled in, and nothing is sent twice."""
    account = AdafruitAccount(WallClock(), limit=60, feeds={"power": [], "bulb": []})
    async with (
        running_adafruit(account) as api,
        running_adafruit_broker(tmp_path / "cloud", account) as cloud,
        at_home(shared_mosquitto, "bridged") as home,
    ):
        bridge = service(shared_mosquitto, cloud, api, tmp_path, "bridged")
        bridge.start()
        try:
            await asyncio.to_thread(bridge.wait_for, "started")
            await home.relay("OFF")
            await home.mains(100)
            await until(lambda: account.last_values() == {"power": "100", "bulb": "OFF"}, PATIENCE_S)

            account.press("bulb", "ON")
            await until(lambda: home.commands, PATIENCE_S)
            await home.answer(accepted=False)
            await until(lambda: account.shown("bulb") == "OFF", PATIENCE_S)
            account.press("bulb", "ON")
            await until(lambda: len(home.commands) == 2, PATIENCE_S)
            await home.answer(accepted=True)
            await home.relay("ON")

            account.away = True
            cloud.kill()
            for watts in range(201, 204):
                await home.mains(watts)
                await asyncio.sleep(1.05)
            await home.relay("OFF")
            account.away = False
            cloud.start()
            await until(lambda: account.shown("bulb") == "OFF", PATIENCE_S)
            await until(lambda: {"201", "202", "203"} <= {point.value for point in account.feeds["power"]}, PATIENCE_S)
        finally:
            status = await asyncio.to_thread(bridge.stop)
        assert status == 0, bridge.log
        values = [point.value for point in account.feeds["power"]]
        assert sorted(values) == ["100", "201", "202", "203"]
        assert len(home.commands) == 2
        assert [command.state for command in home.commands] == ["ON", "ON"]
        assert account.notices == []
        assert api.violations == []
        assert KEY not in bridge.log


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_throttle_and_a_ban_over_the_wire(shared_mosquitto: RealBroker, tmp_path: Path) -> None:
    """A value that was thrown away is said again after the throttle; a ban of the account is sat out, then the state is right."""
    account = AdafruitAccount(WallClock(), limit=60, feeds={"power": [], "bulb": []})
    async with (
        running_adafruit(account) as api,
        running_adafruit_broker(tmp_path / "cloud", account) as cloud,
        at_home(shared_mosquitto, "throttled") as home,
    ):
        bridge = service(shared_mosquitto, cloud, api, tmp_path, "throttled")
        bridge.start()
        try:
            await home.relay("OFF")
            await until(lambda: account.shown("bulb") == "OFF", PATIENCE_S)
            account.throws_away = 1
            await home.relay("ON")
            await until(lambda: account.notices, PATIENCE_S)
            assert account.shown("bulb") == "OFF"
            await until(lambda: account.shown("bulb") == "ON", 90)
            assert [point.value for point in account.feeds["bulb"]] == ["OFF", "ON"]

            account.ban()
            await home.relay("OFF")
            await asyncio.to_thread(bridge.wait_for, "is banned for 30 s")
            await until(lambda: account.shown("bulb") == "OFF", 90)
        finally:
            status = await asyncio.to_thread(bridge.stop)
        assert status == 0, bridge.log
        assert len(account.bans) == 1
        assert home.commands == []
        assert api.violations == []


async def test_a_real_dashboard_is_refused_in_simulated_time(shared_mosquitto: RealBroker, tmp_path: Path) -> None:
    """A recording at twenty times its speed is shown to no real account: exit 78, and a sentence that says what to do."""
    values = environment_of("bridge_adafruit", shared_mosquitto, tmp_path, "fast-bridge")
    values |= {"HEMS_BRIDGE_ADAFRUIT__USERNAME": USERNAME, "HEMS_BRIDGE_ADAFRUIT__KEY": KEY}
    values |= {"HEMS_CLOCK__RATE": "20", "HEMS_CLOCK__EPOCH": "2015-01-05T00:00:00+00:00"}
    command = [sys.executable, "-m", "services.bridge_adafruit"]
    run = await asyncio.to_thread(
        subprocess.run, command, env={**os.environ, **values}, capture_output=True, text=True, timeout=30, check=False
    )
    assert run.returncode == 78, run.stderr
    assert "can't show simulated time" in run.stderr
    assert KEY not in run.stderr


async def test_a_wrong_key_is_named(shared_mosquitto: RealBroker, tmp_path: Path) -> None:
    """Adafruit refuses the key: the log says what to check, and the service goes on running without hurry."""
    account = AdafruitAccount(WallClock(), feeds={"power": []})
    async with running_adafruit(account) as api, running_adafruit_broker(tmp_path / "cloud", account) as cloud:
        bridge = service(shared_mosquitto, cloud, api, tmp_path, "locked-out")
        (tmp_path / "key").write_text("another key")
        bridge.start()
        try:
            await asyncio.to_thread(bridge.wait_for, "invalid API key")
        finally:
            status = await asyncio.to_thread(bridge.stop)
        assert status == 0, bridge.log
        assert len(api.calls) <= 2
