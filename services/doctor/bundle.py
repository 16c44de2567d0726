"""One file for a bug report: what the doctor found, the configuration, the newest logs; no secrets."""

import io
import os
import re
import tarfile
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, cast

from hems.actor.configuration import Configuration
from services.doctor.domain.secrets_out import Censor

_SECRET_NAME = re.compile(r"password|passwd|secret|token|key|credential|account_sid|(^|_)sms$|(^|_)ntfy$|number$", re.IGNORECASE)
_LOG_BYTES = 500_000
_LONGEST_SECRET_BYTES = 10_000


def write_bundle(path: Path, texts: Mapping[str, str], censor: Censor) -> None:
    """Write the texts by their names into a .tar.gz that only its owner may read.

    Raises:
        OSError: it can't be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in texts.items():
            data = censor.clean(text).replace(str(Path.home()), "~").encode()
            entry = tarfile.TarInfo(f"hems-report/{name}")
            entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(data))


def censor_of(configuration: Configuration, directory: Path, environment: Mapping[str, str]) -> Censor:
    """Knows every secret of this home: those in the configuration, in the environment, and in files that either names or `hems up` made."""
    values = [*_in_configuration(configuration.sections), *_in_environment(environment)]
    values.append(str(configuration.sections.get("bridge_adafruit", {}).get("username") or ""))
    values += [_content(path) for path in sorted((directory / "secrets").glob("*"))]
    values += [line.partition("=")[2] for line in _content(directory / "mqtt.env").splitlines() if "PASSWORD" in line]
    return Censor.of(values)


def collected(configuration: Configuration, directory: Path) -> dict[str, str]:
    """The files that help: the configuration, the logs' ends, and which versions are installed."""
    found = {"hems.yaml": _content(Path(configuration.file)), "packages.txt": "".join(sorted(_packages()))}
    names = ("hems.log", "hems.log.1", "demo/hems.log", "demo/hems.log.1", "broker/mosquitto.conf")
    logs = [directory / name for name in names]
    return found | {f"{log.parent.name}-{log.name}": text for log in logs if (text := _end(log))}


def _packages() -> Iterator[str]:
    for package in distributions():
        yield f"{package.metadata['Name']} {package.version}\n"


def _in_configuration(values: Any, name: str = "") -> Iterator[str]:
    if isinstance(values, Mapping):
        for key, value in cast("Mapping[Any, Any]", values).items():
            yield from _in_configuration(value, str(key))
    elif isinstance(values, list):
        for value in cast("list[Any]", values):
            yield from _in_configuration(value, name)
    elif isinstance(values, str) and name.endswith("_file"):
        yield _content(Path(values))
    elif isinstance(values, str | int) and _SECRET_NAME.search(name):
        yield str(values)


def _in_environment(environment: Mapping[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        if _SECRET_NAME.search(name):
            yield _content(Path(value)) if name.upper().endswith("_FILE") else value


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() if path.stat().st_size <= _LONGEST_SECRET_BYTES * 100 else ""
    except OSError:
        return ""


def _end(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
