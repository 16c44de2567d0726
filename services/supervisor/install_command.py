"""`hems install-service`."""

import grp
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from services.supervisor.systemd_unit import Installation

_GROUPS = ("dialout", "gpio")
_NAME = "hems.service"
_path: Any = click.Path(path_type=Path)


@click.command("install-service")
@click.option("--config", type=_path, default=Path("/etc/hems/hems.yaml"), show_default=True, help="Your hems.yaml; used if it is there.")
@click.option(
    "--secrets", type=_path, default=Path("/etc/hems/secrets"), show_default=True, help="A folder of files such as HEMS_NOTIFIER__…"
)
@click.option("--directory", type=_path, default=Path("/etc/systemd/system"), show_default=True, help="Where systemd's units are.")
@click.option("--print", "show", is_flag=True, help="Only print the unit.")
def install_service(config: Path, secrets: Path, directory: Path, show: bool) -> None:
    """Let systemd start hems with the computer, and keep it up: for those without docker.

    Example: sudo .venv/bin/hems install-service
    """
    unit = Installation(
        program=Path(sys.prefix) / "bin" / "hems",
        configuration=config.absolute() if config.is_file() else None,
        secrets=sorted(secrets.absolute().glob("HEMS_*__*")),
        groups=[name for name in _GROUPS if _exists(name)],
    ).unit()
    if show:
        click.echo(unit, nl=False)
        return
    try:
        (directory / _NAME).write_text(unit, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{directory / _NAME} can't be written ({error.strerror}): run this with sudo") from None
    click.echo(f"{directory / _NAME} is written.")
    if closed := closed_to_others((Path(sys.prefix), Path(sys.executable).resolve())):
        click.echo(
            f"Look here: the service runs as a user of its own, who may not enter {closed}. Move hems to a folder such as /opt/hems, "
            f"run `make setup` there, and this again; or let others in, `chmod o+x {closed}`.",
            err=True,
        )
        return
    if config.is_file() and (closed_to_others((config.absolute(),)) or not config.stat().st_mode & stat.S_IROTH):
        click.echo(f"Look here: that user may not read {config}: `sudo chmod o+r {config}`, and run this again.", err=True)
        return
    if directory == Path("/etc/systemd/system") and Path("/run/systemd/system").exists() and os.geteuid() == 0:
        for command in (["daemon-reload"], ["enable", "--now", _NAME]):
            subprocess.run(["systemctl", *command], check=True)  # noqa: S607  it is where the system says
        click.echo("hems runs, and starts with the computer. `journalctl -u hems -f` shows what it says.")


def closed_to_others(paths: Sequence[Path]) -> Path | None:
    """The first folder on the way to one of these that other users may not enter, as home folders often are."""
    folders = (folder for path in paths for folder in reversed(path.parents))
    return next((folder for folder in folders if not folder.stat().st_mode & stat.S_IXOTH), None)


def _exists(group: str) -> bool:
    try:
        grp.getgrnam(group)
    except KeyError:
        return False
    return True
