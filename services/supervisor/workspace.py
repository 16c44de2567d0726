"""The folder that a home lives in: `var/` (`var/demo/` for the demo)."""

import fcntl
import shutil
import socket
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hems.contracts.access import USERS, access_list
from hems.contracts.catalog import CLIENT
from hems.setting_up.private_file import write_private
from services.supervisor.broker_configuration import render
from services.supervisor.passwords import password_file, random_password

_TRIES = 100


class Occupied(Exception):
    """Another `hems up` works in this folder."""


@dataclass(frozen=True)
class Workspace:
    """Where the broker, the passwords and the services' files of one home are."""

    directory: Path

    def empty(self) -> None:
        """Forget everything: the demo begins anew each time."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def prepare_broker(self, *, host: str, port: int, prefix: str, home: str) -> Path:
        """Write what Mosquitto reads; passwords stay from start to start. Returns the configuration file."""
        broker = self.directory / "broker"
        data = broker / "data"
        data.mkdir(parents=True, exist_ok=True)
        write_private(broker / "passwords", password_file({user: self._password(user) for user in USERS}))
        write_private(broker / "access", access_list(prefix, home))
        configuration = broker / "mosquitto.conf"
        text = render(host=host, port=port, data=data, passwords=broker / "passwords", access=broker / "access")
        # What a person adds to it, such as the bridge to a cluster: it stays from start to start.
        more = broker / "conf.d"
        more.mkdir(exist_ok=True)
        write_private(configuration, f"{text}\ninclude_dir {more}\n")
        return configuration

    def password_file(self, user: str) -> Path:
        """The file that holds a broker user's password."""
        return self.directory / "secrets" / user

    def write_client_account(self, path: Path, *, host: str, port: int, prefix: str, home: str) -> None:
        """What a person's own MQTT client needs, mode 0600."""
        values = {
            "MQTT_HOST": host,
            "MQTT_PORT": str(port),
            "MQTT_USER": CLIENT,
            "MQTT_PASSWORD": self._password(CLIENT),
            "MQTT_TOPICS": f"{prefix}/{home}/#",
        }
        write_private(path, "".join(f"{name}={value}\n" for name, value in values.items()))

    def _password(self, user: str) -> str:
        path = self.password_file(user)
        if not path.exists():
            write_private(path, random_password())
        return path.read_text(encoding="utf-8")


@contextmanager
def only_one(lock: Path) -> Generator[None]:
    """Hold a folder's lock.

    Raises:
        Occupied: somebody else holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Occupied(f"another `hems up` runs in {lock.parent}: stop it, or choose another folder with --directory") from None
        yield


def free_port(host: str, wanted: int) -> int:
    """The port wanted, or the next one that is free.

    Raises:
        OSError: none of the next hundred is.
    """
    for port in range(wanted, min(wanted + _TRIES, 65_536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no port from {wanted} on is free on {host}")
