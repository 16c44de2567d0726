"""Adafruit IO's broker on the loopback: a real Mosquitto with TLS, and between its clients the account that counts, throttles and bans.

Clients write to `groups/<group>/json` and listen to `groups/<group>`; what goes from one to the other the account decides.
"""

import asyncio
import contextlib
import json
import signal
import subprocess
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import trustme

from hems.actor.bus import Bus, Delivery, Disconnected, Session
from hems.actor.mqtt_bus import MqttBroker
from hems.actor.settings import BrokerSettings
from services.supervisor.mosquitto import find_mosquitto
from services.supervisor.passwords import password_file
from tests.support.adafruit_account import AdafruitAccount
from tests.support.adafruit_server import GROUP, KEY, USERNAME
from tests.support.broker import free_port
from tests.support.waiting import until

_JUDGE = "the account itself"
_PATIENCE_S = 10.0


class AdafruitBroker:
    """Where clients connect. `authority` is the file of the certificate's authority."""

    def __init__(self, folder: Path, account: AdafruitAccount) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.authority = folder / "authority.pem"
        self.account = account
        self.judging = False
        self._bans: set[asyncio.Task[None]] = set()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._write(folder)

    def start(self) -> None:
        """Take connections."""
        with (self._folder / "log").open("ab") as log:
            command = [find_mosquitto(), "-c", self._folder / "mosquitto.conf"]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self) -> None:
        """As `kill -9`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(_PATIENCE_S)
            self._process = None

    async def judge(self) -> None:
        """Be the account, over all of the broker's lives; ends by being cancelled."""
        while True:
            with contextlib.suppress(Disconnected):
                async with self._as_judge().connect(Session("the account")) as bus:
                    await self._judge(bus)
            self.judging = False
            await asyncio.sleep(0.05)

    async def _judge(self, bus: Bus) -> None:
        for topic in (f"{USERNAME}/groups/+/json", f"{USERNAME}/groups/+/get"):
            await bus.subscribe(topic, 1)
        said: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

        def on_values(values: Mapping[str, str]) -> None:
            said.put_nowait((f"groups/{GROUP}", json.dumps({"feeds": dict(values)})))

        def on_notice(topic: str, text: str) -> None:
            said.put_nowait((topic, text))

        self.account.on_values.append(on_values)
        self.account.on_notice.append(on_notice)
        self.account.on_ban.append(self._shut_out)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_say(bus, said))
                self.judging = True
                async for delivery in bus.deliveries():
                    self._hear(delivery, on_values)
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            self.account.on_values.remove(on_values)
            self.account.on_notice.remove(on_notice)
            self.account.on_ban.remove(self._shut_out)

    def _shut_out(self) -> None:
        """A ban is for all clients: nobody gets in until it is over. The notice goes out first."""
        self._bans.add(asyncio.get_running_loop().create_task(self._ban()))

    async def _ban(self) -> None:
        await asyncio.sleep(0.5)
        self.kill()
        await until(lambda: not self.account.banned, 120)
        self.start()

    def _hear(self, delivery: Delivery, answer: Any) -> None:
        delivery.acknowledge()
        if delivery.topic.endswith("/get"):
            answer(self.account.last_values())
        else:
            self.account.take(json.loads(delivery.payload)["feeds"])

    def _as_judge(self) -> MqttBroker:
        values = {"host": "127.0.0.1", "port": self.port, "tls": True, "ca_file": str(self.authority)}
        return MqttBroker(BrokerSettings.read({**values, "username": _JUDGE, "password": KEY, "protocol": "3.1.1"}, {}))

    def _write(self, folder: Path) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(self.authority)
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
        (folder / "passwords").write_text(password_file({USERNAME: KEY, _JUDGE: KEY}))
        (folder / "acl").write_text(f"user {USERNAME}\ntopic readwrite {USERNAME}/#\n\nuser {_JUDGE}\ntopic readwrite {USERNAME}/#\n")
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\ncertfile {folder}/certificate.pem\nkeyfile {folder}/key.pem\n"
            f"allow_anonymous false\npassword_file {folder}/passwords\nacl_file {folder}/acl\nretain_available false\nuser root\n"
        )


async def _say(bus: Bus, said: "asyncio.Queue[tuple[str, str]]") -> None:
    while True:
        topic, text = await said.get()
        await bus.publish(f"{USERNAME}/{topic}", text.encode(), qos=1, retain=False)


@contextlib.asynccontextmanager
async def running_adafruit_broker(folder: Path, account: AdafruitAccount) -> AsyncGenerator[AdafruitBroker]:
    """The broker and its judge while the context is open."""
    broker = AdafruitBroker(folder, account)
    broker.start()
    judging = asyncio.create_task(broker.judge())
    try:
        await until(lambda: broker.judging)
        yield broker
    finally:
        judging.cancel()
        await asyncio.gather(judging, return_exceptions=True)
        broker.kill()
