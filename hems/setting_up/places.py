"""Where the commands find a home's configuration and state, and whether its services run."""

import fcntl
import os
from pathlib import Path

from hems.actor.configuration import Configuration
from hems.actor.settings import HomeSettings, StorageSettings


def configuration_path(named: Path | None = None) -> Path:
    """The file that is read: the one named, or that `HEMS_CONFIG` names, or `hems.yaml` here. It need not be there."""
    return named or Path(os.environ.get("HEMS_CONFIG") or "hems.yaml")


def load(path: Path) -> Configuration:
    """The configuration; with no file there, everything has its default.

    Raises:
        hems.actor.configuration.ConfigurationError: with what is wrong in the file.
    """
    return Configuration.load(path) if path.exists() else Configuration(str(path), {}, {})


def home_folder(configuration: Configuration) -> Path:
    """Where the services of this home keep their files: `hems up` puts `homes` in between.

    Raises:
        hems.actor.configuration.ConfigurationError: with what is wrong in these sections.
    """
    storage, home = configuration.section(StorageSettings).directory, configuration.section(HomeSettings).id
    plain = storage / home
    return plain if plain.exists() and not (storage / "homes" / home).exists() else storage / "homes" / home


def hand_over(directory: Path) -> None:
    """Give what root has left in a home's folder to the folder's owner: a service that systemd runs could not read it.

    Does nothing for anybody but root.
    """
    if os.geteuid() != 0 or not directory.exists():
        return
    folder = directory.resolve()
    owner = folder.stat()
    for path in folder.rglob("*"):
        if path.lstat().st_uid == 0:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def lock_of(directory: Path) -> Path:
    """What `hems up` holds while it runs in this folder. It lies inside: systemd lets a service write nowhere else."""
    return directory.absolute() / "up.lock"


def is_up(directory: Path) -> bool:
    """Whether `hems up` runs in this folder."""
    try:
        with lock_of(directory).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
