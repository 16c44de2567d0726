"""What containers find when they start: passwords, the broker's configuration, a certificate, the home's configuration.

One folder holds it, and each file in it belongs to the user who reads it. What is there stays, so that a restart changes nothing.
"""

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hems.contracts.access import USERS, access_list
from hems.contracts.catalog import CLIENT, DEVICE, SERVICES
from hems.setting_up.private_file import write_private
from services.supervisor.broker_configuration import render
from services.supervisor.certificates import certified
from services.supervisor.passwords import password_file, random_password
from services.supervisor.plan import DEMO_CONFIGURATION

BROKER, TLS, POSTGRES = "broker", "tls", "postgres"
_PASSWORD = "HEMS_BROKER__PASSWORD"  # noqa: S105  a file's name
_BROKER_PORT = 1_883
_POSTGRES_URL = "postgresql://hems:{password}@postgres/hems"
_DEMO_LEAD_S = 15.0
"""Containers take their time to start."""
_WRITTEN_WITHIN_S = 10.0


class Unprepared(Exception):
    """What a person has to mend first, in one sentence."""


@dataclass(frozen=True)
class Preparation:
    """The folder, and who reads what in it.

    Attributes:
        directory: what is prepared; read by all, written by this alone.
        state: where each owner gets a folder that only it may enter; none where None.
        person: the folder with a person's `hems.yaml` and `secrets/`; may be missing.
        owners: user and group id by name: services, `broker`, `tls`, `postgres`.
        certificate_names: host names and addresses that the broker is reached by.
        postgres: the history lies in PostgreSQL.
        demo_past: the history of the days before the demo begins.
    """

    directory: Path
    state: Path | None
    person: Path | None
    owners: Mapping[str, int]
    certificate_names: Sequence[str] = ()
    postgres: bool = False
    demo_past: Path | None = None

    def prepare(self, *, demo_speed: float | None = None) -> bool:
        """Do all of it.

        Args:
            demo_speed: prepare a recorded home, so many times as fast, with nothing of the last time.

        Returns:
            Whether it was done: a demo that runs is left alone.

        Raises:
            Unprepared: a person's file can't be used.
        """
        if demo_speed is not None and self._in_use():
            return False
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        self._write_configuration(demo_speed)
        self._write_secrets()
        self._write_broker()
        if self.certificate_names:
            self._write_certificate()
        self._make_state(empty=demo_speed is not None)
        if demo_speed is not None:
            self._recall()
        return True

    def secrets(self, user: str) -> Path:
        """The folder of one user's secrets, each file named as the environment variable that it stands for."""
        return self.directory / "secrets" / user

    def password(self, user: str) -> str:
        """A broker user's password, made at the first call."""
        path = self.secrets(user) / _PASSWORD
        if not path.exists():
            write_private(path, random_password())
        return path.read_text(encoding="utf-8")

    def _write_configuration(self, demo_speed: float | None) -> None:
        own = self.person / "hems.yaml" if self.person else None
        text = own.read_text(encoding="utf-8") if own and own.is_file() else ""
        if demo_speed is not None:
            text = demo_configuration(demo_speed, time.monotonic() + _DEMO_LEAD_S)
        _write_open(self.directory / "hems.yaml", text)

    def _write_secrets(self) -> None:
        for user in USERS:
            self.password(user)
        for service, name, text in self._persons_secrets():
            write_private(self.secrets(service) / name, text)
        recorder = self.secrets("recorder") / "HEMS_RECORDER__DATABASE"
        if self.postgres:
            path = self.secrets(POSTGRES) / "password"
            if not path.exists():
                write_private(path, random_password())
            write_private(recorder, _POSTGRES_URL.format(password=path.read_text(encoding="utf-8")))
        else:
            recorder.unlink(missing_ok=True)
        for folder in (self.directory / "secrets").iterdir():
            self._give(folder, folder.name)

    def _persons_secrets(self) -> Iterator[tuple[str, str, str]]:
        folder = self.person / "secrets" if self.person else None
        for path in sorted(folder.glob("HEMS_*")) if folder else ():
            service = path.name.removeprefix("HEMS_").partition("__")[0].lower()
            if service not in SERVICES:
                known = ", ".join(f"HEMS_{name.upper()}__…" for name in SERVICES)
                raise Unprepared(f"{path.name}: no service has that secret; a name begins with one of {known}")
            yield service, path.name, path.read_text(encoding="utf-8").strip()

    def _write_broker(self) -> None:
        folder = self.directory / BROKER
        write_private(folder / "passwords", password_file({user: self.password(user) for user in USERS}))
        write_private(folder / "acl", access_list())
        data = (self.state or folder) / BROKER
        text = render(host="0.0.0.0", port=_BROKER_PORT, data=data, passwords=folder / "passwords", access=folder / "acl")  # noqa: S104
        write_private(folder / "mosquitto.conf", text.replace("user root\n", ""))
        # What mosquitto_sub reads by itself: a password on the command line would be seen by all.
        write_private(folder / "mosquitto_sub", f"-u {DEVICE}\n-P {self.password(DEVICE)}\n")
        self._give(folder, BROKER)

    def _write_certificate(self) -> None:
        folder = self.directory / TLS
        certified(folder, self.certificate_names)
        folder.chmod(0o755)
        for name in ("ca.pem", "server.pem"):
            (folder / name).chmod(0o644)
        self._own(folder / "server.key", TLS, 0o400)

    def _make_state(self, *, empty: bool) -> None:
        if self.state is None:
            return
        for owner in self.owners:
            folder = self.state / owner
            if empty:
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            self._own(folder, owner, 0o700)

    def _recall(self) -> None:
        """Give the demo its past, where there is one."""
        if self.state is None or self.demo_past is None or not self.demo_past.exists():
            return
        home: dict[str, Any] = yaml.safe_load(DEMO_CONFIGURATION.read_text(encoding="utf-8"))
        folder = self.state / "recorder" / str(home["home"]["id"])
        folder.mkdir()
        self._own(folder, "recorder", 0o700)
        shutil.copyfile(self.demo_past, folder / "history.db")
        self._own(folder / "history.db", "recorder", 0o600)

    def _in_use(self) -> bool:
        """Whether a sensor has written just now: `docker-compose up` a second time must not empty what a running demo writes."""
        if self.state is None:
            return False
        written_at = (path.stat().st_mtime for path in (self.state / "sensor").rglob("*.db*"))
        return any(abs(time.time() - at) < _WRITTEN_WITHIN_S for at in written_at)

    def _give(self, folder: Path, owner: str) -> None:
        self._own(folder, owner, 0o500)
        for path in folder.iterdir():
            self._own(path, owner, 0o400)

    def _own(self, path: Path, owner: str, mode: int) -> None:
        path.chmod(mode)
        if owner in self.owners and os.geteuid() == 0:
            os.chown(path, self.owners[owner], self.owners[owner])


def demo_configuration(speed: float, anchor_s: float) -> str:
    """The demo's home, its meters on the network, and the time that all containers share.

    Args:
        speed: how many times as fast as the clock on the wall.
        anchor_s: when the recording begins, on this machine's monotonic clock.
    """
    home: dict[str, Any] = yaml.safe_load(DEMO_CONFIGURATION.read_text(encoding="utf-8"))
    home["clock"] = {**home["clock"], "anchor_s": anchor_s, "rate": speed}
    home["sensor"] = {"meter": {"port": "socket://demo-meter:4001"}, "voltage": {"port": "socket://demo-meter:4002"}}
    home["dashboard"] = {"demo": True, "reached_at": "127.0.0.1"}
    return yaml.safe_dump(home, sort_keys=False)


def client_account(preparation: Preparation, prefix: str = "hems") -> str:
    """What a person's own MQTT client needs, as lines for a shell."""
    return f"MQTT_USER={CLIENT}\nMQTT_PASSWORD={preparation.password(CLIENT)}\nMQTT_TOPICS={prefix}/+/#\n"


def _write_open(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(0o644)
    beside.replace(path)
