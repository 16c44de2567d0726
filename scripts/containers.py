"""`python3 -m scripts.containers [--postgres]`: an engine that answers, and the base images of the Dockerfile and docker-compose.yml.

Where no registry can be reached, the base images are made of Debian's own packages: the same system, without the registry's history.
Where there is no engine, `HEMS_BRING_DOCKER=1` lets this install Debian's and start it, for a machine that is thrown away afterwards.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scripts.tell import ROOT, Failed, run, tell

_PACKAGES = {"dockerd": "docker.io", "docker-compose": "docker-compose", "debootstrap": "debootstrap"}
_ENGINE_WITHIN_S = 60
_ADVICE = "check the network, and run this again"
_NO_ENGINE = (
    "no container engine answers: install one, such as with `apt install docker.io docker-compose`, start it, and let this user reach it;"
    " on a machine that is thrown away, HEMS_BRING_DOCKER=1 does so"
)
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_POSTGRES = "postgres:15-bookworm"
_POSTGRES_IMAGE = """
FROM {base}
LABEL org.opencontainers.image.description="Stand-in for {name}, of Debian's packages"
RUN groupadd --gid 999 postgres && useradd --uid 999 --gid 999 --no-create-home postgres \\
 && apt-get update && apt-get install -y --no-install-recommends postgresql-15 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY start /usr/local/bin/start
ENV PATH=/usr/lib/postgresql/15/bin:$PATH
CMD ["/usr/local/bin/start"]
"""
_POSTGRES_START = """#!/bin/sh
# The part of the official image's start that is used here: a cluster with one user and one database, made at the first start.
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" --auth scram-sha-256 --pgdata "$PGDATA"
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    echo "CREATE DATABASE $POSTGRES_DB" | postgres --single -D "$PGDATA" postgres
fi
exec postgres -D "$PGDATA" -c "listen_addresses=*"
"""


def compose() -> list[str]:
    """The compose program of this machine: version 1 or 2.

    Raises:
        Failed: there is none.
    """
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker") and _works(["docker", "compose", "version"]):
        return ["docker", "compose"]
    raise Failed("docker-compose is missing: install it, such as with `apt install docker-compose`")


def bring(*, postgres: bool = False) -> None:
    """See to the engine and the base images.

    Raises:
        Failed: something is missing that can't be brought.
    """
    if not _engine_answers():
        _bring_engine()
    if _may_install() and not shutil.which("docker-compose"):
        _install("docker-compose")
    compose()
    base = base_image()
    if not _have(base):
        _make_debian(base)
    if postgres and not _have(_POSTGRES):
        _make_postgres(base)


def base_image() -> str:
    """What the Dockerfile builds on."""
    found = re.search(r"^ARG DEBIAN=(\S+)$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    assert found, "the Dockerfile names its base image"  # noqa: S101
    return found[1]


def _engine_answers() -> bool:
    return bool(shutil.which("docker")) and _works(["docker", "info"])


def _bring_engine() -> None:
    if not _may_install():
        raise Failed(_NO_ENGINE)
    _install(*_PACKAGES)
    tell("Starting a container engine")
    with Path("/var/log/hems-dockerd.log").open("ab") as log:
        subprocess.Popen(["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    give_up_at = time.monotonic() + _ENGINE_WITHIN_S
    while not _engine_answers():
        if time.monotonic() > give_up_at:
            raise Failed("the container engine did not start: /var/log/hems-dockerd.log says why")
        time.sleep(0.5)


def _may_install() -> bool:
    return bool(os.environ.get("HEMS_BRING_DOCKER")) and os.geteuid() == 0


def _install(*programs: str) -> None:
    missing = [_PACKAGES[program] for program in programs if shutil.which(program) is None]
    if missing:
        tell(f"Installing {', '.join(missing)}")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "-qq", "update"], advice=_ADVICE)
        run(["apt-get", "-qq", "-y", "--no-install-recommends", "install", *missing], advice=_ADVICE, environment=environment)


def _have(image: str) -> bool:
    return _works(["docker", "image", "inspect", image]) or _works(["docker", "pull", "--quiet", image])


def _make_debian(image: str) -> None:
    tell(f"Making a stand-in for {image} of Debian's packages, since no registry answers; a minute or two")
    if os.geteuid() != 0:
        raise Failed(f"{image} can't be pulled, and only root can make a stand-in for it: {_ADVICE}")
    _install("debootstrap")
    mirror = _mirror()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        run(["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", root, mirror], advice=_ADVICE)
        _write_sources(root, mirror)
        _write_certificates(root)
        for waste in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
            shutil.rmtree(root / waste, ignore_errors=True)
        archive = subprocess.Popen(["tar", "--directory", root, "--create", "."], stdout=subprocess.PIPE)
        label = 'LABEL org.opencontainers.image.description="Stand-in of Debian\'s packages"'
        subprocess.run(["docker", "import", "--change", label, "-", image], stdin=archive.stdout, check=True, capture_output=True)
        if archive.wait():
            raise Failed(f"{image} could not be packed: check the disk's space")


def _mirror() -> str:
    """Where this machine gets Debian from.

    Raises:
        Failed: from nowhere.
    """
    for file in sorted(Path("/etc/apt").glob("sources.list*")) + sorted(Path("/etc/apt/sources.list.d").glob("*")):
        if file.is_file() and (found := re.search(r"https?://\S+/debian(?=/?\s)", file.read_text(encoding="utf-8"))):
            return found[0]
    raise Failed("this machine gets no Debian packages, which a stand-in is made of: let it reach an image registry instead")


def _write_sources(root: Path, mirror: str) -> None:
    security = f"{mirror.removesuffix('/debian')}/debian-security"
    lines = [f"deb {mirror} bookworm main", f"deb {mirror} bookworm-updates main", f"deb {security} bookworm-security main"]
    (root / "etc/apt/sources.list").write_text("\n".join(lines) + "\n")


def _write_certificates(root: Path) -> None:
    """A network that looks into TLS has an authority of its own, which this machine knows."""
    if _CERTIFICATES.exists():
        for place in ("etc/ssl/certs/ca-certificates.crt", "usr/local/share/ca-certificates/machine.crt"):
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(_CERTIFICATES, root / place)


def _make_postgres(base: str) -> None:
    tell(f"Making a stand-in for {_POSTGRES} of Debian's packages, since no registry answers")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "Dockerfile").write_text(_POSTGRES_IMAGE.format(base=base, name=_POSTGRES))
        (folder / "start").write_text(_POSTGRES_START)
        (folder / "start").chmod(0o755)
        run(["docker", "build", "--quiet", "--network", "host", "--tag", _POSTGRES, folder], advice=_ADVICE)


def _works(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    try:
        bring(postgres="--postgres" in sys.argv[1:])
    except Failed as failure:
        sys.exit(f"make: {failure}")
